"""telemetry-firstboot: make on this machine, once, what is its alone: secrets, certificates, the database, the archive."""

import json
import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from telemetry import archive, ingest
from telemetry.settings import CA, CONFIG, KEYS, MEDIA, STATION, Failed, stamp

HOST_KEY = Path("/etc/ssh/ssh_host_ed25519_key")
YEARS = timedelta(days=3650)
Key = ec.EllipticCurvePrivateKey


def keep(name: str, value: bytes, owner: str = "root") -> None:
    """Write one secret: never readable to others, not even while it is being written."""
    with open(KEYS / name, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
        file.write(value)
    shutil.chown(KEYS / name, owner, owner)


def _pem(key: Key) -> bytes:
    kind = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption())


def _certificate(name: str, key: Key, issuer: str, signer: Key, authority: bool) -> bytes:  # noqa: FBT001
    """Sign a certificate that strict clients (Python 3.13 and later) take as well."""
    now = datetime.now(UTC)
    usage = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only"),
        False,
    )
    names = [x509.DNSName(name), x509.DNSName("localhost"), x509.IPAddress(IPv4Address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + YEARS)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=0 if authority else None), critical=True)
        .add_extension(
            x509.KeyUsage(digital_signature=not authority, key_cert_sign=authority, crl_sign=authority, **usage), critical=True
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if not authority:
        made = made.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return made.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def certificates() -> None:
    """Make a CA, and a key and certificate for each of the two servers."""
    authority = ec.generate_private_key(ec.SECP256R1())
    title = "Telemetry station CA"
    keep("ca.key", _pem(authority))
    CA.write_bytes(_certificate(title, authority, title, authority, authority=True))
    for server, owner in (("mqtt", "mosquitto"), ("nginx", "root")):
        key = ec.generate_private_key(ec.SECP256R1())
        keep(f"{server}.key", _pem(key), owner)
        (CONFIG / f"{server}.crt").write_bytes(_certificate(socket.gethostname(), key, title, authority, authority=False))


def passwords() -> None:
    """Make the passwords of the MQTT clients, the broker's hashes of them, and the key of the notes."""
    lines = []
    for user in ("ingest", "recorder", "publisher"):
        password = secrets.token_hex(24)
        keep(f"mqtt-{user}.password", password.encode(), "telemetry")
        lines.append(f"{user}:{password}\n")
    keep("mosquitto.passwd", "".join(lines).encode())
    _run(["mosquitto_passwd", "-U", str(KEYS / "mosquitto.passwd")])  # hashes in place; a password never is an argument
    (KEYS / "mosquitto.passwd").chmod(0o600)
    shutil.chown(KEYS / "mosquitto.passwd", "mosquitto", "mosquitto")
    keep("app.key", Fernet.generate_key(), "telemetry")


def host_key() -> None:
    """Make the key that SSH clients will know this station by."""
    if not HOST_KEY.exists():
        _run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", socket.gethostname(), "-f", str(HOST_KEY)])


def database() -> None:
    """Make the role, the database and its table."""
    _run(["runuser", "-u", "postgres", "--", "createuser", "telemetry"])
    create = ["createdb", "-O", "telemetry", "-T", "template0", "-E", "UTF8", "-l", "C.UTF-8", "telemetry"]
    _run(["runuser", "-u", "postgres", "--", *create])
    _run(["telemetry-sql", ingest.SCHEMA])


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")  # noqa: S603  # fixed words
    if done.returncode:
        raise Failed(f"{command[0]} failed: {done.stderr.strip()[-300:]}")


def main() -> None:
    """Make everything, and last the stamp that says so."""
    CONFIG.mkdir(parents=True, exist_ok=True)
    certificates()
    passwords()
    host_key()
    database()
    entries = archive.make(MEDIA, int(os.environ.get("MEDIA_MB", "60")), "telemetry")
    STATION.write_text(json.dumps({"hostname": socket.gethostname(), "made_at": stamp(), "media": entries}) + "\n")
