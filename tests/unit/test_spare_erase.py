from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from muster.errors import HarnessError
from muster.machines.sparing import facts as module
from muster.machines.sparing.clean import require_room
from muster.machines.sparing.erase import require_other, require_spare
from muster.machines.sparing.facts import Facts, parse
from muster.machines.sparing.production import Production
from muster.plan import load
from tests.fake.machine import write_plan

HEALTHY = """\
hostname\tspare-pi
machine\tabc
model\tRaspberry Pi 4 Model B Rev 1.4
architecture\tarm64
release\ttrixie
up\t180000
address\t192.168.1.7
free\t20000000
used\t3000000
root\t0
"""
PI = Production("tiny-pi", ("tiny-pi", "nas"), ("app.service",), ("/srv/media",))
ADDRESSES = {"192.168.1.5": "tiny-pi", "192.168.1.9": "nas"}


def refusal(more: str, replaced: str = "") -> str:
    kept = [line for line in HEALTHY.splitlines() if not replaced or not line.startswith(f"{replaced}\t")]
    with pytest.raises(HarnessError) as caught:
        require_spare("spare-pi", parse("\n".join([*kept, more])), PI, ADDRESSES)
    return str(caught.value)


def test_a_clean_machine_of_another_name_may_be_erased() -> None:
    require_spare("spare-pi", parse(HEALTHY), PI, ADDRESSES)


def test_the_pis_own_name_is_refused() -> None:
    assert "it is called tiny-pi, as the Pi of the plan" in refusal("hostname\ttiny-pi", "hostname")


def test_the_pis_own_name_in_a_domain_is_refused() -> None:
    assert "it is called tiny-pi" in refusal("hostname\ttiny-pi.lan", "hostname")


def test_an_address_that_the_plan_names_is_refused_with_whose_it_is() -> None:
    assert "its address 192.168.1.9 is that of nas, which the plan names" in refusal("address\t192.168.1.9")


def test_somebody_who_is_logged_in_is_named_with_the_uptime() -> None:
    assert "alice is logged in, and it has been up for 2 d 2 h" in refusal("user\talice\nuser\talice")


def test_running_services_of_the_plan_are_named() -> None:
    assert "app.service of the plan runs on it" in refusal("unit\tapp.service")


def test_data_where_the_plans_is_is_named() -> None:
    assert "it holds data where the plan's is: /srv/media/a.jpg" in refusal("data\t/srv/media/a.jpg")


def test_every_sign_is_told_at_once_and_that_nothing_was_changed() -> None:
    said = refusal("unit\tapp.service\ndata\t/srv/media/a.jpg")
    assert "app.service" in said
    assert "/srv/media/a.jpg" in said
    assert "Nothing on it was changed" in said


def test_another_disk_that_could_not_be_taken_back_is_refused() -> None:
    assert "file systems beside its own card: /mnt/data" in refusal("disk\t/mnt/data")


def test_what_is_no_raspberry_pi_os_is_refused() -> None:
    assert "it has no apt-get, which installs the plan's packages" in refusal("missing\tapt-get")


def test_the_harnesss_own_tools_may_be_missing() -> None:
    require_spare("spare-pi", parse(f"{HEALTHY}missing\trsync\nmissing\tnft\nmissing\tsshfs\n"), PI, ADDRESSES)


def test_the_machine_that_was_backed_up_is_refused_by_its_machine_id() -> None:
    with pytest.raises(HarnessError, match="the very machine that was backed up"):
        require_other("spare-pi", parse(HEALTHY), "abc")


def test_another_machine_id_or_none_is_no_sign() -> None:
    require_other("spare-pi", parse(HEALTHY), "def")
    require_other("spare-pi", parse(HEALTHY), "")


def test_a_card_without_room_for_the_copy_is_refused_with_both_sizes() -> None:
    with pytest.raises(HarnessError, match=r"has 2.0 GB free, and a copy .* takes 4.1 GB"):
        require_room("spare-pi", parse("free\t2000000\nused\t3000000\nkept\t0"))


def test_a_copy_that_is_there_already_needs_no_room_again() -> None:
    require_room("spare-pi", parse("free\t2000000\nused\t6000000\nkept\t3000000"))


def test_the_plan_says_what_production_is(tmp_path: Path) -> None:
    path = write_plan(tmp_path)
    text = path.read_text().replace('url = "vault"', 'url = "sftp:backup@nas.lan:/restic"')
    path.write_text(f'{text}\n[services.ssh]\n\n[pi]\naddress = "pi@192.168.1.5:2222"\n')
    pi = Production.of(load(path))
    assert pi.hostname == "tiny-pi"
    assert pi.hosts == ("tiny-pi", "192.168.1.5", "nas.lan")
    assert pi.units == ("db.service", "app.service", "web.service"), "ssh.service runs on every Pi"
    assert pi.paths == ("/var/backups/rows", "/srv/media", "/etc/keys")


def test_addresses_are_looked_up_and_loopback_is_nobodys() -> None:
    assert Production("h", ("192.0.2.9", "localhost", "no-such-host.invalid"), (), ()).addresses() == {"192.0.2.9": "192.0.2.9"}


def seen(*paths: Path, units: str = "") -> Facts:
    """What facts.sh says of this very host; it changes nothing."""
    script = Path(module.__file__).with_name("facts.sh")
    done = subprocess.run(
        ["sh", str(script), units, "\n".join(map(str, paths))], capture_output=True, text=True, check=True, timeout=60
    )
    return parse(done.stdout)


def test_the_first_file_of_data_is_found_and_an_empty_folder_holds_none(tmp_path: Path) -> None:
    full, empty = tmp_path / "full folder", tmp_path / "empty"
    (full / "deep").mkdir(parents=True)
    (empty / "deep").mkdir(parents=True)
    (full / "deep" / "photo.jpg").touch()
    assert seen(full, empty, tmp_path / "missing").all("data") == [str(full / "deep" / "photo.jpg")]


def test_files_that_a_package_brought_are_no_data() -> None:
    assert seen(Path("/usr/share/doc/dpkg")).all("data") == []


def test_the_facts_of_this_host_are_complete() -> None:
    found = seen()
    assert all(found.one(name) for name in ("hostname", "machine", "boot", "architecture", "up", "free", "used", "root"))
    assert found.number("free") > 0
