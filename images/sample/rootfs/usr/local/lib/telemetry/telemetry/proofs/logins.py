"""Who is let in by the broker, and who is not."""

import secrets

from telemetry import mqtt
from telemetry.settings import CLIENTS, Failed, secret


def _refused(user: str | None, password: str | None) -> bool:
    try:
        with mqtt.session(user, password):
            return False
    except PermissionError:
        return True


def login() -> str:
    """Prove that every client's own password is taken."""
    for user in CLIENTS:
        if _refused(user, secret(f"mqtt-{user}.password")):
            raise Failed(f"the broker refused {user} with the password that the station holds")
    return "accepted"


def stranger() -> str:
    """Prove that a wrong password is refused, and so is a visitor without one."""
    if not _refused("publisher", secrets.token_urlsafe()):
        raise Failed("the broker let in a wrong password")
    if not _refused(None, None):
        raise Failed("the broker let in a stranger without a password")
    return "refused"
