"""The sample system, whole and broken by hand: a living Pi, copies of what is left of it, and drills that recover those."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import docker

from images import sample
from images.sample_pi import PLAN, SamplePi, as_root
from muster.drill import Blocked
from muster.errors import MusterError
from muster.exercise import Exercise
from muster.findings import Finding
from muster.machines.machine import Machine
from muster.plan import Plan, load
from muster.record import Record
from muster.session import Options, Session, new_run

Change = Callable[[str], str]
MakeMachine = Callable[[Plan, Mapping[str, str]], Machine | None]
LOST_AT = "lost-at"

# An archive of hundreds instead of thousands: every kind of file is still among them, and every drill is seconds shorter.
_SMALL_ARCHIVE = """
rm -rf /srv/media/photos/2026-0[2-9] /srv/media/photos/2026-1*
cd /usr/local/lib/telemetry && python3 -B - <<'END'
import json
from telemetry import archive
from telemetry.settings import MEDIA
(MEDIA / archive.LIST).write_text(json.dumps(archive.describe(MEDIA), indent=0))
END
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """What makes, breaks and recovers sample systems. `folder` holds their homes; `out` what drills write."""

    client: docker.DockerClient
    living: SamplePi
    whole: Path
    folder: Path
    out: Path

    def copy(self, name: str) -> Path:
        """A copy of what is left of the healthy Pi, to break."""
        return copy_home(self.client, self.whole, self.folder / name)

    def backed_up(self, name: str, do: str, undo: str = "true", *, backup: str | None = "") -> Path:
        """What is left of a Pi that `do` broke before it backed itself up, and that is lost then; `undo` heals the living one.

        `backup` holds options of its backup; without one nothing is backed up. A station has a reading of this moment then: how
        long ago other tests had it measure something is no loss of data.
        """
        self.living.feed(1)
        try:
            self.living.run(do)
            if backup is not None:
                with self.living.ticking():
                    self.living.backup(backup)
            return copy_home(self.client, self.living.home, self.folder / name)
        finally:
            self.living.run(undo)

    def recover(  # a drill has as many options
        self,
        home: Path,
        *,
        change: Change = str,
        repositories: tuple[str, ...] = (),
        store: bool = True,
        lost_at: datetime | None = None,
        make_machine: MakeMachine | None = None,
    ) -> Record:
        """Drill the recovery of what is left in `home`; `change` is made to the text of the plan first."""
        offsite = store and any("offsite" in name for name in repositories)
        options = Options(self.out, new_run(), repositories=repositories, lost_at=lost_at or lost(home))
        session = self._session(home, options, store=offsite, make_machine=make_machine)
        return _concluded(session, session.drill(_written(home, change), "disk-loss"))

    def inspect(  # an inspection has as many options
        self,
        home: Path,
        *,
        change: Change = str,
        repositories: tuple[str, ...] = (),
        store: bool = True,
        lost_at: datetime | None = None,
        make_machine: MakeMachine | None = None,
    ) -> Record:
        """Inspect the backups in `home`, all of them or these `repositories`; `change` is made to the text of the plan first."""
        store = store and (not repositories or any("offsite" in name for name in repositories))
        options = Options(self.out, new_run(), lost_at=lost_at or lost(home))
        session = self._session(home, options, store=store, make_machine=make_machine)
        return _concluded(session, session.inspection(_written(home, change), repositories))

    def _session(self, home: Path, options: Options, *, store: bool, make_machine: MakeMachine | None) -> Session:
        put_store = sample.store_for(self.client, home)
        on_network = (lambda _plan, _reached, network, labels: put_store(network, labels)) if store else None
        return Session(options, on_network=on_network, make_machine=make_machine, say=lambda _: None)


def _written(home: Path, change: Change) -> Plan:
    path = home / "plan.toml"
    path.write_text(change(PLAN.read_text().replace("../../.sample", str(home))))
    return load(path)


def _concluded(session: Session, exercise: Exercise) -> Record:
    try:
        with contextlib.suppress(MusterError, Blocked):
            exercise.conclude()
    finally:
        records = session.close()
    return records[0]


@contextlib.contextmanager
def living_pi(client: docker.DockerClient, home: Path, readings: int, media_mb: int) -> Iterator[SamplePi]:
    """A Pi that has lived a little, has backed itself up once to both places, and does nothing that it is not told to."""
    with SamplePi(client, sample.new_home(home), media_mb) as pi:
        pi.run(f"systemctl stop telemetry-backup.timer; {_SMALL_ARCHIVE}")
        pi.feed(readings, span=timedelta(minutes=5))
        with pi.feeding(), pi.ticking():
            pi.backup()
        yield pi


def copy_home(client: docker.DockerClient, source: Path, target: Path) -> Path:
    """Copy what outlives a Pi, for the user who runs this to read and to break. A living one is lost at that moment.

    Drills go by that: how long other tests took since then is no loss of data.
    """
    shutil.rmtree(target, ignore_errors=True)
    if os.getuid():
        owner = f"{os.getuid()}:{os.getgid()}"
        copying = f"cp -a {source.name} {target.name} && chown -R {owner} {target.name}"
        as_root(client, source.parent, ["sh", "-c", copying])
    else:
        subprocess.run(["cp", "-a", source, target], check=True)  # owners too: the store's files are its user's
    if not (target / LOST_AT).exists():
        (target / LOST_AT).write_text(datetime.now(UTC).isoformat())
    return target


def lost(home: Path) -> datetime | None:
    """When the Pi was lost whose home was copied."""
    path = home / LOST_AT
    return datetime.fromisoformat(path.read_text().strip()) if path.exists() else None


def packs(repository: Path) -> list[Path]:
    """The packs of a repository, the smallest first."""
    return sorted((path for path in (repository / "data").rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)


def flip(path: Path, at: int) -> None:
    """Turn one bit of a file."""
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.chmod(0o600)
    path.write_bytes(content)


def newest(repository: Path) -> Path:
    """The file of the newest snapshot."""
    return max((repository / "snapshots").iterdir(), key=lambda path: path.stat().st_mtime_ns)


def found(record: Record, code: str, where: str = "", says: str = "") -> Finding:
    """The finding with this code, place and words; fails, and says what was found instead, when there is none."""
    for finding in record.findings:
        if finding.code == code and where in finding.where and says in finding.what:
            return finding
    raise AssertionError(f"no {code} of {where} that says {says!r}; {told(record)}")


def told(record: Record) -> str:
    """What a record concludes, for a test that expected something else."""
    steps = [
        f"  {step.name} {step.outcome}: {step.reason}"
        for step in record.steps.values()
        if step.outcome not in ("done", "blocked")
    ]
    findings = [f"  {finding.severity} {finding.code} {finding.where}: {finding.what}" for finding in record.findings]
    return "\n".join([record.verdict, "findings:", *findings, "steps:", *steps])


def outcome(record: Record, *steps: str) -> set[str]:
    """How these steps ended; all of them when none is named."""
    return {record.steps[name].outcome for name in steps or record.steps}


_BLOB = """
import json, subprocess, sys
def restic(*words):
    options = ["--no-cache", "--no-lock", "-r", "/mnt/usb/telemetry", "-p", "/etc/telemetry/backup/restic.password"]
    return subprocess.run(["restic", *options, *words], capture_output=True, check=True, text=True).stdout
folder, name = sys.argv[1].rsplit("/", 1)
newest = json.loads(restic("snapshots", "--json", "latest"))[0]["id"]
nodes = json.loads(restic("cat", "tree", f"{newest}:{folder}"))["nodes"]
blob = next(node for node in nodes if node["name"] == name)["content"][0]
for index in restic("list", "index").split():
    for pack in json.loads(restic("cat", "index", index))["packs"]:
        for entry in pack["blobs"]:
            if entry["id"] == blob:
                print(f"data/{pack['id'][:2]}/{pack['id']} {entry['offset'] + entry['length'] // 2}")
                sys.exit()
sys.exit("no such blob")
"""


def blob_of(pi: SamplePi, path: str) -> tuple[str, int]:
    """Where the USB repository holds the beginning of a file: the pack, and a byte in the middle of the blob."""
    pack, at = pi.run(f"python3 -c {shlex.quote(_BLOB)} {path}").split()
    return pack, int(at)
