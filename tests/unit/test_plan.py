"""The plan: what loads, what is filled in, and what is said about every kind of mistake."""

from __future__ import annotations

import tomllib
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import pytest

from muster.errors import PlanError
from muster.plan import Plan, build, in_words, load
from muster.plan.kinds import duration
from muster.plan_docs import MINIMAL, document

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
TELEMETRY = ROOT / "drills" / "plans" / "telemetry.toml"


def mistakes(text: str) -> list[str]:
    """List the mistakes in a plan, without the file's name."""
    with pytest.raises(PlanError) as caught:
        build(tomllib.loads(text), Path("plan.toml"))
    return [line.removeprefix("plan.toml: ") for line in str(caught.value).splitlines()]


def changed(old: str, new: str, text: str = MINIMAL) -> str:
    assert text.count(old) == 1, f"{old!r} must stand once in the plan that a test changes"
    return text.replace(old, new)


@pytest.fixture(scope="module")
def telemetry() -> Plan:
    return load(TELEMETRY)


class TestWhatLoads:
    def test_the_samples_plan_loads(self, telemetry: Plan) -> None:
        assert telemetry.name == "telemetry"
        assert telemetry.path == TELEMETRY

    def test_the_minimal_plan_of_the_reference_loads(self, tmp_path: Path) -> None:
        file = tmp_path / "plan.toml"
        file.write_text(MINIMAL, encoding="utf-8")
        assert load(file).objectives.rpo == timedelta(days=1)

    def test_a_plan_saved_with_a_byte_order_mark_loads(self, tmp_path: Path) -> None:
        file = tmp_path / "plan.toml"
        file.write_text(MINIMAL.replace("\n", "\r\n"), encoding="utf-8-sig")
        assert load(file).name == "garden"

    def test_the_reference_is_the_one_that_the_model_writes(self) -> None:
        on_disk = (ROOT / "docs" / "plan.md").read_text(encoding="utf-8")
        assert on_disk == document(), "run: python -m muster.plan_docs docs/plan.md"

    def test_no_prose_of_the_reference_is_indented_as_code_is(self) -> None:
        assert not [line for line in document().splitlines() if line.startswith("    ")]

    def test_every_key_is_described(self) -> None:
        assert not [line for line in document().splitlines() if line.startswith("| `") and line.split(" | ")[3].strip() == ""]


class TestWhatIsFilledIn:
    def test_a_service_has_the_unit_of_its_name(self, telemetry: Plan) -> None:
        assert telemetry.services["nginx"].unit == "nginx.service"
        assert telemetry.services["ingest"].unit == "telemetry-ingest.service"

    def test_a_dataset_lives_where_no_other_is_kept_apart(self, telemetry: Plan) -> None:
        assert telemetry.data["etc"].repositories == ("usb", "offsite")
        assert telemetry.data["keys"].repositories == ("vault", "vault-offsite")

    def test_a_dataset_lives_everywhere_when_every_repository_is_named(self) -> None:
        text = MINIMAL + '[data.more]\nclass = "data"\npaths = ["/srv"]\nrepositories = ["usb"]\n'
        assert build(tomllib.loads(text), Path("plan.toml")).data["broker"].repositories == ("usb",)

    def test_dumps_are_looked_for_in_the_first_path(self, telemetry: Plan) -> None:
        assert telemetry.data["readings"].dumps == "/var/backups/telemetry/readings/readings-*"
        assert telemetry.data["media"].dumps is None

    def test_a_metric_measures_the_dataset_of_its_name(self, telemetry: Plan) -> None:
        assert telemetry.metrics["media"].dataset == "media"
        assert telemetry.metrics["sum"].dataset == "readings"

    def test_local_paths_are_found_from_the_plan(self, telemetry: Plan) -> None:
        usb, offsite = telemetry.repositories["usb"], telemetry.repositories["offsite"]
        assert usb.is_local
        assert usb.url == str(ROOT / ".sample/usb/telemetry")
        assert usb.at == PurePosixPath("/mnt/usb/telemetry")
        assert usb.password.file == ROOT / ".sample/secrets/restic.password"
        assert not offsite.is_local
        assert offsite.url == "sftp:backup@offsite:/restic/telemetry"
        assert offsite.at is None
        assert offsite.known_hosts == ROOT / ".sample/secrets/known_hosts"

    def test_the_pi_sees_a_local_repository_where_it_is_unless_told(self) -> None:
        assert build(tomllib.loads(MINIMAL), Path("plan.toml")).repositories["usb"].at == PurePosixPath("/mnt/usb/restic")

    def test_a_services_closure_can_start_in_its_order(self, telemetry: Plan) -> None:
        assert telemetry.closure("nginx") == ("postgresql", "status", "nginx")
        assert set(telemetry.closure("ingest")) == {"mosquitto", "postgresql", "ingest"}
        assert telemetry.closure("ingest")[-1] == "ingest"

    def test_what_a_critical_service_needs_is_critical(self, telemetry: Plan) -> None:
        assert telemetry.critical == {"ingest", "mosquitto", "postgresql"}

    def test_a_dataset_without_an_rpo_is_held_to_the_plans(self, telemetry: Plan) -> None:
        assert telemetry.effective_rpo("readings") == timedelta(minutes=15)
        assert telemetry.effective_rpo("media") == timedelta(hours=1)


class TestMistakes:
    def test_seven_mistakes_are_reported_at_once(self) -> None:
        text = changed('hostname = "garden-pi"', 'hostnam = "garden-pi"')
        text = changed('rto = "1h"', "rto = 60", text)
        text = changed('media = "usb-ssd"\n', "", text)
        text = changed('class = "config"', 'class = "configs"', text)
        text = changed('uses = ["broker"]', 'uses = ["brokr"]\nafter = ["mosquitto"]', text)
        text = changed('service = "mosquitto"', 'service = "mosquito"', text)
        assert mistakes(text) == [
            'hostnam: is no key of a plan; did you mean "hostname"?',
            '[objectives] rto: has no unit; write "60s" for seconds or "60m" for minutes',
            "[repositories.usb] media: is missing (what it is kept on; copies on two kinds survive more)",
            '[data.broker] class: "configs" is none of config, state, data, secrets; did you mean "config"?',
            '[services.mosquitto] uses: "brokr" is no dataset; did you mean "broker"?',
            "[services.mosquitto] after: never starts: mosquitto -> mosquitto; each waits for the next",
            '[smoke.publish] service: "mosquito" is no service; did you mean "mosquitto"?',
            "hostname: is missing (its hostname; only snapshots of this host are restored)",
        ]

    def test_a_cycle_is_printed_as_a_path(self) -> None:
        text = TELEMETRY.read_text(encoding="utf-8")
        text = changed('after = ["mosquitto", "postgresql"]', 'after = ["mosquitto", "status"]', text)
        text = changed('[services.status]\nunit = "telemetry-status.service"\nafter = ["postgresql"]',
                       '[services.status]\nunit = "telemetry-status.service"\nafter = ["ingest"]', text)  # fmt: skip
        assert mistakes(text) == ["[services.ingest] after: never starts: ingest -> status -> ingest; each waits for the next"]

    def test_two_cycles_are_two_mistakes(self) -> None:
        ring = '[services.{a}]\nafter = ["{b}"]\n[services.{b}]\nafter = ["{a}"]\n'
        found = mistakes(MINIMAL + ring.format(a="one", b="two") + ring.format(a="three", b="four"))
        assert [line.split("starts: ")[1].split(";")[0] for line in found] == ["one -> two -> one", "three -> four -> three"]

    def test_an_unknown_key_names_the_nearest_right_one(self) -> None:
        assert mistakes(changed("ready =", "redy =")) == [
            '[services.mosquitto] redy: is no key of this table; did you mean "ready"?'
        ]

    def test_a_key_in_the_wrong_table_names_the_right_table(self) -> None:
        assert mistakes(changed('media = "usb-ssd"', 'media = "usb-ssd"\ntolerance = "1%"')) == [
            "[repositories.usb] tolerance: is no key of this table; it belongs in [metrics.NAME]"
        ]

    @pytest.mark.parametrize("rest", ["", "smoke = {}\n", "[metrics]\n"])
    def test_a_plan_that_checks_nothing_is_an_error(self, rest: str) -> None:
        text = MINIMAL[: MINIMAL.index("[smoke.")]
        text = rest + text if rest.startswith("smoke") else text + rest
        tables = "[smoke.NAME], [metrics.NAME], [invariants.NAME] or [watermark.NAME]"
        assert mistakes(text) == [f"nothing is checked, so every drill would pass; add {tables}"]

    def test_any_kind_of_check_is_enough(self) -> None:
        text = MINIMAL[: MINIMAL.index("[smoke.")]
        build(tomllib.loads(text + '[watermark.broker]\nrun = "date"\n'), Path("plan.toml"))
        build(tomllib.loads(text + '[metrics.files]\nrun = "ls /etc | wc -l"\n'), Path("plan.toml"))
        build(tomllib.loads(text + '[invariants.users]\ndataset = "broker"\nrun = "test -s /etc/passwd"\n'), Path("plan.toml"))

    @pytest.mark.parametrize("kind", ["data", "services", "repositories"])
    def test_a_plan_without_the_essential_tables_says_what_to_add(self, kind: str) -> None:
        without: dict[str, Any] = tomllib.loads(MINIMAL)
        del without[kind]
        for data in (without, without | {kind: {}}):
            with pytest.raises(PlanError, match=rf"{kind}: there is none; add a table \[{kind}\.NAME\]"):
                build(data, Path("plan.toml"))

    @pytest.mark.parametrize(
        ("old", "new", "said"),
        [
            ("schema = 1\n", "", "schema: is missing; write schema = 1"),
            ("schema = 1", "schema = 2", "write schema = 1"),
            ('name = "garden"', 'name = "the garden"', '"the garden" is no name'),
            ('"garden-pi"', '"garden_pi"', "is no hostname"),
            ('rto = "1h"', 'rto = "0s"', "must be longer than nothing"),
            ('rto = "1h"', 'rto = "1 parsec"', 'unknown unit "parsec"'),
            ('rto = "1h"', 'rto = "90"', 'has no unit; write "90s"'),
            ('["/etc/mosquitto"]', "[]", "[data.broker] paths: is empty"),
            ('["/etc/mosquitto"]', '["mosquitto"]', "is not a full path on the Pi"),
            ('["/etc/mosquitto"]', '["/"]', "cannot be restored over a running one"),
            ('["/etc/mosquitto"]', '["/etc/*"]', "is a pattern"),
            ('["/etc/mosquitto"]', '["/etc", "/etc/mosquitto"]', '"/etc/mosquitto" lies inside "/etc"'),
            ('["/etc/mosquitto"]', '["/etc/mosquitto"]\nmode = "rw"', "must be a mode"),
            ('["/etc/mosquitto"]', '["/etc/mosquitto"]\nmode = 600', "must be a mode"),
            ('["/etc/mosquitto"]', '["/etc/mosquitto"]\ndump = "x"', "nothing would load it"),
            ('["/etc/mosquitto"]', '["/etc/mosquitto"]\ninto = "mosquitto"', "means nothing without load"),
            ('["/etc/mosquitto"]', '["/etc/mosquitto"]\nrepositories = []', "is backed up nowhere"),
            ('["/etc/mosquitto"]', '["/etc/mosquitto"]\nrepositories = ["ubs"]', '"ubs" is no repository; did you mean "usb"?'),
            ('["/etc/mosquitto"]', '["/etc/mosquitto"]\nclass_ = "config"', 'did you mean "class"?'),
            ("{ tcp = 1883 }", "{ tcp = 70000 }", "ready.tcp: must be 65535 or less"),
            ("{ tcp = 1883 }", '{ tcp = "1883" }', "ready.tcp: must be a whole number, without quotes"),
            ("{ tcp = 1883 }", '{ tcp = 1883, unit = "active" }', "exactly one of tcp, unit, http and run"),
            ("{ tcp = 1883 }", '{ within = "9s" }', "exactly one of tcp, unit, http and run"),
            ("{ tcp = 1883 }", "1883", "must be a table, e.g. ready = { tcp = 1883 }"),
            ('"mosquitto-clients"', '"Mosquitto"', "is no Debian package name"),
            ('"mosquitto-clients"', '"mosquitto"', '"mosquitto" stands there twice'),
            ('run = "mosquitto_pub -h localhost -t test -m hello"', 'run = " "', "[smoke.publish] run: is empty"),
            ('"/mnt/usb/restic"', '"sfpt:pi@nas:/x"', 'begins with "sfpt:", which restic does not know'),
            ("[objectives]", "[[objectives]]", "objectives"),
        ],
    )
    def test_one_mistake_is_one_sentence(self, old: str, new: str, said: str) -> None:
        found = mistakes(changed(old, new))
        assert len(found) == 1
        assert said in found[0]

    @pytest.mark.parametrize("tolerance", ['"100%"', '"-1%"', "-1", '"a bit"', "nan", "inf", "true"])
    def test_a_tolerance_that_lets_anything_pass_is_refused(self, tolerance: str) -> None:
        assert len(mistakes(f'{MINIMAL}[metrics.rows]\nrun = "x"\ntolerance = {tolerance}\n')) == 1

    def test_one_path_in_two_datasets_of_one_repository_is_a_mistake(self) -> None:
        more = '[data.more]\nclass = "config"\npaths = ["/etc/mosquitto/conf.d"]\n'
        (found,) = mistakes(MINIMAL + more)
        assert found == (
            '[data.more] paths: "/etc/mosquitto/conf.d" lies inside "/etc/mosquitto" and so in the dataset "broker", too; '
            "keep it in one of them, or exclude it in the other"
        )

    def test_a_path_that_the_wider_dataset_excludes_is_no_mistake(self) -> None:
        more = '[data.more]\nclass = "config"\npaths = ["/etc/mosquitto/conf.d"]\n'
        text = changed('["/etc/mosquitto"]', '["/etc/mosquitto"]\nexclude = ["/etc/mosquitto/conf.d"]')
        build(tomllib.loads(text + more), Path("plan.toml"))

    def test_a_repository_that_holds_nothing_is_a_mistake(self) -> None:
        text = changed('class = "config"', 'class = "config"\nrepositories = ["usb"]')
        text += '[repositories.spare]\nurl = "/x"\nmedia = "disk"\npassword = { env = "X" }\n'
        assert mistakes(text) == ["[repositories.spare]: holds no dataset; name it in the repositories of one, or remove it"]


class TestSecretsInAPlan:
    @pytest.mark.parametrize(
        "written",
        [
            'password = "hunter2"',
            'password = { value = "hunter2" }',
            'password = { env = "hunter2!" }',
            'password = { env = ["hunter2"] }',
            'pasword = "hunter2"\npassword = { env = "X" }',
            'password = { env = "X" }\nenvironment = { A = "hunter2" }',
        ],
    )
    def test_a_value_in_the_place_of_a_reference_is_never_shown(self, written: str) -> None:
        found = mistakes(changed('password = { file = "usb.password" }', written))
        assert len(found) == 1
        assert "hunter2" not in found[0]

    def test_a_password_in_a_url_is_refused_and_never_shown(self) -> None:
        found = mistakes(changed('"/mnt/usb/restic"', '"rest:https://pi:hunter2@nas/"'))
        assert found == [
            "[repositories.usb] url: holds a password; give it as environment = { RESTIC_REST_PASSWORD = { file = ... } }"
        ]

    @pytest.mark.parametrize("reference", ["{}", '{ env = "A", file = "b" }'])
    def test_a_reference_goes_exactly_one_way(self, reference: str) -> None:
        found = mistakes(changed('{ file = "usb.password" }', reference))
        assert found == ["[repositories.usb] password: give exactly one of env, file or command"]


class TestFilesThatAreNoPlans:
    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"", "is empty; a recovery plan starts with schema = 1."),
            (b"# nothing\n", "is empty"),
            (b"schema = 1\nname = garden\n", "line 2, column 8 is not TOML: invalid value."),
            (b"schema = 1\n[data", "the end of the file is not TOML"),
            (b'schema = 1\nname = "\xe9"\n', "line 2 is not text in UTF-8"),
            (b"a = " + b"[" * 5000, "nested too deep"),
            (b"a" + b".a" * 50_000 + b" = 1", "line 1 is longer than 8192 characters"),
            (b"a = " + b"9" * 5000, "a number or a date in it cannot be read"),
            (b"#" * 300_000, "is larger than 256 KiB"),
        ],
    )
    def test_a_file_that_is_no_plan_is_one_sentence(self, tmp_path: Path, content: bytes, said: str) -> None:
        file = tmp_path / "plan.toml"
        file.write_bytes(content)
        with pytest.raises(PlanError) as caught:
            load(file)
        assert said in str(caught.value)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        ("make", "said"),
        [
            (lambda folder: folder / "none.toml", "does not exist"),
            (lambda folder: folder, "is a folder"),
            (lambda _: Path("/dev/zero"), "is no ordinary file"),
            (lambda folder: folder / ("x" * 5000), "cannot be read"),
            (lambda folder: folder / "a\0b", "does not exist|cannot be the name"),
        ],
    )
    def test_a_path_that_leads_to_no_plan_is_one_sentence(self, tmp_path: Path, make: Callable[[Path], Path], said: str) -> None:
        with pytest.raises(PlanError, match=said):
            load(make(tmp_path))


class TestDurations:
    @pytest.mark.parametrize(
        ("text", "seconds"),
        [
            ("90s", 90), ("45m", 2700), ("1h30m", 5400), ("7d", 604800), ("500ms", 0.5), ("1w", 604800), ("2min", 120),
            ("1 h 30 min", 5400), ("1.5h", 5400), ("2 hours", 7200), (" 1d ", 86400), ("1M", 2629800), ("1m", 60),
        ],
    )  # fmt: skip
    def test_systemds_words_are_read(self, text: str, seconds: float) -> None:
        assert duration(text) == timedelta(seconds=seconds)

    @pytest.mark.parametrize(
        "value", [90, 1.5, True, "", " ", "90", "s", "1h-", "-1h", "1h 30", "1 fortnight", "0s", "99y", "٣s", [], None]
    )
    def test_anything_else_is_refused(self, value: object) -> None:
        with pytest.raises(ValueError, match=r"."):
            duration(value)

    @pytest.mark.parametrize("text", ["90d", "1h30m", "1m30s", "500ms", "1d1h1m1s1ms"])
    def test_a_duration_is_written_as_it_is_read(self, text: str) -> None:
        assert duration(in_words(duration(text))) == duration(text)
