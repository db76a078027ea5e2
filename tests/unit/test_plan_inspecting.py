"""The keys of a plan that the inspection reads, and the findings that a plan accepts."""

from __future__ import annotations

import tomllib
from datetime import date, timedelta
from pathlib import Path, PurePosixPath

import pytest

from muster.errors import PlanError
from muster.plan import InspectionSpec, Plan, build
from muster.plan.kinds import size
from muster.plan_docs import MINIMAL

PI = '[pi]\naddress = "{address}"\n'
ACCEPT = """
[[accept]]
code = "no-offsite"
reason = "the second disk comes in March"
until = 2027-01-31
"""


def plan(text: str) -> Plan:
    return build(tomllib.loads(text), Path("/plans/plan.toml"))


def mistakes(text: str) -> list[str]:
    """List the mistakes in a plan, without the file's name."""
    with pytest.raises(PlanError) as caught:
        build(tomllib.loads(text), Path("plan.toml"))
    return [line.removeprefix("plan.toml: ") for line in str(caught.value).splitlines()]


def changed(old: str, new: str, text: str = MINIMAL) -> str:
    assert text.count(old) == 1, f"{old!r} must stand once in the plan that a test changes"
    return text.replace(old, new)


class TestThePi:
    def test_a_plan_without_a_pi_asks_none(self) -> None:
        assert plan(MINIMAL).pi is None

    @pytest.mark.parametrize(
        ("address", "destination", "port"),
        [
            ("pi@garden-pi", "pi@garden-pi", 22),
            ("pi@garden-pi.lan:2222", "pi@garden-pi.lan", 2222),
            ("ask@192.168.1.7:22", "ask@192.168.1.7", 22),
            ("pi@[fd00::7]:2222", "pi@fd00::7", 2222),
            ("pi@[fd00::7]", "pi@fd00::7", 22),
        ],
    )
    def test_an_address_is_a_destination_and_a_port(self, address: str, destination: str, port: int) -> None:
        pi = plan(MINIMAL + PI.format(address=address)).pi
        assert pi is not None
        assert (pi.destination, pi.port) == (destination, port)

    @pytest.mark.parametrize("address", ["garden-pi", "pi@", "@garden-pi", "pi@garden pi", "-o@x", "pi@-x", "pi@garden-pi:", ""])
    def test_anything_else_is_no_address(self, address: str) -> None:
        assert mistakes(MINIMAL + PI.format(address=address)) == [
            '[pi] address: is no SSH destination; write "user@host" or "user@host:port", and never a password'
        ]

    def test_a_password_in_an_address_is_never_shown(self) -> None:
        (found,) = mistakes(MINIMAL + PI.format(address="pi:hunter2@garden-pi"))
        assert "hunter2" not in found

    def test_a_port_that_does_not_exist_is_refused(self) -> None:
        assert mistakes(MINIMAL + PI.format(address="pi@garden-pi:70000")) == [
            "[pi] address: ends with port 70000; a port is 1 to 65535"
        ]

    def test_its_files_are_found_from_the_plan(self) -> None:
        pi = plan(MINIMAL + PI.format(address="pi@x") + 'ssh_key = { file = "ask.key" }\nknown_hosts = "known_hosts"\n').pi
        assert pi is not None
        assert pi.ssh_key is not None
        assert (pi.ssh_key.file, pi.known_hosts) == (Path("/plans/ask.key"), Path("/plans/known_hosts"))

    def test_a_pi_without_an_address_says_what_it_is(self) -> None:
        assert mistakes(MINIMAL + "[pi]\n") == ["[pi] address: is missing (where SSH reaches it)"]


class TestHowMuchIsRead:
    def test_every_limit_has_a_default(self) -> None:
        assert plan(MINIMAL).inspection == InspectionSpec(
            sample=10,
            sample_bytes=64 * 1024 * 1024,
            read_within=timedelta(seconds=60),
            read_all_within=timedelta(days=30),
            grace=timedelta(hours=1),
        )

    def test_every_limit_can_be_given(self) -> None:
        text = '[inspection]\nsample = 3\nsample_bytes = "1.5G"\nread_within = "10m"\nread_all_within = "7d"\ngrace = "3h"\n'
        given = plan(MINIMAL + text).inspection
        assert given.sample == 3
        assert given.sample_bytes == 1536 * 1024 * 1024
        assert (given.read_within, given.read_all_within, given.grace) == (
            timedelta(minutes=10),
            timedelta(days=7),
            timedelta(hours=3),
        )

    @pytest.mark.parametrize(
        ("key", "said"),
        [
            ("sample = 0", "sample: must be 1 or more"),
            ("sample = 1001", "sample: must be 1000 or less"),
            ('sample = "ten"', "sample: must be a whole number, without quotes"),
            ("sample_bytes = 64", 'sample_bytes: is less than 1 KiB; write a size with its unit, e.g. "64M"'),
            ('sample_bytes = "64X"', 'sample_bytes: "64X" is no size; write e.g. "512K", "64M" or "1.5G"'),
            ("sample_bytes = true", 'sample_bytes: must be a size in quotes, e.g. "64M" or "1.5G"'),
            ('sample_bytes = "9999T"', "sample_bytes: is more than 1 PiB"),
            ("read_within = 60", 'read_within: has no unit; write "60s" for seconds or "60m" for minutes'),
            ("samples = 10", 'samples: is no key of this table; did you mean "sample"?'),
        ],
    )
    def test_one_mistake_is_one_sentence(self, key: str, said: str) -> None:
        assert mistakes(f"{MINIMAL}[inspection]\n{key}\n") == [f"[inspection] {said}"]

    @pytest.mark.parametrize(
        ("text", "count"),
        [
            ("1K", 1 << 10),
            ("64M", 64 << 20),
            ("64 MiB", 64 << 20),
            ("1.5G", 3 << 29),
            ("2TB", 2 << 40),
            ("4096", 4096),
            (4096, 4096),
        ],
    )
    def test_sizes_are_read_as_restic_writes_them(self, text: object, count: int) -> None:
        assert size(text) == count


class TestWhatIsAccepted:
    def test_an_acceptance_holds_anywhere_unless_it_says_where(self) -> None:
        (accepted,) = plan(MINIMAL + ACCEPT).accept
        assert (accepted.code, accepted.where, accepted.until) == ("no-offsite", "*", date(2027, 1, 31))

    def test_an_acceptance_that_is_over_is_no_mistake_of_the_plan(self) -> None:
        (accepted,) = plan(MINIMAL + changed("2027-01-31", "2001-01-31", ACCEPT)).accept
        assert accepted.until == date(2001, 1, 31)

    @pytest.mark.parametrize(
        ("old", "new", "said"),
        [
            ('"no-offsite"', '"no-ofsite"', 'code: "no-ofsite" is the code of no finding; did you mean "no-offsite"?'),
            ('"no-offsite"', '"x"', 'code: "x" is the code of no finding; docs/findings.md lists them all'),
            ('code = "no-offsite"\n', "", "code: is missing (the code of the finding; `docs/findings.md` lists them all)"),
            ('"the second disk comes in March"', '""', "reason: is empty"),
            (
                '"the second disk comes in March"',
                '"known issue"',
                'reason: "known issue" is no reason; say in a few words why it is accepted, for whoever reads the report',
            ),
            ("2027-01-31", '"2027-01-31"', "until: must be a day without quotes, e.g. 2027-01-31"),
            ("2027-01-31", "2027-01-31T12:00:00Z", "until: must be a day without quotes, e.g. 2027-01-31"),
            (
                "until = 2027-01-31\n",
                "",
                "until: is missing (the last day on which it is accepted; the next morning it counts again)",
            ),
            ("until =", 'wher = "usb"\nuntil =', 'wher: is no key of this table; did you mean "where"?'),
        ],
    )
    def test_one_mistake_is_one_sentence(self, old: str, new: str, said: str) -> None:
        assert mistakes(MINIMAL + changed(old, new, ACCEPT)) == [f"[[accept]] number 1, {said}"]

    def test_the_second_acceptance_is_named_by_its_number(self) -> None:
        (found,) = mistakes(MINIMAL + ACCEPT + changed('"no-offsite"', '"copy-stail"', ACCEPT))
        assert found == '[[accept]] number 2, code: "copy-stail" is the code of no finding; did you mean "copy-stale"?'

    def test_a_schedule_that_says_nothing_is_told_what_it_could_say(self) -> None:
        [found] = mistakes(f"{MINIMAL}[schedule]\n")
        assert "give timer, or window where no timer starts the backup" in found

    @pytest.mark.parametrize("kind", ["accept", "manual"])
    def test_a_table_in_single_brackets_is_told_of_the_second_pair(self, kind: str) -> None:
        assert mistakes(f'{MINIMAL}[{kind}]\nwhat = "x"\n') == [
            f"[[{kind}]]: there can be several; write [[{kind}]] in double brackets, once for each"
        ]

    def test_a_key_in_the_wrong_table_names_the_doubled_brackets(self) -> None:
        assert mistakes(changed('media = "usb-ssd"', 'media = "usb-ssd"\nreason = "it is new"')) == [
            "[repositories.usb] reason: is no key of this table; it belongs in [[accept]]"
        ]


class TestKeysOfOtherTables:
    def test_a_dump_can_stand_for_live_paths(self) -> None:
        text = changed('["/etc/mosquitto"]', '["/var/backups"]\nload = "x"\ncovers = ["/var/lib/mosquitto"]')
        assert plan(text).data["broker"].covers == (PurePosixPath("/var/lib/mosquitto"),)

    def test_live_paths_without_a_dump_are_covered_by_nothing(self) -> None:
        assert mistakes(changed('["/etc/mosquitto"]', '["/etc/mosquitto"]\ncovers = ["/var/lib/mosquitto"]')) == [
            '[data.broker] covers: means nothing without load; add load = "..." or remove covers'
        ]

    def test_a_dump_cannot_stand_for_the_whole_system(self) -> None:
        (found,) = mistakes(changed('["/etc/mosquitto"]', '["/var/backups"]\nload = "x"\ncovers = ["/"]'))
        assert found.startswith('[data.broker] covers, number 1: "/" is the whole system')

    def test_an_escrow_is_found_from_the_plan(self) -> None:
        text = changed("password = {", 'escrow = { file = "../safe/usb.password" }\npassword = {')
        escrow = plan(text).repositories["usb"].escrow
        assert escrow is not None
        assert escrow.file == Path("/safe/usb.password")

    def test_an_escrow_in_the_passwords_own_place_is_none(self) -> None:
        assert mistakes(changed("password = {", 'escrow = { file = "usb.password" }\npassword = {')) == [
            "[repositories.usb] escrow: is the place of the password itself; name a second one, or none"
        ]
