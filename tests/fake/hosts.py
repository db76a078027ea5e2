"""Hosts that ssh reaches, played by folders of this one: `ssh HOST COMMAND` runs the command here, unless HOST is unplugged."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fake.folder import DRILL
from tests.fake.machine import write_plan

_SSH = """\
#!/bin/sh
for argument; do host=$command; command=$argument; done
echo "$@" >> {here}/ssh.log
[ ! -e {here}/$host/unplugged ] || {{ echo "ssh: connect to host $host port 22: No route to host" >&2; exit 255; }}
cd {here}/$host  # where ssh begins
exec sh -c "exec $command"
"""
_CONFTEST = """\
from pathlib import Path
from tests.fake.machine import FakeMachine

def pytest_drill_machine(plan, labels):
    return FakeMachine({{}}, log=Path({log!r}), hang={hang!r} if plan.name == {hanging!r} else "")
"""


@dataclass
class Host:
    """One host with a checkout of its own."""

    path: Path

    @property
    def log(self) -> list[str]:
        """What its machines did."""
        path = self.path / "machine.log"
        return path.read_text().split() if path.exists() else []

    @property
    def journals(self) -> dict[str, str]:
        """Its journals, by name."""
        return {path.name: path.read_text() for path in sorted(self.path.glob("reports/*/journal*.jsonl"))}

    @property
    def address(self) -> str:
        """As `--tx` takes it."""
        return f"ssh={self.path.name}//python={sys.executable}//chdir={self.path}"


class Hosts:
    """Folders beside the user's own; the plan `hanging` hangs in the command `hang`."""

    def __init__(self, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._here = here
        (here / "bin").mkdir(parents=True)
        ssh = here / "bin" / "ssh"
        ssh.write_text(_SSH.format(here=here))
        ssh.chmod(0o755)
        monkeypatch.setenv("PATH", str(ssh.parent), prepend=":")

    @property
    def typed(self) -> str:
        """Every command line of ssh."""
        return (self._here / "ssh.log").read_text()

    def make(self, name: str, *plans: str, checkout: str = ".", hanging: str = "", hang: str = "app-load") -> Host:
        """One more host, whose checkout, seen from the home that ssh begins in, has these plans and a .venv."""
        host = Host(self._here / name / checkout)
        (host.path / ".venv" / "bin").mkdir(parents=True)
        python = host.path / ".venv" / "bin" / "python"
        python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        python.chmod(0o755)
        for plan in plans:
            write_plan(host.path, plan, f"plans/{plan}.toml")
        (host.path / "pytest.ini").write_text("[pytest]\n")
        (host.path / "test_recovery.py").write_text(DRILL)
        text = _CONFTEST.format(log=str(host.path / "machine.log"), hang=hang, hanging=hanging)
        (host.path / "conftest.py").write_text(text)
        return host
