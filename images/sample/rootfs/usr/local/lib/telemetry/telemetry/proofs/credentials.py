"""What the station holds is what its servers have: certificates, a password, and the key of its SSH server."""

import ssl
from contextlib import closing

import psycopg2

from telemetry import hostkeys, refusals, status
from telemetry.settings import CA, CONFIG, HOST_KEY, SERVERS, Failed


def database() -> str:
    """Prove that the status page's own password opens the database, for reading and for nothing else."""
    try:
        with closing(status.database_of_readings()) as opened, opened.cursor() as cursor:
            cursor.execute("select count(*) from reading")
            try:
                cursor.execute("delete from reading")
            except psycopg2.errors.InsufficientPrivilege:
                return "reads, and does nothing else"
            raise Failed("the status page may delete readings")  # and has not: nothing was committed
    except psycopg2.Error as error:
        raise Failed(f"the database does not answer the status page: {error}") from None


def tls() -> str:
    """Prove that both servers have the certificates that the station holds, and that its clients trust these."""
    trust = ssl.create_default_context(cafile=CA)
    for server, port in SERVERS.items():
        try:
            with refusals.greeted(port, trust) as greeted:
                shown = greeted.getpeercert(binary_form=True)
        except OSError as error:
            raise Failed(f"the certificate of {server} is not to be trusted: {error}") from None
        if shown != ssl.PEM_cert_to_DER_cert((CONFIG / f"{server}.crt").read_text()):
            raise Failed(f"{server} shows another certificate than the station holds")
    return "trusted"


def host_key() -> str:
    """Prove that SSH clients meet the key that the station holds, now and after the next start."""
    held = hostkeys.public_half(HOST_KEY)
    for when, shown in hostkeys.shown().items():
        if shown != held:
            raise Failed(f"the SSH server {when} shows another key than the station holds")
    return "shown"
