"""What happened, and what now? Only runs when asked to: `pytest drills/ --drill-triage SIGN` (or `look`)."""


def test_what_happened(triage):
    judgement = triage.judge()
    assert judgement.incident
    assert judgement.point, judgement.missing
