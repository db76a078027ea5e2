"""Somebody else was on the Pi: go back to before that, bring nothing of theirs along, and give everything new credentials."""

import pytest

pytestmark = pytest.mark.incident("compromise")


class TestCompromise:
    def test_restore_point_is_older_than_the_first_sign(self, drill):
        drill.reach("configured", drill.restore_point)
        assert drill.record.restore_points

    def test_nothing_of_an_intruder_comes_back(self, drill):
        drill.reach("verified", drill.persistence)
        assert drill.record.case_file.compared

    def test_dataset_comes_back(self, drill, dataset):
        drill.reach("restored", dataset)
        assert drill.record.restored[str(dataset)].files > 0

    def test_service_serves(self, drill, service):
        drill.reach("serving", service)

    def test_metric_matches_the_manifest(self, drill, metric):
        drill.reach("verified", metric)

    def test_old_credential_is_refused_and_the_new_one_works(self, drill, rotation):
        drill.reach("verified", rotation)

    def test_service_answers_with_new_credentials(self, drill, smoke):
        drill.reach("verified", smoke)

    def test_lost_pi_could_not_delete_this_copy(self, drill, tryout):
        drill.reach("verified", tryout)

    def test_objective_is_met(self, drill, objective):
        drill.hold(objective)

    def test_nothing_else_is_wrong(self, drill):
        drill.conclude()
        assert drill.record.milestones["verified"]
