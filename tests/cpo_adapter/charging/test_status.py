from dataclasses import replace
from datetime import timedelta
from itertools import permutations

import pytest

from cpo_adapter.charging.events import StatusReported
from cpo_adapter.charging.status import StatusView
from tests.cpo_adapter.charging.examples import at, status


def view(*facts: StatusReported) -> StatusView:
    result = StatusView()
    for fact in facts:
        result = result.apply(fact)
    return result


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        ("Available", "AVAILABLE"),
        ("Preparing", "BLOCKED"),
        ("Charging", "CHARGING"),
        ("SuspendedEV", "CHARGING"),
        ("SuspendedEVSE", "CHARGING"),
        ("Finishing", "BLOCKED"),
        ("Reserved", "RESERVED"),
        ("Unavailable", "INOPERATIVE"),
        ("Faulted", "OUTOFORDER"),
        ("Nonsense", "UNKNOWN"),
    ],
)
def test_each_status_has_its_ocpi_word(reported: str, expected: str) -> None:
    assert view(status(0, reported)).ocpi_status(1) == expected
    assert view(status(0, reported)).ocpi_status(2) == "UNKNOWN"


def test_reports_count_by_their_time_whatever_their_order() -> None:
    reports = [status(0, "Available"), status(5, "Charging"), status(9, "Finishing")]
    assert {view(*order).ocpi_status(1) for order in permutations(reports)} == {"BLOCKED"}


def test_a_report_from_the_future_does_not_silence_the_next_one() -> None:
    ahead = replace(status(0, "Faulted"), at=at(0) + timedelta(days=400))
    assert view(ahead, status(5, "Available")).ocpi_status(1) == "AVAILABLE"


def test_a_clock_that_was_ahead_and_is_set_right_does_not_keep_the_connector_as_it_was() -> None:
    ahead = replace(status(0, "Charging"), at=at(4))
    assert view(ahead, status(1, "Available")).ocpi_status(1) == "AVAILABLE"


def test_a_report_without_a_time_counts_from_its_arrival() -> None:
    assert view(status(5, "Charging"), replace(status(6, "Available"), at=None)).ocpi_status(1) == "AVAILABLE"


def test_the_whole_charger_covers_all_connectors_and_uncovers_them_as_they_are() -> None:
    covered = view(status(0, "Charging"), status(1, "Unavailable", connector_id=0))
    assert (covered.ocpi_status(1), covered.ocpi_status(2)) == ("INOPERATIVE", "INOPERATIVE")
    uncovered = covered.apply(status(2, "Available", connector_id=0))
    assert (uncovered.ocpi_status(1), uncovered.ocpi_status(2)) == ("CHARGING", "UNKNOWN")
    assert covered.apply(status(3, "Faulted", connector_id=0)).ocpi_status(1) == "OUTOFORDER"


def test_an_error_code_is_information_only() -> None:
    assert view(replace(status(0, "Charging"), error_code="OtherError")).ocpi_status(1) == "CHARGING"


def test_a_lost_charger_is_unknown_until_it_reports_again() -> None:
    lost = view(status(0, "Available")).lost(at(10))
    assert lost.ocpi_status(1) == "UNKNOWN"
    assert lost.apply(status(11, "Charging")).ocpi_status(1) == "CHARGING"
