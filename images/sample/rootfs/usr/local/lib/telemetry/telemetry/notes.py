"""What is noted with readings: how it is worded, and how it is sealed."""

from cryptography.fernet import Fernet, MultiFernet

from telemetry.settings import KEYS, Failed, secret


def box() -> MultiFernet:
    """Open and close notes: with the first line of the application key's file, and open those of the other lines as well.

    There is one line, but for as long as the notes are encrypted anew.
    """
    try:
        return MultiFernet([Fernet(line) for line in secret("app.key").split()])
    except ValueError:
        raise Failed(f"{KEYS / 'app.key'} holds no key") from None


def worded(sensor: str, at: str) -> str:
    """Write what the owner noted with a reading; it names the reading, so that a mixed-up note is seen."""
    return f"{sensor} at {at}: inspected, all well"
