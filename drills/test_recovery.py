"""The Pi is gone: bring it back on a clean machine, from its backups alone."""

import pytest

pytestmark = pytest.mark.incident("disk-loss")


class TestRecovery:
    def test_clean_machine_boots(self, drill, pi):
        drill.reach("provisioned")
        assert pi.system_info.codename == drill.plan.machine.os

    def test_restore_point_is_found(self, drill):
        drill.reach("configured", drill.restore_point)
        assert drill.record.restore_points

    def test_dataset_comes_back(self, drill, dataset):
        drill.reach("restored", dataset)
        assert drill.record.restored[str(dataset)].files > 0

    def test_service_serves(self, drill, service, pi):
        drill.reach("serving", service)
        # It serves; systemd itself may call the unit "activating" a moment longer.
        state = pi.run("systemctl is-active %s", drill.plan.services[str(service)].unit).stdout.strip()
        assert state in ("active", "activating")

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
