"""Under pytest-xdist there is one recovery for each plan, and the controller says what its workers know."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from muster.plugin.workers import scope
from tests.fake.folder import Outcomes

if TYPE_CHECKING:
    from tests.fake.folder import Folder


@pytest.mark.parametrize(
    ("nodeid", "together"),
    [
        ("t.py::C::test_a[pi]", "drill of pi"),
        ("t.py::C::test_b[pi-etc]", "drill of pi"),
        ("u.py::test_c[x-pi-etc]", "drill of pi"),
        ("t.py::test_d[pi-two]", "drill of pi"),
        ("t.py::test_e[nas-rto-web]", "drill of nas"),
        ("t.py::test_f[pie]", "t.py::test_f[pie]"),
        ("t.py::test_g", "t.py::test_g"),
        ("pi/pi.py::pi", "pi/pi.py::pi"),
    ],
)
def test_tests_of_one_plan_stay_together_and_no_others(nodeid: str, together: str) -> None:
    assert scope(nodeid, ["nas", "pi", "pi-two"]) == together


def test_two_files_of_drills_are_one_recovery(folder: Folder) -> None:
    folder.drill("test_more.py", "def test_more(drill):\n    drill.reach('verified')\n")
    folder.drill("test_other.py", "def test_other():\n    assert True\n")
    assert folder.run("-n", "2", subprocess=True) == 0
    assert Outcomes(folder.output)["passed"] == 23, folder.output
    assert folder.log == ["prepare", "provision", "destroy"]
    assert folder.record.verdict == "recovered"
    assert folder.output.count("RECOVERED") == 1
    assert "RECOVERED" in folder.written["report.html"].upper()
    assert (folder.path / "reports" / "index.html").is_file()


def test_two_plans_are_two_recoveries(folder: Folder) -> None:
    folder.plan("second")
    assert folder.run("-n", "2", "--dist", "worksteal", subprocess=True) == 0
    assert folder.log.count("provision") == 2
    assert len(folder.journals) == 2


def test_workers_that_recover_the_same_pi_write_journals_of_their_own(folder: Folder) -> None:
    assert folder.run("-n", "2", "--dist", "each", "-k", "nothing_else", subprocess=True) == 0
    assert folder.log.count("provision") == 2
    assert len(folder.journals) == 2


def test_what_a_worker_knows_reaches_the_user(folder: Folder) -> None:
    folder.machine({"ask-web": (1, "no page"), "systemctl start --no-block db": (91, "no room")})
    assert folder.run("-n", "1", "-q", "-q", "--drill-keep", subprocess=True) == 1
    assert folder.line(r"^FAILED .*test_service_answers\[tiny-page\] - Smoke check page ended with status 1, not 0")
    assert "BLOCKED " in folder.output
    assert "start:db failed: db.service failed to start" in folder.output
    assert "was kept (--drill-keep)" in folder.output
    assert "Traceback" not in folder.output


def test_what_was_only_blocked_on_a_worker_does_not_exit_with_success(folder: Folder) -> None:
    folder.machine({"systemctl start --no-block db": (91, "no room")})
    assert folder.run("-n", "1", "-k", "service_serves and app", subprocess=True) == 1
