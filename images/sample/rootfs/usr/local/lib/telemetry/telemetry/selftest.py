"""telemetry-selftest: prove one thing about this station, end to end, and say the word for it only when it is true.

With --old it is asked whether credentials of before are still worth something: see telemetry.refusals. Exit status 0 says that
one of them is, 1 that every one was refused, and 126 that the question could not be asked.
"""

import argparse
import sys
from importlib import import_module
from pathlib import Path

from telemetry.settings import become

PROOFS = {  # the module that has each: what the others need is not loaded
    "login": "logins", "stranger": "logins", "round-trip": "arrivals", "record": "arrivals", "decrypt": "stored",
    "status": "page", "archive": "files", "database": "credentials", "tls": "credentials", "host-key": "credentials",
}  # fmt: skip
AS_ROOT = ("archive", "host-key")  # what belongs to several users, and what only root may read


def main() -> None:
    """Run the test that was named."""
    parser = argparse.ArgumentParser(prog="telemetry-selftest", description=__doc__)
    parser.add_argument("test", choices=PROOFS)
    parser.add_argument("--old", type=Path, metavar="DIR", help="a folder with files of before, under their full paths")
    options = parser.parse_args()
    if options.old:
        sys.exit(import_module("telemetry.refusals").status_of(options.test, options.old))
    proof = getattr(import_module(f"telemetry.proofs.{PROOFS[options.test]}"), options.test.replace("-", "_"))
    if options.test not in AS_ROOT:
        become("telemetry")
    print(proof())  # noqa: T201  # what the program says
