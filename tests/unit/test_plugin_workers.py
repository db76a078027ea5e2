"""Under pytest-xdist there is one recovery for each plan, and the controller says what its workers know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fake.folder import Outcomes

if TYPE_CHECKING:
    from tests.fake.folder import Folder


def test_each_plan_is_one_recovery_however_many_files_drill_it(folder: Folder) -> None:
    folder.plan("second")
    folder.drill("test_more.py", "def test_more(drill):\n    drill.reach('verified')\n")
    folder.drill("test_other.py", "def test_other():\n    assert True\n")
    assert folder.run("-n", "2", subprocess=True) == 0
    assert Outcomes(folder.output)["passed"] == 45, folder.output
    assert folder.log.count("provision") == folder.log.count("destroy") == 2
    assert len(folder.journals) == 2
    assert folder.output.count("✓ RECOVERED") == 2
    assert "RECOVERED" in folder.written["report.html"].upper()
    assert (folder.path / "reports" / "index.html").is_file()


def test_what_a_worker_knows_reaches_the_user(folder: Folder) -> None:
    folder.machine({"ask-web": (1, "no page"), "systemctl start --no-block db": (91, "no room")})
    assert folder.run("-n", "1", "-q", "-q", "--drill-keep", subprocess=True) == 1
    assert folder.line(r"^FAILED .*test_service_answers\[tiny-page\] - Smoke check page ended with status 1, not 0")
    assert "BLOCKED " in folder.output
    assert "start:db failed: db.service failed to start" in folder.output
    assert "was kept (--drill-keep)" in folder.output
    assert "Traceback" not in folder.output
