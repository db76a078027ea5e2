"""The data is wrong, and nobody knows since when: bring the Pi back from the newest restore point that is good."""

import pytest

pytestmark = pytest.mark.incident("corruption")


class TestCorruption:
    def test_good_restore_point_is_found(self, drill):
        drill.reach("configured", drill.restore_point)
        assert any(probe.good for probe in drill.record.case_file.probes)

    def test_service_serves(self, drill, service):
        drill.reach("serving", service)

    def test_metric_matches_the_manifest(self, drill, metric):
        drill.reach("verified", metric)

    def test_data_holds_together(self, drill, invariant):
        drill.reach("verified", invariant)

    def test_service_answers(self, drill, smoke):
        drill.reach("verified", smoke)

    def test_nothing_else_is_wrong(self, drill):
        drill.conclude()
        assert drill.record.milestones["verified"]
