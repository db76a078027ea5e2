"""Credentials of before: whether whoever has them can still do something with them here. Each is really tried.

A refusal is a clear no of whoever was asked. No answer is none, nor is any other error: the question could not be asked then.
"""

import socket
import ssl
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import load_pem_x509_certificate

from telemetry import certificates, hostkeys, mqtt, notes
from telemetry.settings import (
    CA,
    CLIENTS,
    DASHBOARD,
    DASHBOARD_PASSWORD,
    DATABASE,
    HOST_KEY,
    KEYS,
    SERVERS,
    Failed,
    acting_as,
)

WORKS, REFUSED, NOT_ASKED = 0, 1, 126  # exit statuses; the last is what a shell says of a command that it could not run
WITHIN = 10.0  # seconds that an answer may take


def status_of(test: str, old: Path) -> int:
    """Ask whether credentials of before still work, and say which do; the files lie in `old`, under their full paths."""
    try:
        if test not in ASKED:
            raise Failed(f"{test} asks for no credential")  # noqa: TRY301  # told like all that could not be asked
        worth = list(ASKED[test](old))
    except Exception as error:  # noqa: BLE001  # whatever went wrong, it is no refusal
        sys.stderr.write(f"telemetry-selftest: the question could not be asked: {error}\n")
        return NOT_ASKED
    sys.stdout.write("".join(f"still works: {what}\n" for what in worth) or "refused\n")
    return WORKS if worth else REFUSED


def login(old: Path) -> Iterator[str]:
    """Try the old passwords of the MQTT clients."""
    for user in CLIENTS:
        try:
            with mqtt.session(user, _text(old, KEYS / f"mqtt-{user}.password")):
                yield f"the password of {user}"
        except PermissionError:
            continue


def database(old: Path) -> Iterator[str]:
    """Try the old password of the role that the status page reads with."""
    password = _text(old, KEYS / DASHBOARD_PASSWORD)
    try:
        psycopg2.connect(dbname="telemetry", user=DASHBOARD, password=password).close()
    except psycopg2.OperationalError as error:
        if "password authentication failed" not in str(error):
            raise
    else:
        yield f"the password of {DASHBOARD}"


def tls(old: Path) -> Iterator[str]:
    """Try to be one of the servers with the old authority's key, and see whether the old keys are still in use."""
    if _believed(_private(old, KEYS / "ca.key")):
        yield "the authority's key: clients believe a server that it vouches for"
    for server, port in SERVERS.items():
        with greeted(port, _anyone()) as connection:
            shown = load_pem_x509_certificate(ssl.DER_cert_to_PEM_cert(connection.getpeercert(binary_form=True) or b"").encode())
        if shown.public_key() == _private(old, KEYS / f"{server}.key").public_key():
            yield f"the key of {server}: it still shows the certificate of it"


def host_key(old: Path) -> Iterator[str]:
    """See whether SSH clients still meet the old key."""
    held = hostkeys.public_half(_in(old, HOST_KEY))
    yield from (f"the host key: the SSH server {when} shows it" for when, shown in hostkeys.shown().items() if shown == held)


def decrypt(old: Path) -> Iterator[str]:
    """Try to open every note with the old application key; those that nobody can open prove nothing."""
    box = Fernet(_text(old, KEYS / "app.key"))
    with acting_as("telemetry"):
        connection = psycopg2.connect(DATABASE)
    with closing(connection), connection.cursor() as cursor:
        cursor.execute("select note from reading where note is not null order by id desc")
        tokens = [bytes(note) for (note,) in cursor.fetchall()]
    if not tokens:
        raise Failed("there is no note to open")
    opened = sum(map(_opens(box), tokens))
    if opened:
        yield f"the application key: it opens {opened} of {len(tokens)} notes"
    elif not all(map(_opens(notes.box()), tokens)):
        raise Failed("there are notes that no key opens")


ASKED: dict[str, Callable[[Path], Iterator[str]]] = {
    "login": login, "database": database, "tls": tls, "host-key": host_key, "decrypt": decrypt,
}  # fmt: skip


@contextmanager
def greeted(port: int, trust: ssl.SSLContext) -> Iterator[ssl.SSLSocket]:
    """Connect to a server of this station over TLS, as a client that calls it localhost."""
    with (
        socket.create_connection(("localhost", port), timeout=WITHIN) as plain,
        trust.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        yield connection


def _anyone() -> ssl.SSLContext:
    """Trust anyone: what is shown shall be seen."""
    trust = ssl.create_default_context()
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    return trust


def _believed(authority: ec.EllipticCurvePrivateKey) -> bool:
    """Say whether a client of this station believes a server whose certificate this authority has signed."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(WITHIN)
        impostor = threading.Thread(target=_pretend, args=(listening, _impostor(authority)), daemon=True)
        impostor.start()
        try:
            with greeted(listening.getsockname()[1], ssl.create_default_context(cafile=CA)):
                return True
        except ssl.SSLCertVerificationError:
            return False
        finally:
            impostor.join(WITHIN)


def _impostor(authority: ec.EllipticCurvePrivateKey) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory(dir="/run") as folder:
        both = Path(folder, "both.pem")
        both.write_bytes(certificates.pem(key) + certificates.signed("localhost", key, authority))
        context.load_cert_chain(both)
    return context


def _pretend(listening: socket.socket, context: ssl.SSLContext) -> None:
    """Be a server for one client."""
    try:
        plain, _ = listening.accept()
        with context.wrap_socket(plain, server_side=True) as connection:
            connection.recv(1)
    except OSError:
        return  # it was not believed, which the client says


def _opens(box: Fernet) -> Callable[[bytes], bool]:
    def opens(token: bytes) -> bool:
        try:
            box.decrypt(token)
        except InvalidToken:
            return False
        return True

    return opens


def _in(old: Path, path: Path) -> Path:
    return old / path.relative_to("/")


def _text(old: Path, path: Path) -> str:
    value = _in(old, path).read_text().strip()
    if not value:
        raise Failed(f"{_in(old, path)} is empty")
    return value


def _private(old: Path, path: Path) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(_in(old, path).read_bytes(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise Failed(f"{_in(old, path)} is a key of another kind")
    return key
