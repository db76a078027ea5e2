"""What the secrets of this station are made of: new ones of each kind, by the file that they belong into.

The first boot writes them where there are none, and telemetry-rotate in the place of those that there are. A password never
stands in a command line.
"""

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from telemetry import certificates
from telemetry.settings import CA, CLIENTS, CONFIG, DASHBOARD_PASSWORD, HOST_KEY, KEYS, SERVERS, Failed

Files = dict[Path, bytes]

OWNERS = {
    "app.key": "telemetry", DASHBOARD_PASSWORD: "telemetry", "mosquitto.passwd": "mosquitto", "mqtt.key": "mosquitto",
    **{f"mqtt-{user}.password": "telemetry" for user in CLIENTS},
}  # fmt: skip


def mqtt() -> Files:
    """Make a password for each MQTT client, and the broker's hashes of them."""
    passwords = {user: secrets.token_hex(24) for user in CLIENTS}
    files = {KEYS / f"mqtt-{user}.password": password.encode() for user, password in passwords.items()}
    return files | {KEYS / "mosquitto.passwd": _hashed(passwords)}


def _hashed(passwords: dict[str, str]) -> bytes:
    with tempfile.TemporaryDirectory(dir="/run") as folder:  # in memory, and root's alone
        file = Path(folder, "passwd")
        file.touch(mode=0o600)
        file.write_text("".join(f"{user}:{password}\n" for user, password in passwords.items()))
        run(["mosquitto_passwd", "-U", str(file)])  # in place
        return file.read_bytes()


def database() -> Files:
    """Make the password of the role that the status page reads with."""
    return {KEYS / DASHBOARD_PASSWORD: secrets.token_hex(24).encode()}


def tls() -> Files:
    """Make a CA, and a key and certificate for each of the two servers."""
    authority = ec.generate_private_key(ec.SECP256R1())
    files = {KEYS / "ca.key": certificates.pem(authority), CA: certificates.authority(authority)}
    for server in SERVERS:
        key = ec.generate_private_key(ec.SECP256R1())
        files[KEYS / f"{server}.key"] = certificates.pem(key)
        files[CONFIG / f"{server}.crt"] = certificates.signed(socket.gethostname(), key, authority)
    return files


def app_key() -> Files:
    """Make the key of the notes."""
    return {KEYS / "app.key": Fernet.generate_key()}


def host_key() -> Files:
    """Make the key that SSH clients know this station by, and its public half."""
    key = ed25519.Ed25519PrivateKey.generate()
    encoding, form = serialization.Encoding, serialization.PrivateFormat.OpenSSH
    public = key.public_key().public_bytes(encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return {
        HOST_KEY: key.private_bytes(encoding.PEM, form, serialization.NoEncryption()),
        HOST_KEY.with_suffix(".pub"): public + f" {socket.gethostname()}\n".encode(),
    }


def give(file: Path, like: Path | None = None) -> None:
    """Give a new file the mode and the owner of the file `like` it, or those of its kind where there is none yet.

    A secret can be read by whoever uses it alone.
    """
    like = like or file
    if like != file and like.exists():
        known = like.stat()
        os.chown(file, known.st_uid, known.st_gid)
        file.chmod(known.st_mode & 0o7777)
        return
    public = like.parent == CONFIG or like.suffix == ".pub"
    owner = OWNERS.get(like.name, "root")
    shutil.chown(file, owner, owner)
    file.chmod(0o644 if public else 0o600)


def run(command: Sequence[str]) -> None:
    """Run a program; raise Failed with what it said when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")  # noqa: S603  # fixed words
    if done.returncode:
        raise Failed(f"{command[0]} failed: {done.stderr.strip()[-300:]}")
