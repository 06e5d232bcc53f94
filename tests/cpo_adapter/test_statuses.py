"""EVSE statuses of a site (R2, R3, R47)."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cpo_adapter import config
from cpo_adapter.charging.events import StatusReported
from cpo_adapter.statuses import GRACE, Statuses
from tests.cpo_adapter.test_config import PARTY, written

AT = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
E1, E2 = ("LOC1", "E1"), ("LOC1", "E2")


def statuses_of(folder: Path) -> Statuses:
    return Statuses(config.load(written(folder), PARTY), AT)


def reported(connector_id: int, status: str, minutes: float = 0) -> StatusReported:
    at = AT + timedelta(minutes=minutes)
    return StatusReported("cp-1", connector_id, status, at, at)


def test_an_evse_has_the_status_of_its_connector_until_something_covers_the_whole_charger(tmp_path: Path) -> None:
    statuses = statuses_of(tmp_path)
    statuses.connected("CP-1")
    assert statuses.now(AT) == {E1: "UNKNOWN", E2: "UNKNOWN"}
    assert statuses.report(reported(1, "Charging"))
    statuses.report(reported(2, "Available"))
    assert statuses.now(AT) == {E1: "CHARGING", E2: "AVAILABLE"}
    statuses.report(reported(0, "Faulted", 1))
    assert statuses.now(AT) == {E1: "OUTOFORDER", E2: "OUTOFORDER"}
    statuses.report(reported(0, "Available", 2))
    assert statuses.now(AT) == {E1: "CHARGING", E2: "AVAILABLE"}


def test_an_older_report_changes_nothing(tmp_path: Path) -> None:
    statuses = statuses_of(tmp_path)
    statuses.report(reported(1, "Available", 5))
    assert not statuses.report(reported(1, "Charging", 1))
    assert statuses.now(AT)[E1] == "AVAILABLE"


def test_a_charger_that_is_gone_becomes_unknown_after_the_grace_time_until_it_reports_anew(tmp_path: Path) -> None:
    statuses = statuses_of(tmp_path)
    statuses.connected("CP-1")
    statuses.report(reported(1, "Available", 1))
    gone = AT + timedelta(minutes=2)
    statuses.disconnected("CP-1", gone)
    assert statuses.now(gone + GRACE)[E1] == "AVAILABLE"
    assert statuses.now(gone + GRACE + timedelta(seconds=1))[E1] == "UNKNOWN"
    statuses.connected("CP-1")
    assert statuses.now(gone + timedelta(hours=1))[E1] == "UNKNOWN"
    statuses.report(reported(1, "Available", 65))
    assert statuses.now(AT + timedelta(minutes=66))[E1] == "AVAILABLE"
