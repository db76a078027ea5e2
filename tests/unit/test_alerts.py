"""What alerts are made of: references, occasions, words, and figures for Prometheus."""

from __future__ import annotations

import os
import re
import socket
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from muster.alerts import asked, ping, receivers, textfile
from muster.alerts.deliver import Closed
from muster.alerts.message import WHOLE, Ended, message
from muster.alerts.occasions import occasion, previous
from muster.errors import PlanError
from muster.findings import Finding
from muster.plan import SecretRef
from muster.record import Record
from muster.redact import Redactor
from muster.report.history import history, record_of
from tests.data.demo import LOST, cut_off, failing, passing

if TYPE_CHECKING:
    from muster.plan import Occasion

FILE = "--drill-metrics"


@pytest.fixture
def failed(tmp_path: Path) -> Record:
    return record_of(failing(tmp_path / "failed"))


@pytest.fixture
def recovered(tmp_path: Path) -> Record:
    return record_of(passing(tmp_path / "recovered"))


class TestReferences:
    @pytest.mark.parametrize(
        "text", ["ntfy://ntfy.sh/tk_4711", "tk_4711", "https://x/tk_4711", "", "env", "file:", "env:tk_4711/x", "ENV:tk_4711"]
    )
    def test_what_is_no_reference_is_refused_and_not_repeated(self, text: str) -> None:
        with pytest.raises(PlanError) as caught:
            receivers.reference("--drill-notify", text)
        assert "tk_4711" not in str(caught.value)
        assert str(caught.value).startswith("--drill-notify")
        assert len(str(caught.value).splitlines()) == 1

    def test_a_file_holds_one_address_to_a_line_and_each_is_named_by_its_place(self, tmp_path: Path) -> None:
        (tmp_path / "alerts").write_text("# phones\n\n  json://one \njson://two\n")
        found = receivers.receivers("x", SecretRef(file=tmp_path / "alerts"))
        assert [receiver.address for receiver in found] == ["json://one", "json://two"]
        assert [receiver.source.rpartition(", ")[2] for receiver in found] == ["line 3", "line 4"]

    def test_a_file_of_remarks_alone_holds_no_address(self, tmp_path: Path) -> None:
        (tmp_path / "alerts").write_text("# json://one\n")
        with pytest.raises(PlanError, match="there is no address in file"):
            receivers.receivers("x", SecretRef(file=tmp_path / "alerts"))

    def test_a_command_runs_where_it_was_asked_for(self, tmp_path: Path) -> None:
        (tmp_path / "alerts").write_text("json://one\n")
        assert receivers.receivers("x", SecretRef(command="cat alerts"), tmp_path)[0].address == "json://one"

    def test_an_address_is_in_no_representation(self) -> None:
        assert "tk_4711" not in repr(receivers.Receiver("variable X", "json://nas/tk_4711"))

    @pytest.mark.parametrize(
        "address", ["nas", "ftp://nas/x", "https://", "https://nas/a b", "https://nas\nhttps://nas", "http:///x"]
    )
    def test_a_dead_mans_switch_is_one_web_address(self, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
        monkeypatch.setenv("X", address)
        with pytest.raises(PlanError, match="variable X must hold one web address"):
            receivers.web_address("--drill-ping", SecretRef(env="X"))

    @pytest.mark.parametrize(
        "address",
        [
            "https://hc-ping.com/0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9",
            "tgram://123456789:AAbbCCddEEffGGhhIIjjKK/987654321012",
            "mailtos://owner:pass%40word1@smtp.example.org?to=owner@example.org",
            "slack://TokenAaaaaaaaa/TokenBbbbbbbbb/TokenCcccccccccc/#status",
            "ntfys://tk_AgQdq7mVBoFD37zQVN29RhuMzNIz2@ntfy.example.org/drills",
        ],
    )
    def test_what_may_be_a_token_is_hidden_and_host_names_are_not(self, address: str) -> None:
        redact = Redactor()
        receivers.teach(redact, address)
        hidden = redact(address)
        for part in re.split(r"[:/@?=#]+", address.partition("://")[2]):
            if len(part) >= 12 and "." not in part:
                assert part not in hidden
        for name in ("ntfy.example.org", "hc-ping.com", "smtp.example.org"):
            assert (name in address) == (name in hidden)


class TestOccasions:
    @pytest.mark.parametrize(
        ("verdict", "before", "expected"),
        [
            ("failed", "", "failure"),
            ("failed", "failed", "failure"),
            ("not proven", "recovered", "not-proven"),
            ("recovered", "", None),
            ("recovered", "recovered", None),
            ("recovered", "failed", "recovery"),
            ("proven", "not proven", "recovery"),
            ("proven", "proven", None),
        ],
    )
    def test_bad_news_always_and_good_news_once(self, verdict: str, before: str, expected: Occasion | None) -> None:
        assert occasion(verdict, before) == expected

    def test_the_run_before_is_the_last_one_of_the_same_plan_purpose_and_incident(self, tmp_path: Path) -> None:
        failing(tmp_path / "a", LOST)
        passing(tmp_path / "b", LOST + timedelta(days=1))
        cut_off(tmp_path / "c", LOST + timedelta(days=2))
        now = record_of(passing(tmp_path / "d", LOST + timedelta(days=3)))
        runs = history(tmp_path)[0]
        assert previous(now, runs) == "not proven"
        assert previous(record_of(tmp_path / "b" / "journal.jsonl"), runs) == "failed"
        for other in (replace(now, plan="x"), replace(now, incident="x"), replace(now, purpose="inspection", incident="")):
            assert previous(other, runs) == ""

    def test_a_run_is_not_the_one_before_itself(self, tmp_path: Path) -> None:
        record = record_of(failing(tmp_path / "a"))
        assert previous(record, history(tmp_path)[0]) == ""


class TestMessage:
    def test_it_says_what_is_wrong_what_to_do_and_where_the_report_is(self, failed: Record, tmp_path: Path) -> None:
        told = message(Ended(failed), tmp_path / "report.html")
        assert told.title == "FAILED: telemetry disk-loss"
        lines = told.body.splitlines()
        at = lines.index("- dataset readings: The dump of readings could not be loaded: pg_restore ended with 1.")
        assert lines[at + 1] == "  -> Add the role `grafana` to the plan's load, or dump with --no-owner."
        assert "- smoke record could not be judged: the machine did not answer for 30 s" in lines
        assert lines[0] == "telemetry-pi did not come back as its plan promises."
        assert f"Report: {tmp_path / 'report.html'} on " in told.body
        assert "Back after: not measured (promised: 30 min): verified was not reached" in lines

    def test_a_good_drill_names_its_figures_and_how_the_one_before_ended(self, recovered: Record, tmp_path: Path) -> None:
        told = message(Ended(recovered, before="failed"), tmp_path)
        assert told.title == "RECOVERED: telemetry disk-loss (before: failed)"
        assert re.search(r"^Back after: [^(]+ \(promised: 30 min\)$", told.body, re.MULTILINE)
        assert "MISSED" not in told.body

    def test_a_name_with_a_line_break_makes_no_second_line_of_a_title(self, failed: Record, tmp_path: Path) -> None:
        assert message(Ended(replace(failed, incident="x\nBcc: y")), tmp_path).title == "FAILED: telemetry x Bcc: y"

    def test_a_missed_promise_is_marked(self, tmp_path: Path) -> None:
        record = record_of(passing(tmp_path / "late", rto=10))
        assert "(promised: 10 s) - MISSED" in message(Ended(record), tmp_path).body

    def test_an_inspection_is_called_so_and_has_no_figures_of_a_recovery(self, recovered: Record, tmp_path: Path) -> None:
        told = message(Ended(replace(recovered, purpose="inspection", incident="backups", verdict="proven")), tmp_path)
        assert told.title == "PROVEN: telemetry backups"
        assert "Back after" not in told.body
        assert "Data lost" not in told.body

    def test_what_the_plan_accepts_is_only_counted(self, recovered: Record, tmp_path: Path) -> None:
        finding = Finding("one-medium", "error", "repositories", "all on one", "Buy another.", accepted="it is a toy")
        told = message(Ended(replace(recovered, accepted=(finding,))), tmp_path)
        assert "- 1 finding that the plan accepts" in told.body
        assert "all on one" not in told.body

    def test_an_endless_or_deceiving_text_of_a_machine_stays_one_short_line(self, recovered: Record, tmp_path: Path) -> None:
        evil = Finding("x", "error", "there", f"one\n\nReport: elsewhere\x1b[2J\u202e{'x' * 9000}", "")
        many = [replace(evil, where=f"place {number}") for number in range(50)]
        told = message(Ended(replace(recovered, findings=tuple(many), verdict="failed")), tmp_path / "report.html")
        assert len(told.body) <= WHOLE
        assert not re.search(r"^Report: elsewhere", told.body, re.MULTILINE)
        assert "\x1b" not in told.body
        assert "\u202e" not in told.body
        assert re.search(rf"^Report: {tmp_path / 'report.html'} on ", told.body, re.MULTILINE)
        assert "and 45 more findings, in the report" in told.body

    def test_a_long_message_keeps_its_end(self, recovered: Record, tmp_path: Path) -> None:
        findings = tuple(Finding("x", "error", f"{n}", "y" * 500, "z" * 500) for n in range(5))
        told = message(Ended(replace(recovered, findings=findings, verdict="failed")), tmp_path)
        assert len(told.body) <= WHOLE
        assert "- and more, in the report" in told.body
        assert "Begun: " in told.body.splitlines()[-1]


class TestClosed:
    def closed(self, *drills: Ended, status: int = 0, part: bool = False, plans: tuple[str, ...] = ("telemetry",)) -> Closed:
        return Closed(plans, drills, status, part, None)  # type: ignore[arg-type]  # no page

    def test_a_whole_good_run_is_proved(self, recovered: Record) -> None:
        assert self.closed(Ended(recovered)).proved(frozenset({"telemetry"}))

    def test_a_part_or_a_plan_without_a_drill_or_a_bad_test_is_not(self, recovered: Record) -> None:
        mine = frozenset({"telemetry"})
        assert not self.closed(Ended(recovered), part=True).proved(mine)
        assert not self.closed(Ended(recovered), status=1).proved(mine)
        assert not self.closed(Ended(recovered), plans=("telemetry", "nas")).proved(frozenset({"telemetry", "nas"}))
        assert not self.closed().proved(mine)
        assert not self.closed(Ended(recovered, ("test_mine failed",)), status=1).proved(mine)

    def test_what_went_wrong_with_one_plan_is_not_the_others(self, recovered: Record, failed: Record) -> None:
        closed = self.closed(Ended(recovered), Ended(replace(failed, plan="nas")), status=1, plans=("telemetry", "nas"))
        assert closed.proved(frozenset({"telemetry"}))
        assert closed.wrong(frozenset({"nas"}))
        assert closed.wrong(frozenset({"telemetry", "nas"}))
        assert not closed.wrong(frozenset({"telemetry"}))

    def test_an_inspection_that_failed_keeps_a_good_recovery_from_being_success(self, recovered: Record, failed: Record) -> None:
        closed = self.closed(Ended(recovered), Ended(replace(failed, purpose="inspection")), status=1, plans=("telemetry", "nas"))
        assert closed.wrong(frozenset({"telemetry"}))
        assert not closed.proved(frozenset({"telemetry"}))

    def test_a_plan_without_a_record_is_missed_only_if_the_run_went_wrong(self, recovered: Record) -> None:
        plans = ("telemetry", "nas")
        assert self.closed(Ended(recovered), status=2, plans=plans).missing == ["nas"]
        assert self.closed(Ended(recovered), status=0, plans=plans).missing == []


@pytest.mark.parametrize(
    ("base", "signal", "expected"),
    [
        ("https://nas/ping/uuid", "start", "https://nas/ping/uuid/start"),
        ("https://nas/ping/uuid/", "fail", "https://nas/ping/uuid/fail"),
        ("https://nas/ping/uuid?create=1", "fail", "https://nas/ping/uuid/fail?create=1"),
        ("https://nas/ping/uuid/?create=1", "success", "https://nas/ping/uuid/?create=1"),
        ("https://nas", "start", "https://nas/start"),
    ],
)
def test_a_signal_stands_behind_the_path(base: str, signal: ping.Signal, expected: str) -> None:
    assert ping.address(base, signal) == expected


def test_a_monitor_that_never_answers_is_given_up_after_two_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ping, "ANSWER", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        address = f"http://127.0.0.1:{deaf.getsockname()[1]}/tk_4711_long_enough"
        said = ping.ping(receivers.Receiver("variable X", address), "fail", "body")
        deaf.setblocking(False)  # noqa: FBT003  # what a socket takes
        assert [deaf.accept()[0].close() for _ in range(2)]
    assert said.startswith('The ping "fail" could not be sent to the address in variable X: it cannot be reached')
    assert "tk_4711" not in said


class TestTextfile:
    def write(self, path: Path, *drills: Ended, out: Path | None = None) -> str:
        return textfile.write(FILE, path, drills, history(out)[0] if out else ())

    def read(self, path: Path) -> dict[tuple[str, str], float]:
        """Figures by name and what tells them apart, beside the plan."""
        own = ("service", "dataset", "verdict", "code", "purpose")
        found = [sample for family in text_string_to_metric_families(path.read_text()) for sample in family.samples]
        return {(each.name, " ".join(filter(None, (each.labels.get(name, "") for name in own)))): each.value for each in found}

    def test_a_good_drill_in_figures(self, recovered: Record, tmp_path: Path) -> None:
        path = tmp_path / "muster.prom"
        assert self.write(path, Ended(recovered)) == ""
        figures = self.read(path)
        began = (LOST + timedelta(seconds=108)).timestamp()
        assert figures["muster_last_run_timestamp_seconds", "recovery"] == began
        assert figures["muster_last_success_timestamp_seconds", "recovery"] == began
        assert figures["muster_verdict", "recovered recovery"] == 1
        assert figures["muster_verdict", "failed recovery"] == 0
        assert figures["muster_rto_promised_seconds", "recovery"] == 1800
        assert figures["muster_rto_seconds", "recovery"] == recovered.rto.measured
        assert figures["muster_rpo_seconds", "readings recovery"] == recovered.datasets["readings"].measured
        assert figures["muster_findings", "MUS-B14 recovery"] == 1
        assert figures["muster_restic_processes", "recovery"] >= 0

    def test_what_was_not_measured_has_no_figure(self, failed: Record, tmp_path: Path) -> None:
        self.write(tmp_path / "muster.prom", Ended(failed))
        figures = self.read(tmp_path / "muster.prom")
        assert ("muster_rto_seconds", "recovery") not in figures
        assert figures["muster_rto_promised_seconds", "recovery"] == 1800
        assert figures["muster_last_success_timestamp_seconds", "recovery"] == 0

    def test_the_last_success_is_kept_by_the_file_and_by_the_history(self, tmp_path: Path) -> None:
        good = record_of(passing(tmp_path / "runs" / "a", LOST))
        bad = record_of(failing(tmp_path / "runs" / "b", LOST + timedelta(days=1)))
        name = ("muster_last_success_timestamp_seconds", "recovery")
        path = tmp_path / "muster.prom"
        self.write(path, Ended(good))
        self.write(path, Ended(bad))
        assert self.read(path)[name] == LOST.timestamp()
        path.unlink()
        self.write(path, Ended(bad), out=tmp_path / "runs")
        assert self.read(path)[name] == LOST.timestamp()

    def test_a_test_that_failed_makes_a_recovery_no_success(self, recovered: Record, tmp_path: Path) -> None:
        self.write(tmp_path / "muster.prom", Ended(recovered, ("test_mine failed",)))
        figures = self.read(tmp_path / "muster.prom")
        assert figures["muster_verdict", "failed recovery"] == 1
        assert figures["muster_last_success_timestamp_seconds", "recovery"] == 0

    def test_other_drills_keep_their_series_and_this_one_leaves_none_of_its_old_ones(
        self, recovered: Record, failed: Record, tmp_path: Path
    ) -> None:
        path = tmp_path / "muster.prom"
        self.write(path, Ended(replace(recovered, plan="nas")), Ended(failed))
        assert 'code="MUS-D07"' in path.read_text()
        self.write(path, Ended(recovered))
        text = path.read_text()
        assert 'plan="nas"' in text
        assert 'code="MUS-D07"' not in text
        assert text.count("# TYPE muster_verdict gauge") == 1

    def test_an_inspection_has_series_of_its_own_beside_the_recovery(self, recovered: Record, tmp_path: Path) -> None:
        path = tmp_path / "muster.prom"
        self.write(path, Ended(recovered))
        self.write(
            path,
            Ended(replace(recovered, purpose="inspection", incident="backups", verdict="proven", processes={"usb": 3, "nas": 4})),
        )
        figures = self.read(path)
        assert figures["muster_verdict", "recovered recovery"] == figures["muster_verdict", "proven inspection"] == 1
        assert figures["muster_restic_processes", "inspection"] == 7
        assert 'incident="backups",plan="telemetry",purpose="inspection"' in path.read_text()

    def test_the_exporter_may_read_it_whatever_the_umask_is(self, recovered: Record, tmp_path: Path) -> None:
        before = os.umask(0o077)
        try:
            self.write(tmp_path / "muster.prom", Ended(recovered))
        finally:
            os.umask(before)
        assert (tmp_path / "muster.prom").stat().st_mode & 0o777 == 0o644
        assert [path.name for path in tmp_path.glob("*muster*")] == ["muster.prom"]

    @pytest.mark.parametrize("text", ["node_load1 0.5\n", "no metrics at all {\n", "# TYPE x gauge\nx{a=\n"])
    def test_a_file_of_someone_else_is_refused_and_left_alone(self, recovered: Record, tmp_path: Path, text: str) -> None:
        path = tmp_path / "other.prom"
        path.write_text(text)
        with pytest.raises(PlanError, match=r"metrics"):
            textfile.check(FILE, path)
        assert self.write(path, Ended(recovered)).startswith(f"{FILE} {path} ")
        assert path.read_text() == text

    def test_a_file_that_cannot_be_written_any_more_is_a_sentence(self, recovered: Record, tmp_path: Path) -> None:
        path = tmp_path / "gone" / "muster.prom"
        assert self.write(path, Ended(recovered)) == f"{FILE} {path} could not be written: No such file or directory."

    def test_figures_of_an_older_or_newer_muster_do_not_matter(self, recovered: Record, tmp_path: Path) -> None:
        path = tmp_path / "muster.prom"
        path.write_text('muster_nonsense 3\nmuster_duration_seconds{plan="nas"} 7\n')
        assert self.write(path, Ended(recovered)) == ""
        assert "nonsense" not in path.read_text()
        assert re.search(r'muster_duration_seconds\{.*plan="nas".*\} 7', path.read_text())


def test_the_document_names_every_figure_occasion_and_option() -> None:
    text = (Path(__file__).parents[2] / "docs" / "alerts.md").read_text()
    names = [*textfile.FAMILIES, *asked.OCCASIONS, asked.NOTIFY, asked.ON, asked.PING, asked.METRICS, "--drill-no-alerts"]
    assert [name for name in names if f"`{name}" not in text] == []
    assert set(re.findall(r"\bmuster_[a-z_]+", text)) == set(textfile.FAMILIES)
