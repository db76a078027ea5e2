"""How the station is asked: its page as a visitor does, its database, and whatever takes a moment to come true."""

import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

from telemetry.settings import CA, Failed

WITHIN = 20.0  # seconds that anything may take to come true
_PAUSE = 0.05  # seconds between two questions


def until(what: str, true: Callable[[], bool]) -> None:
    """Wait until something is true; raise Failed, with `what` is not, when that takes too long."""
    deadline = time.monotonic() + WITHIN
    while not true():
        if time.monotonic() > deadline:
            raise Failed(f"{what} within {WITHIN:.0f} s")
        time.sleep(_PAUSE)


def page(path: str) -> Any:  # noqa: ANN401
    """Fetch JSON from the status page the way a visitor does: over TLS, checked against the station's CA."""
    trust = ssl.create_default_context(cafile=CA)
    try:
        with urllib.request.urlopen(f"https://localhost{path}", timeout=WITHIN, context=trust) as reply:
            return json.load(reply)
    except urllib.error.HTTPError as error:
        said = error.read().decode(errors="replace")
        if error.code == 404:  # noqa: PLR2004  # not found
            return {}
        raise Failed(f"the status page answers {error.code}: {said[:200]}") from None
    except (OSError, ValueError) as error:
        raise Failed(f"the status page does not answer: {error}") from None
