"""What lies in the database, and can still be read."""

from cryptography.fernet import InvalidToken

from telemetry import notes
from telemetry.proofs import sql
from telemetry.settings import Failed, stamp

NOTES = 500  # old notes that are opened, at most


def decrypt() -> str:
    """Prove that the oldest notes open with the application key, and each says which reading it belongs to."""
    box = notes.box()
    rows = sql.rows(f"select id, at, sensor, note from reading where note is not null order by id limit {NOTES}")  # noqa: S608
    if not rows:
        raise Failed("there is no note to open")
    for number, at, sensor, note in rows:
        try:
            opened = box.decrypt(bytes(note)).decode()
        except InvalidToken:
            raise Failed(f"the application key does not open the note of reading {number}") from None
        if opened != notes.worded(sensor, stamp(at)):
            raise Failed(f"the note of reading {number} belongs to another reading")
    return f"decrypted {len(rows)} notes"
