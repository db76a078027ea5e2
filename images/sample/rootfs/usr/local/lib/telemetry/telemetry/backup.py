"""telemetry-backup: dump, seal, and back up at once: one run is one moment.

The plan (/etc/muster/plan.toml) says what. All dumps and the manifest come from one snapshot of the database; restic follows
straight after. What is no secret goes into one snapshot, secrets into a repository of their own, and each is then copied
off-site. The passwords lie in /etc/telemetry/backup, which no dataset holds: the owner has them in an envelope.
"""

import argparse
import os
import pwd
import secrets
import subprocess
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from telemetry.settings import Failed

PLAN = Path("/etc/muster/plan.toml")
SAFE = Path("/etc/telemetry/backup")
KEEP = 3  # dumps of each dataset that stay on the station
DUMP_WITHIN = 600  # seconds
RESTIC_WITHIN = 900
NO_REPOSITORY = 10  # restic's exit status
SSH = (
    f"-i {SAFE}/offsite.key -o UserKnownHostsFile={SAFE}/known_hosts -o StrictHostKeyChecking=yes "
    "-o BatchMode=yes -o ConnectTimeout=4"
)
Table = dict[str, Any]


def say(text: str) -> None:
    """Write a line to the journal."""
    print(text, flush=True)  # noqa: T201  # systemd's journal is where it goes


@contextmanager
def database_snapshot() -> Iterator[str]:
    """Hold one moment of the database open for all that reads it; yields its name."""
    command = ["runuser", "-u", "postgres", "--", "psql", "-AtqX", "-v", "ON_ERROR_STOP=1", "telemetry"]
    with subprocess.Popen(  # noqa: S603  # fixed words
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/"
    ) as psql:
        if psql.stdin is None or psql.stdout is None or psql.stderr is None:
            raise Failed("psql has no pipes")
        psql.stdin.write("begin isolation level repeatable read read only; select pg_export_snapshot();\n")
        psql.stdin.flush()
        name = psql.stdout.readline().strip()
        if not name:
            raise Failed(f"the database gives no snapshot: {psql.stderr.read().strip()[-300:]}")
        try:
            yield name
        finally:
            psql.stdin.close()


def dump(name: str, dataset: Table, moment: str, environment: dict[str, str]) -> Path:
    """Run the dump of one dataset into a file with a versioned name; it has that name only once it is whole."""
    user = pwd.getpwnam(dataset.get("user", "root"))
    folder = Path(dataset["paths"][0])
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o750)
    os.chown(folder, user.pw_uid, user.pw_gid)
    target, partial = folder / f"{name}-{moment}.dump", folder / f".{name}.partial"
    with partial.open("wb") as file:
        os.fchown(file.fileno(), user.pw_uid, user.pw_gid)
        os.fchmod(file.fileno(), 0o640)
        done = subprocess.run(  # noqa: S603  # the owner's own plan
            ["/usr/sbin/runuser", "-u", user.pw_name, "--", "sh", "-c", dataset["dump"]],
            stdout=file, stderr=subprocess.PIPE, env=environment, cwd="/", timeout=DUMP_WITHIN, check=False,
        )  # fmt: skip
        size = file.tell() or os.fstat(file.fileno()).st_size
        os.fsync(file.fileno())
    if done.returncode or not size:
        partial.unlink()
        why = done.stderr.decode(errors="replace").strip()[-300:] or "it wrote nothing"
        raise Failed(f"the dump of {name} failed with {done.returncode}: {why}")
    partial.rename(target)
    for old in sorted(folder.glob(f"{name}-*.dump"))[:-KEEP]:
        old.unlink()
    say(f"dumped {name}: {size} bytes")
    return target


def dump_and_seal(plan: Table, run: str, reuse: bool) -> None:  # noqa: FBT001
    """Make the dumps and the manifest, all of one moment; `reuse` leaves the dumps of an earlier run in their place."""
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    dumped = {name: dataset for name, dataset in plan["data"].items() if dataset.get("dump")}
    environment = dict(os.environ)
    with nullcontext("") if reuse else database_snapshot() as snapshot:
        if not reuse:
            environment["PGSNAPSHOT"] = snapshot
            for name, dataset in dumped.items():
                target = dump(name, dataset, moment, environment)
                environment[f"{name.upper().replace('-', '_')}_DB"] = str(target)
        seal = ["/usr/local/bin/muster-seal", "--plan", str(PLAN), "--run", run]
        if subprocess.run(seal, env=environment, check=False, timeout=DUMP_WITHIN).returncode:  # noqa: S603  # fixed words
            raise Failed("the manifest could not be sealed: see the line above")


def repositories(plan: Table) -> Iterator[tuple[list[Table], list[str]]]:
    """Yield each group of repositories (the first takes the backup, the others a copy of it) with the paths it holds.

    The manifest's whole folder goes with what is no secret: beside the manifest lies the list of all files.
    """
    named = {name for dataset in plan["data"].values() for name in dataset.get("repositories", ())}
    common = [name for name in plan["repositories"] if name not in named]
    groups: dict[tuple[str, ...], list[str]] = {}
    for dataset in plan["data"].values():
        groups.setdefault(tuple(dataset.get("repositories") or common), []).extend(dataset["paths"])
    groups[tuple(common)].append(str(Path(plan.get("manifest", "/var/lib/muster/manifest.json")).parent))
    for names, paths in groups.items():
        ordered = sorted((plan["repositories"][name] for name in names), key=lambda one: one.get("offsite", False))
        yield ordered, paths


def restic(repository: Table, *arguments: str, accept: Sequence[int] = (0,)) -> int:
    """Run restic on one repository; anything but success is a failure, an unreadable file (exit 3) as well."""
    command = [
        "restic", "--no-cache", "--quiet", "--repo", where(repository), "--password-file", str(password_file(repository)),
        "--option", f"sftp.args={SSH}", "--retry-lock", "1m", *arguments,
    ]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=RESTIC_WITHIN, check=False)  # noqa: S603  # as above
    except subprocess.TimeoutExpired:
        raise Failed(f"restic {arguments[0]} took more than {RESTIC_WITHIN} s on {where(repository)}") from None
    if done.returncode not in accept:
        raise Failed(f"restic {arguments[0]} on {where(repository)} ended with {done.returncode}: {done.stderr.strip()[-500:]}")
    return done.returncode


def where(repository: Table) -> str:
    """Say how this station reaches a repository."""
    return str(repository.get("at") or repository["url"])


def password_file(repository: Table) -> Path:
    """Say where this station keeps a repository's password: under the name that the plan gives it."""
    return SAFE / Path(repository["password"]["file"]).name


def into(repository: Table, *arguments: str, init: Sequence[str] = ()) -> None:
    """Run restic on a repository that is made first if it is not there yet."""
    if restic(repository, *arguments, accept=(0, NO_REPOSITORY)) == NO_REPOSITORY:
        restic(repository, "init", *init)
        say(f"made the repository {where(repository)}")
        restic(repository, *arguments)


def back_up(group: list[Table], paths: list[str], host: str, run: str) -> None:
    """Back up into the first repository of a group, and copy that snapshot to the others."""
    missing = [path for path in paths if not Path(path).exists()]
    if missing:
        raise Failed(f"there is nothing at {', '.join(missing)}, which the plan wants backed up")
    first, *others = group
    tag = f"run={run}"
    into(first, "backup", "--host", host, "--tag", tag, *paths)
    say(f"backed up {len(paths)} paths to {where(first)}")
    for other in others:
        source = ["--from-repo", where(first), "--from-password-file", str(password_file(first))]
        into(other, "copy", *source, "--host", host, "--tag", tag, init=[*source, "--copy-chunker-params"])
        say(f"copied to {where(other)}")


def main() -> None:
    """Make one run."""
    parser = argparse.ArgumentParser(prog="telemetry-backup", description=__doc__)
    parser.add_argument("--reuse-dumps", action="store_true", help="leave the dumps of the last run in place")
    options = parser.parse_args()
    plan = tomllib.loads(PLAN.read_text())
    run = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
    dump_and_seal(plan, run, options.reuse_dumps)
    with ThreadPoolExecutor() as pool:
        jobs = [pool.submit(back_up, group, paths, plan["hostname"], run) for group, paths in repositories(plan)]
    for job in jobs:
        job.result()
    say(f"run {run} is backed up")
