"""The Pi is gone, and more with it: every disk beside it, or the machine that holds the passwords."""

import pytest


@pytest.mark.incident("site-loss")
class TestOnlyTheOffSiteCopyIsLeft:
    def test_restore_point_is_off_site(self, drill):
        drill.reach("configured", drill.restore_point)
        assert not {point.repository for point in drill.record.restore_points} & set(drill.incident.lost)

    def test_dataset_comes_back(self, drill, dataset):
        drill.reach("restored", dataset)
        assert drill.record.restored[str(dataset)].files > 0

    def test_services_answer(self, drill):
        drill.reach("verified")

    def test_objective_is_met(self, drill, objective):
        drill.hold(objective)

    def test_nothing_else_is_wrong(self, drill):
        drill.conclude()
        assert drill.record.milestones["verified"]


@pytest.mark.incident("password-loss")
class TestPasswordsAreInTheirSecondPlace:
    def test_dataset_comes_back(self, drill, dataset):
        drill.reach("restored", dataset)
        assert drill.record.restored[str(dataset)].files > 0

    def test_services_answer(self, drill):
        drill.reach("verified")

    def test_objective_is_met(self, drill, objective):
        drill.hold(objective)

    def test_nothing_else_is_wrong(self, drill):
        drill.conclude()
        assert drill.record.milestones["verified"]
