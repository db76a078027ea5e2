"""The key that SSH clients know this station by: the one that is held, and those that are shown."""

import subprocess
import tempfile
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import load_ssh_private_key

from telemetry.settings import Failed

TYPE = "ssh-ed25519"
WITHIN = 10  # seconds


def public_half(file: Path) -> str:
    """Read the public half of a private key, as base64."""
    try:
        key = load_ssh_private_key(file.read_bytes(), None)
    except (OSError, ValueError) as error:
        raise Failed(f"cannot read the key {file}: {error}") from None
    written = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return written.decode().split()[1]


def shown() -> dict[str, str]:
    """Meet the SSH server like a client that has never been here: the one that runs, and one that starts now."""
    return {"that runs": _shown_by_the_running(), "that starts next": _shown_by_the_next()}


def _shown_by_the_running() -> str:
    """Ask without logging in: who fails at that too often is not listened to any more."""
    said = _ran(["ssh-keyscan", "-T", str(WITHIN), "-t", TYPE.removeprefix("ssh-"), "localhost"])
    words = said.stdout.split()
    if TYPE not in words:
        raise Failed(f"the SSH server shows no key: {said.stderr.strip()[-300:] or 'it does not answer'}")
    return words[words.index(TYPE) + 1]


def _shown_by_the_next() -> str:
    """Start a server for this one client, with the configuration and the keys that are there now."""
    Path("/run/sshd").mkdir(exist_ok=True)  # which the unit makes, and takes away
    with tempfile.TemporaryDirectory(dir="/run") as folder:
        known = Path(folder, "known_hosts")
        options = (
            "BatchMode=yes", "ProxyCommand=/usr/sbin/sshd -i", "StrictHostKeyChecking=accept-new", f"UserKnownHostsFile={known}",
            "GlobalKnownHostsFile=none", f"HostKeyAlgorithms={TYPE}", "PreferredAuthentications=none", "HashKnownHosts=no",
        )  # fmt: skip
        said = _ran(["ssh", "-F", "none", *(word for option in options for word in ("-o", option)), "nobody@station", "true"])
        if not known.exists():
            raise Failed(f"the SSH server would show no key: {said.stderr.strip()[-300:]}")
        return known.read_text().split()[2]


def _ran(command: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=2 * WITHIN)  # noqa: S603  # fixed words
    except subprocess.TimeoutExpired:
        raise Failed(f"{command[0]} got no answer") from None
