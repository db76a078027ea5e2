"""The Pi is encrypted, and so is every backup that it could write to: what is off-site brings it back, with new credentials."""

import pytest

pytestmark = pytest.mark.incident("ransomware")


class TestRansomware:
    def test_restore_point_is_off_site(self, drill):
        drill.reach("configured", drill.restore_point)
        assert not {point.repository for point in drill.record.restore_points} & set(drill.incident.lost)

    def test_services_answer(self, drill):
        drill.reach("verified")

    def test_objective_is_met(self, drill, objective):
        drill.hold(objective)

    def test_nothing_else_is_wrong(self, drill):
        drill.conclude()
        assert drill.record.milestones["verified"]
