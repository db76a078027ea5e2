"""A drill that recovered, with what a person types for it, as journals tell it: small, and with everything a runbook has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.data.told import Told, node

if TYPE_CHECKING:
    from pathlib import Path

RESTIC = "restic --repo /mnt/usb/pi --password-file /run/recovery/usb.password --no-lock"
PLAN = """
[machine]
os = "trixie"
hardware = "pi4"
[schedule]
timer = "pi-backup.timer"
[data.etc]
paths = ["/etc/mosquitto"]
[data.readings]
paths = ["/var/backups/readings"]
[rotate.mqtt]
after = ["tls"]
run = "rotate mqtt"
secrets = ["/etc/mosquitto/passwd"]
new_works = "selftest login"
[rotate.tls]
run = "rotate tls"
"""


def steps() -> list[dict[str, Any]]:
    """The graph: a critical broker, an archive, a usual page, and their checks."""
    return [
        node("provision machine", "provisioned") | {"urgency": 0},
        node("restore usb", "configured", needs=["provision machine"]) | {"urgency": 0},
        node("restore archive", "restored", needs=["restore usb"]) | {"urgency": 2},
        node("start page", "serving", "page", needs=["start broker"]) | {"urgency": 1},
        node("start broker", "serving", "broker", needs=["restore usb"]) | {"urgency": 0},
        node("smoke login", "verified", "broker", needs=["start broker"]) | {"urgency": 0},
        node("metric rows", "verified", "page", needs=["start page"]),
    ]


def typed(step: str, title: str, *commands: str, **other: str) -> dict[str, object]:
    """The facts of a `typed` event."""
    return {"step": step, "title": title, "commands": list(commands), **other}


RESTORE = f'{RESTIC} restore "${{SNAPSHOT_USB:-latest}}" --host pi --target / --include'
TYPED = (
    typed("provision machine", "Name the machine", "hostnamectl set-hostname pi"),
    typed("provision machine", "Install the packages", "apt-get update", "apt-get install -y mosquitto restic"),
    typed(
        "restore usb",
        "Bring back configuration from usb",
        f"{RESTORE} /etc/mosquitto",
        expect="The configuration of the broker is back.",
        check="test -s /etc/mosquitto/mosquitto.conf",
        otherwise="See whether restic named another error, and look at the disk.",
    ),
    typed("restore archive", "Bring back the archive", f"{RESTORE} /srv"),
    typed("start page", "Start page", "systemctl restart page"),
    typed("start broker", "Start broker", "systemctl restart mosquitto", expect="It listens.", check="nc -z localhost 1883"),
    typed("smoke login", "Ask: login", "selftest login", expect="accepted", check="selftest login", otherwise="See passwords."),
    typed("metric rows", "Ask: rows", "rows", expect="42", check='test "$(rows)" = 42', otherwise="Take another restore point."),
)
CASE = {
    "name": "disk-loss",
    "class_": "disk-loss",
    "about": "The Pi is gone",
    "restore": "latest",
    "lost": [],
    "passwords": "usual",
    "first_sign": "",
    "section": "The disk is gone",
    "planted": "",
}


def told(
    path: Path,
    handbook: tuple[dict[str, object], ...] = TYPED,
    case: dict[str, object] | None = None,
    **begin: Any,  # noqa: ANN401  # any fact of the first event
) -> Told:
    """The journal of it, still open; `case` replaces facts of its incident."""
    journal = Told(path)
    facts: dict[str, Any] = {
        "plan": "pi",
        "about": "A broker and a page",
        "hostname": "pi",
        "services": {"broker": {"rto": None}, "page": {"rto": None}},
        "manual": [
            {"before": "provisioned", "what": "Flash the SD card", "seconds": 480.0},
            {"before": "configured", "what": "Fetch the disk and the envelope", "seconds": 150.0},
        ],
        "versions": {"pytest-muster": "1.2.3", "host": "laptop"},
    }
    journal.drill(steps(), **facts | begin)
    journal.write("case", **CASE | (case or {}))
    journal.write("plan", path="plans/pi.toml", text=PLAN)
    journal.write(
        "place",
        name="usb.password",
        repository="usb",
        what="password",
        found="file /home/me/usb.password",
        second="file /media/envelope/usb.password",
    )
    journal.write("carried", what="packages installed", seconds=30.0, measured_at="2026-03-01")
    journal.write(
        "restore_point",
        repository="usb",
        url="/mnt/usb/pi",
        snapshot="1a2b3c4d" * 8,
        time="2026-03-01T08:00:00Z",
        host="pi",
        datasets=["etc", "readings"],
    )
    journal.write(
        "listed", repository="usb", snapshots=[["0a" * 32, "2026-02-28T08:00:00Z"], ["1a2b3c4d" * 8, "2026-03-01T08:00:00Z"]]
    )
    clock = 0.0
    for name in (
        "provision machine",
        "restore usb",
        "start broker",
        "smoke login",
        "start page",
        "metric rows",
        "restore archive",
    ):
        journal.step(name, clock, clock + 10)
        clock += 10
    for each in handbook:
        journal.write("typed", **each)
    journal.write("ended", how="finished")
    return journal
