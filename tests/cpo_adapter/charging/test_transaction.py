"""A transaction depends on what is known, never on how it arrived (R18 to R24)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpo_adapter.charging.cdr import CdrHeld, to_cdr
from cpo_adapter.charging.energy import measure
from cpo_adapter.charging.events import Orphaned, Stopped
from cpo_adapter.charging.flags import Flag, remark
from cpo_adapter.charging.session import to_session
from cpo_adapter.charging.stored import dump, dump_opening, load, load_opening
from cpo_adapter.charging.transaction import Fact, Transaction, apply, corrected, repaired
from tests.cpo_adapter.charging.examples import (
    PARTY,
    UPDATED,
    at,
    component,
    opening,
    power,
    register,
    sampled,
    started,
    status,
    stopped,
    tariff,
    transaction,
)

TARIFF = tariff(
    elements=[
        {"price_components": [component("ENERGY", "0.50")], "restrictions": {"min_kwh": Decimal(3)}},
        {"price_components": [component("FLAT", "1"), component("ENERGY", "0.2"), component("PARKING_TIME", "3")]},
    ]
)
MINUTES = st.integers(-10, 130)
VALUES = st.one_of(st.integers(0, 20_000), st.sampled_from([-1, 0, 5, 2_000_000]))
STATUSES = st.sampled_from(["Charging", "SuspendedEV", "SuspendedEVSE", "Finishing", "Faulted", "Available"])


@st.composite
def wild_samples(draw: Any) -> Fact:
    minute, value = draw(MINUTES), draw(VALUES)
    sample = draw(st.sampled_from([register(minute, value), power(minute, value), register(minute, value, phase="L1")]))
    return sampled(sample, transaction_id=draw(st.sampled_from([7, 7, 7, None])))


WILD = st.one_of(
    wild_samples(),
    st.builds(status, MINUTES, STATUSES),
    st.builds(stopped, st.integers(0, 120), VALUES),
    st.builds(started, st.just(1000)),
    st.builds(lambda minute: Orphaned("C1", at(minute), at(minute)), MINUTES),
)


def outcome(facts: list[Fact]) -> tuple[dict[str, Any], Any]:
    result = transaction(started(1000), *facts, tariffs=[TARIFF])
    session = to_session(result, PARTY, UPDATED)
    try:
        return session, to_cdr(result, "CDR1", PARTY, UPDATED)
    except CdrHeld as held:
        return session, held.reason


def numbers(value: Any) -> list[Decimal]:
    if isinstance(value, dict):
        return [n for name, child in value.items() if name != "tariffs" for n in numbers(child)]
    if isinstance(value, list | tuple):
        return [n for child in value for n in numbers(child)]
    return [value] if isinstance(value, Decimal) else []


@settings(max_examples=200, deadline=None)
@given(st.lists(WILD, max_size=14), st.randoms(use_true_random=False))
def test_shuffled_and_repeated_facts_give_the_same_session_and_cdr(facts: list[Fact], random: Any) -> None:
    mixed = [*facts, *random.choices(facts, k=4)] if facts else []
    random.shuffle(mixed)
    assert outcome(mixed) == outcome(facts)


@settings(max_examples=200, deadline=None)
@given(st.lists(WILD, max_size=14))
def test_whatever_is_lost_no_number_is_negative_or_not_a_number(facts: list[Fact]) -> None:
    session, cdr = outcome(facts)
    assert all(number.is_finite() and number >= 0 for number in numbers([session, cdr]))
    if isinstance(cdr, dict):
        volumes = [d for p in cdr["charging_periods"] for d in p["dimensions"] if d["type"] == "ENERGY"]
        assert sum(d["volume"] for d in volumes) == cdr["total_energy"] == session["kwh"]
        assert cdr["total_cost"] == session["total_cost"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 300), min_size=2, max_size=12), st.data())
def test_dropping_samples_of_an_honest_charger_changes_neither_energy_nor_total(steps: list[int], data: Any) -> None:
    values = [1000 + sum(steps[: n + 1]) for n in range(len(steps))]
    samples = [sampled(register(5 * (n + 1), value)) for n, value in enumerate(values)]
    kept = data.draw(st.lists(st.sampled_from(samples), unique=True))
    facts = [started(1000), *kept, stopped(5 * len(steps) + 1, values[-1])]
    energy = measure(transaction(*facts))
    assert (energy.total, energy.flags) == (values[-1] - 1000, frozenset())


def test_a_start_that_was_never_received_holds_the_cdr_but_not_the_session() -> None:
    lost = transaction(sampled(register(10, 2000)), stopped(60, 9000))
    session = to_session(lost, PARTY, UPDATED)
    assert (session["start_date_time"], session["kwh"]) == ("2026-03-02T10:10:00.000Z", 7)
    with pytest.raises(CdrHeld, match="no start"):
        to_cdr(lost, "CDR1", PARTY, UPDATED)
    with pytest.raises(ValueError, match="Nothing is known"):
        to_session(transaction(), PARTY, UPDATED)


def test_the_first_stop_counts_and_a_differing_second_one_is_flagged() -> None:
    first, second = stopped(60, 9000), stopped(70, 9500)
    both = transaction(started(1000), second, first)
    assert both.stopped == first
    assert both.flags == {Flag.stop_repeated}
    repeated = transaction(started(1000), first, replace(first, received_at=at(90)))
    assert (repeated.stopped, repeated.flags) == (first, frozenset())


def test_facts_of_others_are_ignored() -> None:
    own = transaction(started(1000))
    others: list[Fact] = [
        replace(stopped(60, 9000), transaction_id=8),
        replace(stopped(60, 9000), charger_id="C2"),
        sampled(register(5, 2000), transaction_id=8),
        status(5, "Charging", connector_id=2),
        replace(sampled(register(5, 2000), transaction_id=None), connector_id=0),
    ]
    for other in others:
        assert apply(own, other) is own


def test_a_time_from_1970_or_the_future_becomes_a_believable_one_and_is_flagged() -> None:
    start = replace(started(1000), at=datetime(1970, 1, 1, 0, 5, tzinfo=UTC))
    assert repaired(start, at(0) - start.at).at == at(0)
    known = transaction(start, replace(stopped(60, 2000), at=at(60) + timedelta(days=1)))
    assert known.start == start.received_at
    assert known.end == at(60) + timedelta(seconds=1)
    assert known.flags == {Flag.time_corrected}
    assert known.started is not None
    assert known.started.raw_at == start.at
    assert to_cdr(known, "CDR1", PARTY, UPDATED)["remark"] == "time corrected"


def test_all_times_of_a_fact_are_corrected_before_it_is_stored() -> None:
    hour = timedelta(hours=1)
    fact = stopped(60, 9000, samples=(register(60, 9000),), received_at=at(0))
    assert isinstance(moved := corrected(fact, -hour), Stopped)
    assert (moved.at, moved.samples[0].at, moved.samples[0].raw_at) == (at(0), at(0), at(60))
    assert corrected(corrected(fact, -hour), -hour) == moved
    assert corrected(sampled(register(5, 1)), timedelta(0)) == sampled(register(5, 1))


def test_local_time_sent_as_utc_is_moved_by_its_zone_and_a_small_drift_is_left() -> None:
    ahead = replace(started(1000), received_at=at(3))
    assert repaired(ahead, timedelta(hours=-2)).at == at(-120)
    assert repaired(ahead, timedelta(seconds=90)) is ahead
    once = repaired(ahead, timedelta(hours=-2))
    assert repaired(once, timedelta(hours=-2)) is once


def test_a_stop_before_the_start_holds_the_cdr() -> None:
    with pytest.raises(CdrHeld, match="stop is before start"):
        to_cdr(transaction(started(1000), stopped(-20, 1000)), "CDR1", PARTY, UPDATED)


@pytest.mark.parametrize(
    "fact",
    [
        started(1000),
        sampled(register(1, "2000.50"), power(1, 7000)),
        stopped(60, 9000, samples=(register(60, 9000),)),
        status(5, "Charging"),
        Orphaned("C1", at(1), at(2)),
    ],
    ids=lambda fact: type(fact).__name__,
)
def test_a_stored_fact_comes_back_as_it_was(fact: Fact) -> None:
    assert load(dump(fact)) == fact


def test_a_stored_opening_comes_back_with_its_decimals() -> None:
    known = opening(tariffs=[TARIFF], reserved_at=at(-5))
    assert load_opening(dump_opening(known)) == known


@pytest.mark.parametrize(
    "stored", [b"{}", b'{"kind":"Booted","fact":{}}', b"nonsense", b'{"kind":"Started","fact":{}}']
)
def test_what_is_not_a_stored_fact_is_refused(stored: bytes) -> None:
    with pytest.raises(ValueError):
        load(stored)


def test_a_remark_fits_its_field() -> None:
    assert len(remark(Flag)) == 255
    assert remark([]) == ""


def test_a_transaction_is_a_value() -> None:
    assert transaction(started(1000)) == Transaction(opening(), started=started(1000))
