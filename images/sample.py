"""The sample Pi: a real station with real backups, made, used and lost on this host.

    python images/sample.py make                leaves .sample/ as a dead Pi's owner has it: USB disk, off-site copy, passwords
    python images/sample.py store-up NETWORK    the off-site store, from .sample/, on a network of the container engine

Tests use the same as a library, to break a living Pi by hand:

    with SamplePi(client, new_home(folder)) as pi:
        pi.feed(500)
        pi.run("systemctl stop postgresql@17-main")
        pi.backup()
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import io
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "fixtures"))  # an uninstalled clone works as well

from docker.errors import DockerException  # noqa: E402  # after the path
from rich.console import Console  # noqa: E402

from muster.errors import MusterError  # noqa: E402
from muster.machines import container, engine, images  # noqa: E402
from muster.plan.kinds import duration  # noqa: E402

if TYPE_CHECKING:
    import docker

HOME = ROOT / ".sample"
WORK = ROOT / ".cache" / "sample"  # half-made output lives here; it never looks like a finished one
PLAN = ROOT / "drills" / "plans" / "telemetry.toml"
SEAL = ROOT / "fixtures" / "muster" / "backups" / "seal.py"
LABEL = {"muster.sample": "1"}
MADE = "made.json"  # written last: a home without it is none
READINGS = 3000
MEDIA_MB = 60
LOST = 25  # readings that come after the last backup, and are lost with the Pi
BOOTED = "until [ -S /run/systemd/private ]; do sleep 0.02; done; systemctl is-system-running --wait"
Say = Callable[[str], None]


class SampleError(MusterError):
    """The sample cannot be made, or its Pi did not do what it was told; the text says what and why."""


def store_image(client: docker.DockerClient, say: Say) -> images.Image:
    """Make the image of the off-site store, or find it made from the same recipe."""
    return images.layer(client, ROOT / "images" / "store", images.clean(client, say=say), "store", say)


def pi_image(client: docker.DockerClient, say: Say) -> images.Image:
    """Make the image of the Pi, or find it made from the same recipe, plan and seal."""
    plan = tomllib.loads(PLAN.read_text())
    base = images.clean(client, plan["machine"]["os"], say)
    with tempfile.TemporaryDirectory(prefix="muster-") as scratch:
        recipe = Path(scratch, "sample")
        shutil.copytree(ROOT / "images" / "sample", recipe, ignore=shutil.ignore_patterns("__pycache__"))
        (recipe / "packages").write_text("".join(f"{package}\n" for package in ("restic", *plan["machine"]["packages"])))
        shutil.copy(PLAN, recipe / "plan.toml")
        shutil.copy(SEAL, recipe / "muster-seal")
        (recipe / "muster-seal").chmod(0o755)
        return images.layer(client, recipe, base, "sample", say)


def new_home(path: Path) -> Path:
    """Make the folder that outlives a Pi: its disks, still empty, and new passwords and keys."""
    for name in ("usb", "offsite", "secrets", "store"):
        (path / name).mkdir(parents=True, mode=0o700 if name in ("secrets", "store") else 0o755)
    for name in ("restic.password", "vault.password"):
        _keep(path / "secrets" / name, secrets.token_hex(24) + "\n")
    for key in (path / "secrets" / "offsite.key", path / "store" / "host_key"):
        program = shutil.which("ssh-keygen")
        if program is None:
            raise SampleError("ssh-keygen is missing, which makes the keys of the sample: `apt-get install openssh-client`.")
        subprocess.run([program, "-q", "-t", "ed25519", "-N", "", "-C", key.name, "-f", key], check=True)  # noqa: S603  # fixed words
    shutil.move(path / "secrets" / "offsite.key.pub", path / "store" / "authorized_keys")
    host = (path / "store" / "host_key.pub").read_text()
    _keep(path / "secrets" / "known_hosts", f"offsite {host}")
    return path


def _keep(path: Path, value: str) -> None:
    path.touch(mode=0o600)
    path.write_text(value)


def start_store(
    client: docker.DockerClient, network: str, labels: Mapping[str, str], *, home: Path = HOME, read_only: bool = True
) -> Any:  # noqa: ANN401  # a container of docker-py
    """Start the off-site store on an existing network as `offsite`, and return its container once it listens.

    It serves the copies in `home` and has the same host key as ever. A drill wants it read-only; `labels` mark it as the
    caller's to remove.
    """
    image = store_image(client, lambda _: None)
    data = {str(home / "offsite"): {"bind": "/srv/sftp/restic", "mode": "ro" if read_only else "rw"}}
    keys = {str(home / "store"): {"bind": "/etc/store/keys", "mode": "ro"}}
    started = client.containers.run(
        image.tag,
        detach=True,
        hostname="offsite",
        network=network,
        networking_config={network: client.api.create_endpoint_config(aliases=["offsite"])},
        volumes=data | keys,
        labels=dict(LABEL | dict(labels)),
        init=True,
    )
    _wait_for("the off-site store to listen", lambda: b"Server listening" in started.logs(), 20)
    started.reload()
    return started


def address(store: Any, network: str) -> str:  # noqa: ANN401  # a container of docker-py
    """Return the address of a store on its network."""
    return str(store.attrs["NetworkSettings"]["Networks"][network]["IPAddress"])


def store_for(client: docker.DockerClient, home: Path = HOME) -> Callable[[str, Mapping[str, str]], Mapping[str, str]]:
    """Make the function that puts the off-site store on the network of a machine, and returns its address by host name."""
    return lambda network, labels: {"offsite": address(start_store(client, network, labels, home=home), network)}


def _wait_for(what: str, true: Callable[[], bool], within: float) -> None:
    deadline = time.monotonic() + within
    while not true():
        if time.monotonic() > deadline:
            raise SampleError(f"Waited {within:.0f} s in vain for {what}.")
        time.sleep(0.05)


@dataclass(slots=True)
class SamplePi:
    """A living sample Pi and its off-site store, on an internal network; `home` (see `new_home`) outlives it.

    As a context manager it boots on entry and is lost on exit.
    """

    client: docker.DockerClient
    home: Path
    media_mb: int = MEDIA_MB
    say: Say = lambda _: None
    _labels: dict[str, str] = field(default_factory=dict)
    _pi: Any = None
    _store: Any = None

    def __enter__(self) -> Self:
        try:
            self.boot()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def boot(self) -> None:
        """Start the store and the Pi, and wait until its first boot is done and all of its services run."""
        image = pi_image(self.client, self.say)
        name = f"muster-sample-{secrets.token_hex(4)}"
        self._labels = LABEL | container.owner_labels(name, "sample")
        options = {"com.docker.network.bridge.inhibit_ipv4": "true"}  # no way out, and none to this host's own services
        self.client.networks.create(name, driver="bridge", internal=True, options=options, labels=self._labels)
        self._store = start_store(self.client, name, self._labels, home=self.home, read_only=False)
        arguments = engine.systemd_arguments(self.client.info().get("CgroupVersion", "1"))
        disks = {str(self.home / "usb"): {"bind": "/mnt/usb", "mode": "rw"}}
        self._pi = self.client.containers.create(
            image.tag,
            name=name,
            hostname="telemetry-pi",
            network=name,
            labels=self._labels,
            extra_hosts={"offsite": address(self._store, name)},
            **(
                arguments
                | {"volumes": arguments.get("volumes", {}) | disks}
                | {"environment": arguments["environment"] | {"MEDIA_MB": str(self.media_mb)}}
            ),
        )
        self._pi.put_archive("/etc/telemetry/backup", _tar(self.home / "secrets"))
        self._pi.start()
        state = self.run(BOOTED, check=False, timeout=180)
        if state != "running":
            failed = self.run("systemctl --failed --no-legend --plain; journalctl -b -p 4 -n 30 --no-pager", check=False)
            raise SampleError(f"The sample Pi did not boot; it is {state or 'not answering'}:\n{failed}")

    def run(self, command: str, *, user: str = "root", check: bool = True, timeout: float = 300) -> str:
        """Run a shell command on the Pi; return what it printed. Raises SampleError when it fails, unless told not to."""
        typed = ["timeout", "--kill-after=2", str(timeout), "sh", "-c", command]
        code, output = self._pi.exec_run(typed, user=user)
        text = output.decode("utf-8", "backslashreplace").strip()
        if code and check:
            raise SampleError(f"On the sample Pi, `{command}` ended with {code}: {text[-800:]}")
        return str(text)

    def counts(self) -> tuple[int, int]:
        """Count the readings and the events that the Pi has stored."""
        readings = self.run("telemetry-sql 'select count(*) from reading'")
        events = self.run("sqlite3 /var/lib/telemetry/events.db 'select count(*) from event'")
        return int(readings), int(events)

    def feed(self, count: int, *, span: timedelta = timedelta()) -> None:
        """Publish readings, and as many events, over MQTT, looking back over `span`; wait until all of them are stored."""
        readings, events = self.counts()
        self.run(f"telemetry-feed --count {count} --span {span.total_seconds()}")
        wanted = (readings + count, events + count)
        _wait_for("the sample Pi to store its readings", lambda: all(map(int.__ge__, self.counts(), wanted)), 60)

    @contextlib.contextmanager
    def feeding(self) -> Iterator[None]:
        """Have readings and events come in all the while, as on any living station."""
        before = self.counts()
        self.run("systemctl start telemetry-feed.service")
        _wait_for("readings to come in", lambda: all(map(int.__gt__, self.counts(), before)), 30)
        yield
        self.run("systemctl stop telemetry-feed.service")

    def backup(self, options: str = "") -> str:
        """Have the Pi back itself up, through the unit that its timer starts; return the name of the run.

        With options for `telemetry-backup` it is run as by its owner, by hand. Raises SampleError when the backup fails.
        """
        if options:
            self.run(f"telemetry-backup {options}", timeout=1300)
        else:
            why = "{ journalctl -u telemetry-backup.service -n 15 --no-pager -o cat; false; }"
            self.run(f"systemctl start telemetry-backup.service || {why}", timeout=1300)
        return str(json.loads(self.run("cat /var/lib/muster/manifest.json"))["run"])

    def lose(self) -> datetime:
        """Destroy the Pi, now; what is left is what lies in `home`. Returns the moment of the loss."""
        lost = datetime.now(UTC)
        self._pi.kill()
        self._give_away()
        self.remove()
        (self.home / "lost-at").write_text(lost.isoformat(timespec="milliseconds") + "\n")
        return lost

    def _give_away(self) -> None:
        """Leave what the containers wrote to the user who runs this, so that it can be read and removed without root."""
        if os.getuid():
            owner = f"{os.getuid()}:{os.getgid()}"
            volumes = {str(self.home): {"bind": "/home-of-sample", "mode": "rw"}}
            command = ["chown", "-R", owner, "/home-of-sample"]
            self.client.containers.run(self._pi.image.id, command, volumes=volumes, labels=self._labels, remove=True)

    def remove(self) -> None:
        """Remove the containers and the network; safe to call twice."""
        if self._labels:
            container.remove_labelled(self.client, self._labels)


def _tar(folder: Path) -> bytes:
    """Pack the files of a folder for the Pi's root alone."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path in sorted(folder.iterdir()):
            entry = tarfile.TarInfo(path.name)
            entry.mode, entry.size, entry.mtime = 0o600, path.stat().st_size, int(time.time())
            tar.addfile(entry, io.BytesIO(path.read_bytes()))
    return buffer.getvalue()


@dataclass(frozen=True, slots=True)
class Wish:
    """What `make` is asked for."""

    readings: int = READINGS
    media_mb: int = MEDIA_MB
    max_age: timedelta = timedelta()


def make(client: docker.DockerClient, wish: Wish, say: Say, home: Path = HOME) -> bool:
    """Make the sample's backups in `home`, and lose the Pi; False when they are there already and young enough."""
    WORK.mkdir(parents=True, exist_ok=True)
    with (WORK / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of two at once, the second finds what the first has made
        for name in container.remove_leftovers(client):
            say(f"removed {name}, which a killed run left behind")
        recipe = [store_image(client, say).tag, pi_image(client, say).tag, str(wish.readings), str(wish.media_mb)]
        if _is_young(home / MADE, recipe, wish.max_age):
            say(f"the sample in {home.name} is of the same recipe and young enough: nothing to do")
            return False
        fresh = WORK / "new"
        shutil.rmtree(fresh, ignore_errors=True)
        seconds = _live_and_die(client, new_home(fresh), wish, say)
        made = {"recipe": recipe, "made_at": datetime.now(UTC).isoformat(), "seconds": round(seconds, 1)}
        (fresh / MADE).write_text(json.dumps(made) + "\n")
        _replace(home, fresh)
    return True


def _live_and_die(client: docker.DockerClient, home: Path, wish: Wish, say: Say) -> float:
    started = time.monotonic()
    say("booting the sample Pi for the first time")
    with SamplePi(client, home, wish.media_mb, say) as pi:
        say(f"feeding it {wish.readings} readings and as many events over MQTT")
        pi.feed(wish.readings, span=timedelta(minutes=10))
        say("it backs itself up, while more comes in")
        with pi.feeding():
            run = pi.backup()
        pi.feed(LOST)
        lost = pi.lose()
    say(f"the Pi is lost, at {lost:%H:%M:%S} UTC; its last backup is run {run}")
    return time.monotonic() - started


def _is_young(made: Path, recipe: list[str], max_age: timedelta) -> bool:
    try:
        stamp = json.loads(made.read_text())
        age = datetime.now(UTC) - datetime.fromisoformat(stamp["made_at"])
    except (OSError, ValueError, KeyError):
        return False
    return bool(stamp["recipe"] == recipe and timedelta() <= age < max_age)


def _replace(home: Path, fresh: Path) -> None:
    """Put the new home in the place of the old one."""
    old = WORK / "old"
    shutil.rmtree(old, ignore_errors=True)
    if home.exists():
        home.rename(old)
    fresh.rename(home)
    shutil.rmtree(old, ignore_errors=True)


def _span(text: str) -> timedelta:
    if text == "0":
        return timedelta()
    try:
        return duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="The sample Pi: make its backups and lose it.")
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("make", help="make .sample/: back the sample Pi up, then lose it")
    making.add_argument("--max-age", type=_span, default=timedelta(), help='keep a sample younger than e.g. "1h" (make it anew)')
    making.add_argument("--readings", type=int, default=READINGS, help="readings, and as many events (%(default)s)")
    making.add_argument("--media-mb", type=int, default=MEDIA_MB, help="size of the media archive in MB (%(default)s)")
    store = commands.add_parser("store-up", help="start the off-site store from .sample/, read-only; remove it with docker rm -f")
    store.add_argument("network", help="an existing network of the container engine")
    store.add_argument("--label", action="append", default=[], metavar="KEY=VALUE", help="label of the container")
    return parser.parse_args()


def main() -> int:
    """Do what the command line says; 1 and one sentence when that cannot be done."""
    options = _arguments()
    console, started = Console(stderr=True, highlight=False), time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # leaves through every `with`, as Ctrl-C does

    def say(text: str) -> None:
        console.print(f"[dim]{time.monotonic() - started:6.1f} s[/dim]  {text}", soft_wrap=True)

    try:
        client = engine.connect()
        if options.command == "make":
            make(client, Wish(options.readings, options.media_mb, options.max_age), say)
        else:
            labels = dict(label.partition("=")[::2] for label in options.label)
            sys.stdout.write(f"{start_store(client, options.network, labels).id}\n")
    except (MusterError, DockerException, OSError, subprocess.SubprocessError) as error:
        console.print(f"sample: {error}", markup=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("sample: stopped; nothing is left behind")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
