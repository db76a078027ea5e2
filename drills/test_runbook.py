"""The Pi is gone, and somebody follows the runbook: the shell, restic and the passwords must be enough to have it back."""

import pytest

pytestmark = pytest.mark.incident("runbook")


class TestRunbook:
    def test_step_of_the_runbook_ends_well(self, drill):
        drill.reach("verified", drill.followed)
        assert all(step.outcome == "done" for step in drill.record.handbook.followed)

    def test_dataset_comes_back(self, drill, dataset):
        drill.reach("restored", dataset)
        assert drill.record.restored[str(dataset)].files > 0

    def test_service_serves(self, drill, service):
        drill.reach("serving", service)

    def test_metric_matches_the_manifest(self, drill, metric):
        drill.reach("verified", metric)
        assert drill.record.metrics[str(metric)].value

    def test_service_answers(self, drill, smoke):
        drill.reach("verified", smoke)

    def test_machine_is_what_the_pi_was(self, drill):
        drill.reach("verified", drill.conformity)

    def test_objective_is_met(self, drill, objective):
        drill.hold(objective)

    def test_nothing_else_is_wrong(self, drill):
        drill.conclude()
        assert drill.record.milestones["verified"]
