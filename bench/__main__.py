"""Run the benchmark: `python -m bench`, or `make bench OPTIONS="--only critical --rounds 3"`."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from bench import parts, writing
from bench.about import about
from bench.hands import Hands
from muster.errors import MusterError
from muster.machines import container, engine


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="rounds of what the ratios come from (%(default)s)")
    parser.add_argument("--only", action="append", choices=parts.PARTS, help="only this part (repeatable)")
    parser.add_argument("--as-made", action="store_true", help="recover the systems that were made last, whatever their recipe")
    return parser.parse_args()


def main() -> int:
    """Measure, print and write what was asked for; 1 and one sentence when that cannot be done."""
    options, console = _arguments(), Console(stderr=True, highlight=False)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # leaves through every `with`, as Ctrl-C does
    try:
        with tempfile.TemporaryDirectory(prefix="muster-bench-") as folder:
            hands = Hands(engine.connect(), Path(folder), options.rounds, console, as_made=options.as_made)
            container.remove_leftovers(hands.client)
            try:
                on = about(hands)
                parts.measure(hands, options.only or list(parts.PARTS))
            finally:
                hands.remove()
            writing.show(hands.measured, Console())
            writing.write(hands.measured, on, whole=not options.only)
    except MusterError as error:
        console.print(f"bench: {error}", markup=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("bench: stopped; nothing is left behind")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
