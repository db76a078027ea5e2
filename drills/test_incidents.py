"""What can happen to this Pi in particular: one drill for each `[incidents.NAME]` of its plan."""

import pytest

pytestmark = pytest.mark.usefixtures("incident")


class TestIncidents:
    def test_restore_point_is_right(self, drill):
        drill.reach("configured", drill.restore_point)
        assert drill.record.restore_points

    def test_data_comes_back(self, drill):
        drill.reach("restored")

    def test_services_answer(self, drill):
        drill.reach("verified")

    def test_objective_is_met(self, drill, objective):
        drill.hold(objective)

    def test_nothing_else_is_wrong(self, drill):
        drill.conclude()
        assert drill.record.milestones["verified"]
