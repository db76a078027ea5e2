"""After a compromise: every credential of the recovered sample is replaced, the old ones are refused, and all clients work."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path

import pytest

from images import sample
from images.sample_pi import replace_key
from muster.catalogue.rotation import ROTATION
from muster.drill import Blocked, Drill
from muster.errors import MusterError
from muster.incidents import credential
from muster.plan import load
from muster.record import Record
from muster.session import Options, Session, new_run
from tests.system.breaking import Sample, found, told
from tests.system.running import lost_at, written_plan

SECRETS = (
    "find /etc/telemetry/keys /etc/ssh/ssh_host_ed25519_key /run/muster/rotated -type f -exec base64 -w0 {} ';' -exec echo ';'"
)
LOCAL, OFFSITE = {"usb", "vault"}, {"offsite", "vault-offsite"}
NOT_RELOADED = """\
run = '''
cd /etc/telemetry/keys
for user in ingest recorder publisher; do
  head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \\n' > mqtt-$user.password
  printf '%s:%s\\n' $user "$(cat mqtt-$user.password)"
done > /run/passwd && chmod 0600 /run/passwd && mosquitto_passwd -U /run/passwd && cat /run/passwd > mosquitto.passwd
'''
"""
RECORDER_FORGOTTEN = """\
[rotate.recorder]
after = ["mqtt"]
run = '''
printf 'recorder:%s\\n' "$(head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \\n')" > /run/recorder && chmod 0600 /run/recorder
mosquitto_passwd -U /run/recorder && sed -i /^recorder:/d /etc/telemetry/keys/mosquitto.passwd
cat /run/recorder >> /etc/telemetry/keys/mosquitto.passwd
'''
secrets = ["/etc/telemetry/keys/mosquitto.passwd"]
old_fails = "grep -qxFf \\"$OLD_DIR/etc/telemetry/keys/mosquitto.passwd\\" /etc/telemetry/keys/mosquitto.passwd"
new_works = "true"

[rotate.host-key]
"""


@contextlib.contextmanager
def rehearsed(system: Sample, home: Path, change: Callable[[str], str] = str, **words: object) -> Iterator[Drill]:
    """The drill of a compromise, concluded, while its machine is still there."""
    client = system.client
    options = Options(system.out, new_run(), lost_at=datetime.fromisoformat(lost_at(home)))
    put_store = sample.store_for(client, home)
    session = Session(
        options,
        lambda _plan, _reached, network, labels: put_store(network, labels),
        say=lambda _: None,
        change_key=lambda _, __, labels, old, new: replace_key(client, labels, old, new),
    )
    drill = session.drill(load(written_plan(home, change)), "compromise", **words)
    try:
        with contextlib.suppress(MusterError, Blocked):
            drill.conclude()
        yield drill
    finally:
        session.close()


@contextlib.contextmanager
def watched_processes() -> Iterator[set[str]]:
    """The command lines of every process of this host meanwhile, containers' included."""
    seen: set[str] = set()
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    seen.add(path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()


def content(folder: Path) -> Mapping[str, str]:
    """All files below a folder, by what is in them."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def values(drill: Drill) -> set[str]:
    """Every secret that the recovered Pi has or had, line by line."""
    files = drill.context.console.read_secret(SECRETS).split()
    lines = [line for file in files for line in base64.b64decode(file).decode("utf-8", "replace").splitlines()]
    return {line.strip() for line in lines if len(line) > 20 and not line.startswith("-----") and "/" not in line[:1]}


def of_rotations(record: Record) -> list[str]:
    """What was found wrong with the credentials."""
    codes = {entry.code for entry in ROTATION.entries}
    return [f"{finding.code} {finding.where}: {finding.what}" for finding in record.findings if finding.code in codes]


def test_every_credential_is_replaced_and_every_client_works(system: Sample) -> None:
    home = system.copy("compromised")
    before = {name: content(home / name) for name in ("usb", "offsite")}
    with watched_processes() as seen, rehearsed(system, home) as drill:
        record = drill.record
        secrets = values(drill)
    assert of_rotations(record) == [], told(record)
    proofs = {(each.old_worked, each.old_refused, each.new_works) for each in record.case_file.rotated}
    assert proofs == {(True, True, True)}
    assert {each.name for each in record.case_file.rotated} >= {*drill.plan.rotate, *LOCAL, *OFFSITE}
    steps = [
        step for name, step in record.steps.items() if name.startswith(("rotate:", "rekey:", "again:", "reconnect", "still-up"))
    ]
    assert {step.outcome for step in steps} == {"done"}, told(record)
    assert len(secrets) > 20
    journal = drill.journal.path.read_text()
    assert not [value for value in secrets if value in journal or any(value in line for line in seen)]
    assert {name: content(home / name) for name in ("usb", "offsite")} == before


def test_rotations_that_do_half_of_it_are_found(system: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    """One does nothing, one tells the clients alone, one the broker alone; each is told by what it leaves undone."""

    def change(text: str) -> str:
        text = text.replace('run = "telemetry-rotate mqtt"\n', NOT_RELOADED).replace("telemetry-rotate host-key", "true")
        return text.replace("[rotate.host-key]\n", RECORDER_FORGOTTEN)

    monkeypatch.setattr(credential, "PATIENCE", 1.0)  # none of these comes right if it is waited for
    home = system.copy("half-rotated")
    with rehearsed(system, home, change, lost=sorted(OFFSITE), rotate=["mqtt", "recorder", "host-key"]) as drill:
        record = drill.record
    found(record, "secret-not-rotated", "/etc/ssh/ssh_host_ed25519_key")
    found(record, "old-credential-works", "host-key")
    found(record, "old-credential-works", "mqtt")
    found(record, "new-credential-refused", "mqtt")
    assert "recorder" in found(record, "rotation-locks-out", "recorder").what
    assert record.verdict == "failed"
    assert {record.steps[f"again:{name}"].outcome for name in ("round-trip", "status-page")} == {"done"}, told(record)
    assert not OFFSITE & {each.name for each in record.case_file.rotated}
