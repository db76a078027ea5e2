"""A living sample Pi and its off-site store, as containers; `images/sample.py` is the program around it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import secrets
import shutil
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

from muster import seal_program  # noqa: E402  # after the path
from muster.errors import MusterError  # noqa: E402  # after the path
from muster.machines import container, engine, images  # noqa: E402

if TYPE_CHECKING:
    import docker

HOME = ROOT / ".sample"
PLAN = ROOT / "drills" / "plans" / "telemetry.toml"
LABEL = {"muster.sample": "1"}
STORE = LABEL | {"muster.store": "1"}
_AUTHORIZED = "/run/store/authorized_keys"
MEDIA_MB = 60
BOOTED = "until [ -S /run/systemd/private ]; do sleep 0.02; done; systemctl is-system-running --wait"
Say = Callable[[str], None]
_LOCAL_ONLY = """
python3 - <<'END'
import re, pathlib
plan = pathlib.Path("/etc/muster/plan.toml")
text = re.sub(r"(?ms)^\\[repositories\\.(offsite|vault-offsite)\\].*?(?=^\\[)", "", plan.read_text())
plan.write_text(text.replace('["vault", "vault-offsite"]', '["vault"]'))
END
"""


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
        seal_program.write(recipe / "muster-seal")
        return images.layer(client, recipe, base, "sample", say)


def new_home(path: Path) -> Path:
    """Make the folder that outlives a Pi: its disks, still empty, and new passwords and keys."""
    for name, mode in (("usb", 0o755), ("offsite", 0o755), ("secrets", 0o700), ("envelope", 0o700), ("store", 0o700)):
        (path / name).mkdir(parents=True, mode=mode)
    for name in ("restic.password", "vault.password"):
        password = secrets.token_hex(24) + "\n"
        for place in ("secrets", "envelope"):  # where it is used, and where it is found when that is gone
            _keep(path / place / name, password)
    for key in (path / "secrets" / "offsite.key", path / "store" / "host_key"):
        program = shutil.which("ssh-keygen")
        if program is None:
            raise SampleError("ssh-keygen is missing, which makes the keys of the sample: `apt-get install openssh-client`.")
        subprocess.run([program, "-q", "-t", "ed25519", "-N", "", "-C", key.name, "-f", key], check=True)  # noqa: S603  # fixed words
    shutil.move(path / "secrets" / "offsite.key.pub", path / "store" / "authorized_keys")
    _keep(path / "envelope" / "offsite.key", (path / "secrets" / "offsite.key").read_text())
    host = (path / "store" / "host_key.pub").read_text()
    _keep(path / "secrets" / "known_hosts", f"offsite {host}")
    return path


def _keep(path: Path, value: str) -> None:
    path.touch(mode=0o600)
    path.write_text(value)


def start_store(  # a store has as many options
    client: docker.DockerClient,
    network: str,
    labels: Mapping[str, str],
    *,
    home: Path = HOME,
    read_only: bool = True,
    keeper: bool = True,
) -> Any:  # noqa: ANN401  # a container of docker-py
    """Start the off-site store on an existing network as `offsite`, and return its container once it listens.

    It serves the copies in `home` and has the same host key as ever. A drill wants it read-only; `labels` mark it as the
    caller's to remove. Without its `keeper`, what was stored can be deleted by whoever stored it.
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
        labels=dict(STORE | dict(labels)),
        environment={} if keeper else {"KEEPER": "off"},
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


def replace_key(client: docker.DockerClient, labels: Mapping[str, str], old: str, new: str) -> bool:
    """Let `new` (a public key) into the stores with these labels in the place of `old`; False where none of them knew that.

    It is what the owner of a store does by hand after a compromise. What lies in `home` stays as it is.
    """
    wanted: list[str | bool] = [f"{name}={value}" for name, value in (STORE | dict(labels)).items()]
    stores = client.containers.list(filters={"label": wanted})
    kind, key = old.split()[:2]
    program = f'grep -q "^$1 $2" {_AUTHORIZED} && sed -i "s|^$1 $2.*|$3|" {_AUTHORIZED}'
    done = [store.exec_run(["sh", "-c", program, "sh", kind, key, new.strip()]).exit_code == 0 for store in stores]
    return bool(done) and all(done)


def as_root(client: docker.DockerClient, folder: Path, command: list[str]) -> None:
    """Run a command in a folder of this host as the root of a container, for files that containers have left there."""
    image, volumes = store_image(client, lambda _: None), {str(folder): {"bind": "/folder", "mode": "rw"}}
    client.containers.run(
        image.tag, command, volumes=volumes, working_dir="/folder", labels=LABEL, network_mode="none", remove=True
    )


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
                | {"cap_add": [*arguments["cap_add"], "SYS_PTRACE"]}  # its root sees the open files of others, as on any Pi
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

    @contextlib.contextmanager
    def ticking(self) -> Iterator[None]:
        """Have its timer wait for its next time meanwhile, as on every Pi; the stamp keeps it from making up for the last one."""
        self.run(
            "touch /var/lib/systemd/timers/stamp-telemetry-backup.timer; systemctl start telemetry-backup.timer", check=False
        )
        try:
            yield
        finally:
            self.run("systemctl stop telemetry-backup.timer", check=False)

    def local_only(self) -> None:
        """Have it back itself up to its USB disk alone from now on: copying off-site costs every backup seconds."""
        self.run(_LOCAL_ONLY)

    def lose(self) -> datetime:
        """Destroy the Pi, now; what is left is what lies in `home`. Returns the moment of the loss."""
        lost = datetime.now(UTC)
        self._pi.kill()
        self.remove()
        (self.home / "lost-at").write_text(lost.isoformat(timespec="milliseconds") + "\n")
        return lost

    def _give_away(self) -> None:
        """Leave what the containers wrote to the user who runs this, so that it can be read and removed without root."""
        if os.getuid():
            as_root(self.client, self.home, ["chown", "-R", f"{os.getuid()}:{os.getgid()}", "."])

    def remove(self) -> None:
        """Remove the containers and the network; safe to call twice."""
        if self._labels:
            container.remove_labelled(self.client, self._labels)
            self._give_away()
            self._labels = {}


def _tar(folder: Path) -> bytes:
    """Pack the files of a folder for the Pi's root alone."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path in sorted(folder.iterdir()):
            entry = tarfile.TarInfo(path.name)
            entry.mode, entry.size, entry.mtime = 0o600, path.stat().st_size, int(time.time())
            tar.addfile(entry, io.BytesIO(path.read_bytes()))
    return buffer.getvalue()
