"""Kept shells: what they say between the words of commands, what breaks that, and how they are shared."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from muster.errors import HarnessError
from muster.machines.shells import pool as pools
from muster.machines.shells import shell as shells
from muster.machines.shells.marks import Broken, Mark, Sieve
from muster.machines.shells.pool import Closed, Pool, Refused
from muster.machines.shells.shell import Asked, Heard, Lost, NotBegun, Overdue, Shell
from muster.machines.shells.stream import OUT
from tests.fake.local_shell import LocalStream

KEY = "0123456789abcdef" * 2
PROGRAMS = ("sh", "cat", "head", "id", "pkill", "setsid", "timeout", "sleep", "wc")

Made = Callable[..., Shell]


@pytest.fixture
def made() -> Iterator[Made]:
    """Begins shells of this host."""
    streams: list[LocalStream] = []

    def make(**how: object) -> Shell:
        streams.append(LocalStream(**how))  # type: ignore[arg-type]  # what LocalStream takes
        return Shell(streams[-1], 10)

    yield make
    for stream in streams:
        stream.close()
        stream.kill()
        stream.process.wait()


def ask(shell: Shell, command: str, stdin: bytes = b"", seconds: float = 10) -> Heard:
    return shell.carry_out(Asked(command, seconds, stdin))


class TestMarks:
    def test_they_are_found_however_the_stream_is_cut(self) -> None:
        data = f"one{KEY}B0000000007two{KEY[:20]}three{KEY}E0000000137".encode()
        for size in range(1, len(data) + 1):
            sieve = Sieve(KEY)
            parts = [part for at in range(0, len(data), size) for part in sieve.sift(data[at : at + size])]
            assert [part for part in parts if isinstance(part, Mark)] == [Mark(b"B", 7), Mark(b"E", 137)]
            assert b"".join(part for part in parts if isinstance(part, bytes)) == f"onetwo{KEY[:20]}three".encode()

    def test_nothing_is_kept_back_that_cannot_be_one(self) -> None:
        assert list(Sieve(KEY).sift(b"a line\n")) == [b"a line\n"]

    def test_what_has_the_key_and_is_none_is_told(self) -> None:
        with pytest.raises(Broken, match="a mark that ends with"):
            list(Sieve(KEY).sift(f"{KEY}E00000000no".encode()))


@pytest.mark.parametrize("kind", [["sh", "-s"], ["bash", "--posix", "-s"], ["busybox", "sh", "-s"]], ids=lambda kind: kind[0])
def test_every_usual_shell_can_be_kept(made: Made, kind: list[str]) -> None:
    if shutil.which(kind[0]) is None:
        pytest.skip(f"there is no {kind[0]} here")
    shell = made(typed=[*kind, "kept"])
    heard = ask(shell, "echo said; cat; echo err >&2; exit 3", b"given\n" * 20_000)
    assert (heard.status, heard.out, heard.err) == (3, b"said\n" + b"given\n" * 20_000, b"err\n")
    assert ask(shell, "echo again; kill -9 $$").out == b"again\n"
    assert ask(shell, "(trap '' TERM; exec sleep 9) & sleep 9", seconds=0.2).ran_out
    assert (shell.fit, shell.is_quiet()) == (True, True)


class TestBroken:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """All the programs that a kept shell needs, to take one away."""
        for name in PROGRAMS:
            (tmp_path / name).symlink_to(str(shutil.which(name)))
        return tmp_path

    @pytest.mark.parametrize(("gone", "given"), [("cat", b""), ("cat", b"given"), ("head", b"given")])
    def test_output_and_input_that_cannot_be_passed_on_are_no_result(
        self, made: Made, folder: Path, gone: str, given: bytes
    ) -> None:
        shell = made(env={"PATH": str(folder)})
        assert ask(shell, "wc -c", b"given").out.strip() == b"5"
        (folder / gone).unlink()
        with pytest.raises(Broken, match=f"{gone}.* ended with 127"):
            ask(shell, "echo said", given)
        assert not shell.fit

    @pytest.mark.parametrize("gone", ["timeout", "setsid"])
    def test_a_program_that_runs_commands_and_is_gone_is_named(self, made: Made, folder: Path, gone: str) -> None:
        shell = made(env={"PATH": str(folder)})
        (folder / gone).unlink()
        heard = ask(shell, "echo said")
        assert (heard.status, heard.out) == (127, b"")
        assert gone in heard.err.decode()
        assert "not found" in heard.err.decode() or "No such file" in heard.err.decode()

    def test_a_shell_that_never_began_tells_what_was_said_instead(self, made: Made) -> None:
        with pytest.raises(NotBegun, match="no account for you"):
            made(typed=["sh", "-c", "echo no account for you; exit 1"])

    def test_one_that_does_not_answer_is_not_waited_for(self) -> None:
        stream = LocalStream(["sleep", "5"])
        with pytest.raises(Overdue):
            Shell(stream, 0.1)
        stream.kill()
        stream.process.wait()

    def test_what_a_login_says_first_is_passed_over(self, made: Made) -> None:
        shell = made(typed=["sh", "-c", "echo Welcome!; echo Hello >&2; exec sh -s kept"])
        heard = ask(shell, "echo said")
        assert (heard.out, heard.err) == (b"said\n", b"")

    def test_words_that_nobody_asked_for_make_a_shell_unfit(self, made: Made) -> None:
        shell = made()
        stream = shell._stream
        assert isinstance(stream, LocalStream)
        stream.injected.append((OUT, b"all is well"))
        assert not shell.is_quiet()
        stream.injected.append((OUT, b"all is well"))
        with pytest.raises(Broken, match="words before the command began"):
            ask(shell, "exit 1")

    def test_a_zero_byte_is_refused(self, made: Made) -> None:
        with pytest.raises(HarnessError, match="zero byte"):
            ask(made(), "echo \0")

    def test_a_shell_that_is_killed_under_a_command_is_no_result(self, made: Made) -> None:
        shell = made()
        with pytest.raises(Lost) as lost:
            ask(shell, "echo before; kill -KILL $(ps -o ppid= -p $PPID)")
        assert (lost.value.begun, lost.value.heard.status, lost.value.heard.out) == (True, None, b"before\n")


class TestPool:
    @pytest.fixture
    def begun(self) -> list[Shell]:
        return []

    @pytest.fixture
    def pool(self, made: Made, begun: list[Shell]) -> Iterator[Pool]:
        def begin() -> Shell:
            begun.append(made())
            return begun[-1]

        pool = Pool(begin)
        yield pool
        pool.close()

    def test_commands_after_one_another_share_a_shell(self, pool: Pool, begun: list[Shell]) -> None:
        assert [pool.run(Asked(f"echo {number}", 10)).out for number in range(5)] == [b"%d\n" % number for number in range(5)]
        assert len(begun) == 1

    def test_a_shell_that_died_while_it_waited_is_replaced(self, pool: Pool, begun: list[Shell]) -> None:
        pool.run(Asked("true", 10))
        stream = begun[0]._stream
        assert isinstance(stream, LocalStream)
        stream.kill()
        stream.process.wait()
        assert pool.run(Asked("echo here", 10)).out == b"here\n"
        assert len(begun) == 2

    def test_no_more_are_kept_than_is_good(self, pool: Pool, begun: list[Shell], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pools, "MOST_KEPT", 2)
        together = threading.Barrier(4)

        def wait(_line: str) -> None:
            together.wait(10)

        with ThreadPoolExecutor(4) as several:
            list(several.map(lambda _: pool.run(Asked("echo go", 10, on_line=wait)), range(4)))
        assert (len(begun), len(pool._free), len(pool._all)) == (4, 2, 2)

    def test_one_whose_output_something_still_holds_is_not_used_again(
        self, pool: Pool, begun: list[Shell], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(shells, "GRACE", 0.1)
        assert pool.run(Asked("sleep 2 & echo started", 10)).status == 0
        assert pool.run(Asked("echo next", 10)).out == b"next\n"
        assert len(begun) == 2

    def test_a_machine_that_refuses_more_has_them_wait(self, made: Made) -> None:
        begun: list[Shell] = []

        def begin() -> Shell:
            if len(begun) == 2:
                raise Refused("too many")
            begun.append(made())
            return begun[-1]

        pool = Pool(begin)
        with ThreadPoolExecutor(6) as several:
            heard = list(several.map(lambda number: pool.run(Asked(f"sleep 0.1; echo {number}", 10)).out, range(6)))
        assert heard == [b"%d\n" % number for number in range(6)]
        pool.close()

    def test_closing_wakes_whoever_waits_and_lets_nobody_in(self, made: Made) -> None:
        shell = made()
        first = iter([shell])

        def begin() -> Shell:
            for each in first:
                return each
            raise Refused("too many")

        pool, seen = Pool(begin), threading.Event()
        with ThreadPoolExecutor(2) as several:
            running = several.submit(pool.run, Asked("echo begun; sleep 1", 10, on_line=lambda _line: seen.set()))
            assert seen.wait(10)
            waiting = several.submit(pool.run, Asked("true", 10))
            pool.close()
            with pytest.raises(Closed):
                waiting.result(10)
            running.result(10)  # a pipe of this host is not cut by closing its other end
        with pytest.raises(Closed):
            pool.run(Asked("true", 10))
