"""What a partner is told of a session while it grows (S-01 to S-22)."""

from typing import Any

import pytest

from cpo_adapter.charging.events import Orphaned
from cpo_adapter.charging.session import Change, Replace, session_changes, to_session
from cpo_adapter.charging.transaction import Fact, Transaction, apply
from ocpi_modules import json
from ocpi_modules.sessions.schemas import Session
from tests.cpo_adapter.charging.examples import (
    PARTY,
    UPDATED,
    at,
    component,
    register,
    sampled,
    started,
    status,
    stopped,
    tariff,
    transaction,
)

PARKING = tariff(component("ENERGY", "0.25"), component("PARKING_TIME", "3"))
DAY: tuple[Fact, ...] = (
    started(1000),
    status(1, "Charging"),
    sampled(register(15, 3000)),
    sampled(register(30, 5000)),
    status(30, "SuspendedEV"),
    sampled(register(40, 5000)),
    status(45, "Charging"),
    sampled(register(50, 6000)),
    stopped(60, 9000),
)


def session_of(*facts: Fact, **members: Any) -> dict[str, Any]:
    return to_session(transaction(*facts, **members), PARTY, UPDATED)


@pytest.mark.rule("S-14", "S-20")
def test_a_session_is_pending_then_active_then_completed() -> None:
    begun, running, done = session_of(*DAY[:1]), session_of(*DAY[:3]), session_of(*DAY)
    assert [each["status"] for each in (begun, running, done)] == ["PENDING", "ACTIVE", "COMPLETED"]
    assert [each["kwh"] for each in (begun, running, done)] == [0, 2, 8]
    assert session_of(*DAY[:2])["status"] == "ACTIVE"
    assert "end_date_time" not in running
    assert done["end_date_time"] == "2026-03-02T11:00:00.000Z"
    for each in (begun, running, done):
        Session.model_validate(json.decode(json.encode(each)))


@pytest.mark.rule("S-09", "S-10", "S-11", "S-12")
def test_all_changes_in_order_make_the_same_session_at_the_receiver() -> None:
    known = transaction(DAY[0], tariffs=[PARKING])
    receiver = to_session(known, PARTY, UPDATED)
    kinds = []
    for fact in DAY[1:]:
        before, known = to_session(known, PARTY, UPDATED), apply(known, fact)
        change = session_changes(before, to_session(known, PARTY, UPDATED))
        kinds.append(type(change).__name__)
        if isinstance(change, Change):
            assert "last_updated" in change.body
            periods = [*receiver["charging_periods"], *change.body.get("charging_periods", [])]
            receiver = {**receiver, **change.body, "charging_periods": periods}
        elif isinstance(change, Replace):
            receiver = change.body
    assert receiver == to_session(known, PARTY, UPDATED)
    assert len(receiver["charging_periods"]) == 3
    assert kinds.count("Replace") == 0


def test_nothing_new_is_nothing_to_send() -> None:
    before = session_of(*DAY[:3])
    assert session_changes(before, {**before, "last_updated": "2030-01-01T00:00:00.000Z"}) is None


@pytest.mark.rule("S-11")
def test_a_period_already_sent_that_changed_is_replaced() -> None:
    sent = session_of(*DAY, tariffs=[PARKING])
    late = session_of(*DAY, status(20, "SuspendedEV"), tariffs=[PARKING])
    change = session_changes(sent, late)
    assert isinstance(change, Replace)
    assert change.body == late


def test_a_field_that_is_gone_needs_the_whole_object() -> None:
    before = session_of(*DAY[:3])
    after = {name: value for name, value in before.items() if name != "total_cost"}
    assert session_changes(before, after) == Replace(after)


@pytest.mark.rule("S-19")
def test_an_uncertain_price_is_left_out_and_a_free_one_is_zero() -> None:
    broken = tariff(elements=[{"price_components": [{"type": "WHAT"}]}])
    assert "total_cost" not in session_of(*DAY, tariffs=[broken])
    assert "total_cost" not in session_of(*DAY, tariffs=[])
    for doubtful in (
        (started(), stopped(60, 900_000)),
        (started(-1), stopped(60, 9000)),
        (*DAY[:-1], stopped(60, 1100)),
    ):
        session = session_of(*doubtful)
        assert ("total_cost" in session, session["charging_periods"]) == (False, []), doubtful
    assert session_of(started())["total_cost"] == {"excl_vat": 0}
    assert session_of(*DAY, tariffs=[])["currency"] == "EUR"
    assert session_of(*DAY, tariffs=[tariff(component("FLAT", "0.00", step_size=0))])["total_cost"] == {"excl_vat": 0}


@pytest.mark.rule("S-22")
def test_a_refused_token_and_an_orphan_without_energy_are_invalid() -> None:
    assert session_of(*DAY, refused=True)["status"] == "INVALID"
    assert session_of(DAY[0], Orphaned("C1", at(90), at(91)))["status"] == "INVALID"
    assert session_of(*DAY[:3], Orphaned("C1", at(90), at(91)))["status"] == "COMPLETED"


def test_a_late_value_after_the_stop_never_opens_the_session_again() -> None:
    done: Transaction = apply(transaction(*DAY), sampled(register(62, 9003)))
    assert to_session(done, PARTY, UPDATED) == session_of(*DAY)
