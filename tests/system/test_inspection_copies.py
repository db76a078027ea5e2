"""What an inspection says of copies of a real system that are broken, and that it is silent on a healthy one."""

from __future__ import annotations

from tests.system.breaking import Sample, told


def test_a_healthy_system_has_no_finding(system: Sample) -> None:
    record = system.inspect(system.copy("inspected"))
    assert record.findings == (), told(record)
    assert record.verdict == "proven", told(record)
