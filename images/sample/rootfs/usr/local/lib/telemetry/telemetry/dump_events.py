"""telemetry-dump-events: a sound copy of the events, on standard output, taken while the recorder goes on writing."""

import shutil
import sqlite3
import sys
import tempfile
from pathlib import Path

from telemetry.settings import EVENTS_DB, Failed


def copy_to(target: Path) -> None:
    """Copy through SQLite itself, WAL included, and leave one plain file that needs no other beside it."""
    source = sqlite3.connect(f"file:{EVENTS_DB}?mode=ro", uri=True, timeout=30)
    copy = sqlite3.connect(target)
    source.backup(copy)
    copy.execute("pragma journal_mode = delete")
    sound = copy.execute("pragma integrity_check").fetchone()[0]
    rows = copy.execute("select count(*) from event").fetchone()[0]
    copy.close()
    source.close()
    if sound != "ok" or not rows:
        raise Failed(f"the copy of {EVENTS_DB} is not worth keeping: integrity {sound!r}, {rows} events")


def main() -> None:
    """Write the copy to standard output."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "events.db")
        try:
            copy_to(target)
        except sqlite3.Error as error:
            raise Failed(f"cannot copy {EVENTS_DB}: {error}") from None
        with target.open("rb") as copy:
            shutil.copyfileobj(copy, sys.stdout.buffer)
