"""Commands and expectations of a plan mean the same wherever they are typed."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from muster.plan.expect import Expect
from muster.steps.by_hand import shell


def run(script: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", "-c", script], check=False, text=True, capture_output=True, cwd=cwd)


class TestCommandsOfAPlan:
    """They mean in a script with `set -eu`, and one after the other in a shell, what they mean in a shell of their own."""

    COMMANDS = (
        "echo 'a  b'",
        'echo "it\'s" "a \\"b\\""',
        "false; echo goes on",
        "echo ${NEVER_SET}-x",
        'echo "${NEVER_SET:-else}"',
        "cd / && pwd",
        "false && true",
        "! true",
        "exit 3",
        "echo one\n\necho two",
        "echo one\n#: end\necho two",
        "echo one\n  seen it\necho two",
        "cat <<E\n\nhere `echo document`\nE",
        "echo hi # there",
        "echo $(echo inner)",
        "echo a | tr a b",
        "printf '%s\\n' 'back\\slash' \"dollar \\$x\"",
        "export LEFT=behind; echo $LEFT",
        "echo $(",
        "echo 'open",
        " echo led in ",
    )

    @pytest.mark.parametrize("command", COMMANDS)
    def test_they_say_and_end_as_they_do_by_themselves(self, command: str) -> None:
        alone = run(command)
        typed = shell.of_plan(command)
        written = run(f"set -eu\n{typed}\n")
        assert (written.returncode, written.stdout) == (alone.returncode, alone.stdout)

    @pytest.mark.parametrize("command", COMMANDS)
    def test_nothing_of_them_looks_like_the_end_of_a_command(self, command: str) -> None:
        lines = shell.of_plan(command).split("\n")
        assert not any(re.match(r"\s*($|#|```|~~~|(step|seen|need|by_hand|ran)\b)", line) for line in lines)

    def test_a_simple_one_stands_as_it_is(self) -> None:
        for command in ("ask-app --all 'x; y'", 'sql "select (1)"', 'db "${DB:-/var/lib/a.db}" | tail -n 1'):
            assert shell.of_plan(command) == command

    def test_another_user_gets_the_same_words(self) -> None:
        command = "echo 'a'\n\necho \"$HOME\""
        assert shlex.split(shell.of_plan("echo 'a' \"$HOME\"", "postgres")) == [
            *("runuser", "-u", "postgres", "--", "sh", "-c"),
            "echo 'a' \"$HOME\"",
        ]
        assert run(shell.of_plan(command, "postgres").replace("runuser -u postgres -- ", "")).stdout == run(command).stdout

    def test_of_several_commands_the_first_failure_is_the_end(self, tmp_path: Path) -> None:
        block = shell.together(["cd /", "false", "echo no further"])
        done = run(f"set -e\n{block}\necho beyond", cwd=tmp_path)
        assert (done.returncode, done.stdout) == (1, "")
        assert run(f"{shell.together(['cd /', 'true'])}\npwd", cwd=tmp_path).stdout == f"{tmp_path}\n"


class TestAnswers:
    @pytest.mark.parametrize(
        ("command", "expect", "right"),
        [
            ("echo it is stored", {"contains": "stored"}, True),
            ("echo it is lost", {"contains": "stored"}, False),
            ("echo stored; exit 1", {"contains": "stored"}, False),
            ("echo stored; exit 4", {"contains": "stored", "exit": 4}, True),
            ("echo stored", {"contains": "stored", "exit": 4}, False),
            ("echo '-n $(id)'", {"contains": "-n $(id)"}, True),
            ("printf 'a\\n\\nb\\n'", {"contains": "a\n\nb"}, True),
            ("printf 'b\\n'", {"contains": "a\n\nb"}, False),
            ("echo fine", {"excludes": "error"}, True),
            ("echo an error", {"excludes": "error"}, False),
            ("echo 0", {"matches": "^0$"}, True),
            ("echo 10", {"matches": "^0$"}, False),
            ("echo rows: 12", {"matches": r"rows: [1-9]\d*", "excludes": "error"}, True),
        ],
    )
    def test_they_are_judged_as_the_drill_judges_them(self, command: str, expect: dict[str, Any], right: bool) -> None:  # noqa: FBT001
        check = shell.judged(command, "root", Expect(**expect))
        assert (run(check).returncode == 0) is right

    def test_one_that_is_expected_to_fail_does_not_end_the_script(self) -> None:
        assert run(f"set -eu\n{shell.asked('exit 3', 'root', Expect(exit=3))}\necho on").stdout == "on\n"
        assert run(f"set -eu\n{shell.asked('exit 2', 'root', Expect(exit=3))}\necho on").returncode == 1

    def test_what_to_see_is_a_sentence(self) -> None:
        assert shell.expected(Expect(contains="pong")) == 'The answer holds "pong".'
        assert shell.expected(Expect()) == "It ends without an error."
        assert shell.expected(Expect(exit=3)) == "It ends with status 3."
