"""The sample recovers within the limits of a board, too, and its record says so."""

from __future__ import annotations

from images import sample
from muster.plan import load
from muster.record import Record
from muster.report.page import summary
from muster.session import Options, Session, new_run
from tests.system.breaking import Sample, lost, told
from tests.system.running import written_plan


def on_a_pi4(text: str) -> str:
    return text.replace("[machine]\n", '[machine]\nhardware = "pi4"\n')


def recovered(system: Sample) -> Record:
    home = system.copy("on-a-board")
    put_store = sample.store_for(system.client, home)
    session = Session(
        Options(system.out, new_run(), lost_at=lost(home)),
        on_network=lambda _plan, _reached, network, labels: put_store(network, labels),
        say=lambda _: None,
    )
    try:
        session.drill(load(written_plan(home, on_a_pi4)), "disk-loss").conclude()
    finally:
        records = session.close()
    return records[0]


def test_the_sample_recovers_within_the_limits_of_a_pi_4(system: Sample) -> None:
    record = recovered(system)
    assert record.verdict == "recovered", told(record)
    assert record.board == "Raspberry Pi 4 Model B"
    assert all("held to" in record.limits[what] or "slower" in record.limits[what] for what in ("CPU", "memory", "SD card"))
    assert "under limits of a Raspberry Pi 4 Model B" in summary(record)
