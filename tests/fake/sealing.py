"""What surrounds the seal on a Pi, for tests without one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from muster.seal.packaged import Packages

Answers = Callable[[dict[str, str]], None]
SHOW = "systemctl show --timestamp=unix --property="


def answering(monkeypatch: pytest.MonkeyPatch) -> Answers:
    """Let programs of the system answer as on a Pi: by the first words of their command line."""

    def answer(answers: dict[str, str]) -> None:
        def said(command: list[str]) -> str:
            return next((text for start, text in answers.items() if " ".join(command).startswith(start)), "")

        monkeypatch.setattr("muster.seal.programs.output", said)

    return answer


def debian(tmp_path: Path) -> Packages:
    """What dpkg and ucf know: a folder, two files, one of them with a default content."""
    database = tmp_path / "db/var/lib/dpkg"
    (database / "info").mkdir(parents=True)
    (tmp_path / "db/var/lib/ucf").mkdir(parents=True)
    (database / "info/app.list").write_text("/.\n/etc\n/etc/app\n/etc/app/owned\n/usr/bin/app\n", encoding="utf-8")
    of = f"/etc/app/app.conf {hashlib.md5(b'default').hexdigest()}"  # noqa: S324  # what dpkg has
    status = f"Package: app\nConffiles:\n {of}\n {of.replace('app.conf', 'old.conf')} obsolete\n /etc/app/new newconffile\n"
    (database / "status").write_text(status + "Description: an app\n", encoding="utf-8")
    (tmp_path / "db/var/lib/ucf/hashfile").write_text(f"{'0' * 32}  /etc/app/ucf.conf\n", encoding="utf-8")
    return Packages(str(tmp_path / "db"))
