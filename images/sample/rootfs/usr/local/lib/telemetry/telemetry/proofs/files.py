"""What lies in the archive."""

from telemetry.archive import check
from telemetry.settings import MEDIA


def archive() -> str:
    """Prove that every file of the archive is what it was: content, owner, mode, links, capabilities, ACLs, attributes."""
    return f"intact: {check(MEDIA)} entries"
