"""The seal on a living Pi: silent on a healthy one, and on a careless one it names what no backup would bring back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from muster.backups.filelist import SealedFile, read_list
from muster.backups.manifest import Manifest, parse
from tests.system.breaking import Sample

SEALING = "muster-seal --run test --output /root/seal/manifest.json"
ACCEPTED = "/etc/telemetry/backup"  # the passwords, which are in the owner's envelope
# By path: what makes it.
CARELESS = {
    "/etc/crontab": "echo '0 3 * * * root /usr/local/sbin/prune' >> /etc/crontab",
    "/etc/cron.d/mine": "echo '0 4 * * * root true' > /etc/cron.d/mine",
    "/etc/garden": "mkdir /etc/garden && echo soil=wet > /etc/garden/garden.conf && touch /etc/garden/empty",
    "/etc/fstab": "echo 'LABEL=usb /mnt/usb ext4 nofail 0 2' >> /etc/fstab",
    "/home/pi/notes": "mkdir /home/pi/notes && head -c 2000000 /dev/zero > /home/pi/notes/all",
    "/opt/app": "mkdir /opt/app && head -c 2000000 /dev/zero > /opt/app/bin",
    "/root/.ssh/authorized_keys": "mkdir -p /root/.ssh && echo ssh-ed25519 AAAA me > /root/.ssh/authorized_keys",
    "/srv/shared": "mkdir -p /srv/shared/deep && head -c 2000000 /dev/zero > /srv/shared/deep/film",
    "/usr/local/sbin": "echo true > /usr/local/sbin/prune",
    "/var/lib/docker/volumes/app/_data": "cd /var/lib; mkdir -p docker/volumes/app/_data; echo 1 > docker/volumes/app/_data/row",
    "/var/lib/garden": "mkdir /var/lib/garden && head -c 2000000 /dev/zero > /var/lib/garden/state.db",
    "/var/spool/cron/crontabs/pi": "echo '0 5 * * * true' > /var/spool/cron/crontabs/pi",
}
HARMLESS = """
mkdir /srv/small && echo 1 > /srv/small/file; echo '# nothing yet' > /etc/nothing.conf; touch /etc/empty
ln -s /usr/lib/systemd/system/cron.service /etc/systemd/system/alias.service; mkdir /opt/empty
cp /etc/crontab /etc/crontab.dpkg-old
mkdir -p /home/pi/.cache && head -c 2000000 /dev/zero > /home/pi/.cache/thumbs
"""
TIDY = f"""
sed -i '/prune/d' /etc/crontab; sed -i '/LABEL=usb/d' /etc/fstab
rm -rf {" ".join(path for path in CARELESS if path not in ("/etc/crontab", "/etc/fstab", "/usr/local/sbin"))} /root/.ssh
rm -rf /usr/local/sbin/prune /srv/small /etc/nothing.conf /etc/empty /etc/systemd/system/alias.service /opt/empty /var/lib/docker
rm -rf /etc/crontab.dpkg-old /home/pi/.cache
"""


def sealed(system: Sample, options: str = "") -> Manifest:
    assert system.living.run(f"{SEALING} {options}") == ""
    return parse(system.living.run("cat /root/seal/manifest.json"))


def listed(system: Sample, manifest: Manifest) -> dict[str, SealedFile]:
    return read_list(system.living.run("cat /root/seal/files.jsonl") + "\n", manifest.file_list)


@contextmanager
def broken(system: Sample, do: str, undo: str) -> Iterator[None]:
    try:
        system.living.run(f"set -e; {do}")
        yield
    finally:
        system.living.run(undo)


def test_a_healthy_pi_has_nothing_that_its_plan_does_not_cover(system: Sample) -> None:
    manifest = sealed(system)
    assert [entry.path for entry in manifest.uncovered] == [ACCEPTED]
    assert manifest.uncovered_is_whole


def test_all_that_a_careless_owner_forgot_is_found_and_nothing_else(system: Sample) -> None:
    with broken(system, HARMLESS + "\n".join(CARELESS.values()), TIDY):
        manifest = sealed(system)
    assert [entry.path for entry in manifest.uncovered] == sorted([*CARELESS, ACCEPTED])
    kinds = {entry.path: entry.kind for entry in manifest.uncovered}
    assert kinds["/etc/crontab"] == "changed-conffile"
    assert kinds["/var/lib/docker/volumes/app/_data"] == "volume"
    assert kinds["/srv/shared"] == "folder"
    assert [entry.path for entry in sealed(system).uncovered] == [ACCEPTED]


def test_every_file_has_a_digest_and_no_secret_has(system: Sample) -> None:
    manifest = sealed(system)
    files = listed(system, manifest)
    assert manifest.file_list is not None
    assert manifest.file_list.unhashed == 0
    secret = {path for path in manifest.secrets if files[path].sha256 == ""}
    assert secret == set(manifest.secrets)
    assert {file.path for file in files.values() if file.type == "file" and not file.sha256} == secret
    capability = files["/srv/media/special/capability"]
    assert capability.sha256 == system.living.run("sha256sum < /srv/media/special/capability").split()[0]
    assert "security.capability" in capability.xattrs
    assert "system.posix_acl_access" in files["/srv/media/special/acl"].xattrs


def test_services_are_seen_with_the_files_that_they_hold_open(system: Sample) -> None:
    services = sealed(system).services
    assert all(service.active == "active" for service in services.values())
    assert "/var/lib/telemetry/events.db" in services["recorder"].paths
    assert "/var/lib/postgresql/17/main" in services["postgresql"].paths
    assert "/usr/local/lib/telemetry/run" in services["ingest"].paths  # behind a link


def test_a_disk_that_is_not_mounted_lies_on_the_system(system: Sample) -> None:
    mounts = sealed(system).mounts
    assert (mounts["repositories.usb"].exists, mounts["repositories.usb"].with_system) == (True, False)
    assert mounts["data.media"].with_system
    with broken(system, "sed -i 's,/mnt/usb/telemetry,/media/usb/telemetry,' /etc/muster/plan.toml",
                "sed -i 's,/media/usb/telemetry,/mnt/usb/telemetry,' /etc/muster/plan.toml"):  # fmt: skip
        gone = sealed(system).mounts["repositories.usb"]
    assert (gone.exists, gone.with_system) == (False, True)


def test_a_timer_is_told_as_systemd_has_it(system: Sample) -> None:
    system.living.backup()  # or systemd tells of whatever run another test has made fail
    timer = sealed(system).timer
    assert timer is not None
    assert (timer.file_state, timer.calendars, timer.service) == ("enabled", ("*-*-* *:00/10:00",), "telemetry-backup.service")
    assert (timer.service_active, timer.service_result, timer.service_exit) == ("inactive", "success", 0)
    with broken(system, "systemctl disable -q telemetry-backup.timer", "systemctl enable -q telemetry-backup.timer"):
        timer = sealed(system).timer
        assert timer is not None
        assert timer.file_state == "disabled"
    # A timer that is behind starts its service at once, and has no next time before that has ended.
    started = "systemctl start telemetry-backup.timer; systemctl start telemetry-backup.service"
    with broken(system, started, "systemctl stop telemetry-backup.timer"):
        timer = sealed(system).timer
        assert timer is not None
        assert timer.next_elapse is not None


def test_the_backup_is_told_as_running_when_it_seals_itself(system: Sample) -> None:
    system.living.backup()
    manifest = parse(system.living.run("cat /var/lib/muster/manifest.json"))
    assert manifest.timer is not None
    assert (manifest.timer.service_active, manifest.timer.service_ended) == ("activating", None)


def test_a_restored_tree_is_sealed_again_with_the_facts_of_the_living_pi(system: Sample) -> None:
    before = sealed(system)
    do = "cp /root/seal/manifest.json /root/old.json; systemctl stop mosquitto; echo more > /etc/telemetry/config/more"
    with broken(system, do, "rm /etc/telemetry/config/more /root/old.json; systemctl start mosquitto"):
        again = sealed(system, "--run later --again /root/old.json")
        assert "/etc/telemetry/config/more" in listed(system, again)
    assert (again.again, again.run) == ("test", "later")
    assert again.services == before.services
    assert again.metrics == before.metrics
    assert again.datasets["etc"].files == before.datasets["etc"].files + 1
