"""What holds for every session and every tariff."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocpi_modules.tariffs.pricing import Cost, Period, PeriodKind, Price, Tariff, price
from tests.ocpi_modules.tariffs.sessions import WEEKDAYS, D, charging, element, energy, flat, ocpi_tariff, parking

ZONE = ZoneInfo("Europe/Berlin")
CLOCKS = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59))
PRICES = st.decimals(0, 5, places=3).map(str)
STEPS = st.sampled_from([1, 60, 300, 500, 900])
VATS = st.none() | st.sampled_from(["0", "5.2", "20"])
COMPONENTS = st.builds(
    lambda make, cost, vat, step: make(cost, vat, step),
    st.sampled_from([flat, energy, charging, parking]),
    PRICES,
    VATS,
    STEPS,
)
RESTRICTIONS = st.fixed_dictionaries(
    {},
    optional={
        "start_time": CLOCKS,
        "end_time": CLOCKS,
        "day_of_week": st.sampled_from([["SUNDAY"], ["SATURDAY", "MONDAY"], WEEKDAYS]),
        "start_date": st.just("2024-03-31"),
        "end_date": st.just("2024-04-01"),
        "min_kwh": st.decimals(0, 60, places=2),
        "max_kwh": st.decimals(0, 60, places=2),
        "min_duration": st.integers(0, 90_000),
        "max_duration": st.integers(0, 90_000),
    },
)
ELEMENTS = st.builds(
    lambda components, restrictions: element(*components, **restrictions),
    st.lists(COMPONENTS, min_size=1, max_size=3),
    RESTRICTIONS,
)
TARIFFS = st.lists(ELEMENTS, min_size=1, max_size=4).map(lambda elements: Tariff.from_ocpi(ocpi_tariff(*elements)))
ROWS = st.tuples(
    st.integers(0, 30_000), st.decimals(0, 40, places=3), st.sampled_from([PeriodKind.CHARGING, PeriodKind.PARKING])
)


def session(rows: list[tuple[int, Decimal, PeriodKind]]) -> list[Period]:
    """Periods one after the other across the night in which the clocks go forward."""
    now, periods = datetime(2024, 3, 30, 18, 7, 13, tzinfo=UTC), []
    for lasts, kwh, kind in rows:
        end = now + timedelta(seconds=lasts)
        periods.append(Period(now, end, kwh, kind))
        now = end
    return periods


SESSIONS = st.lists(ROWS, min_size=1, max_size=5).map(session)


def prices(cost: Cost) -> list[Price]:
    return [cost.total, cost.fixed, cost.energy, cost.time, cost.parking, cost.reservation]


@pytest.mark.rule("T-59", "D-48")
@given(TARIFFS, SESSIONS)
@settings(max_examples=150, deadline=None)
def test_the_energies_of_the_periods_are_exactly_the_energy_of_the_session(
    priced_by: Tariff, periods: list[Period]
) -> None:
    cost = price(priced_by, periods, ZONE)
    assert sum(p.energy for p in cost.periods) == cost.total_energy == sum(p.energy for p in periods)
    assert all(p.energy >= 0 and p.hours >= 0 for p in cost.periods)
    assert cost.periods[0].start == periods[0].start
    assert cost.periods[-1].end == periods[-1].end
    assert all(a.end == b.start for a, b in zip(cost.periods, cost.periods[1:], strict=False))


@pytest.mark.rule("T-39", "T-45")
@given(TARIFFS, SESSIONS, st.data())
@settings(max_examples=150, deadline=None)
def test_cutting_a_period_in_two_changes_no_amount(
    priced_by: Tariff, periods: list[Period], data: st.DataObject
) -> None:
    number = data.draw(st.integers(0, len(periods) - 1))
    share = data.draw(st.sampled_from([D("0.1"), D("0.25"), D("0.5"), D("0.8125")]))
    whole = periods[number]
    middle = whole.start + (whole.end - whole.start) * int(share * 10_000) / 10_000
    first = replace(whole, end=middle, energy=whole.energy * share)
    second = replace(whole, start=middle, energy=whole.energy - first.energy)
    cut = [*periods[:number], first, second, *periods[number + 1 :]]
    assert prices(price(priced_by, cut, ZONE)) == prices(price(priced_by, periods, ZONE))
    assert price(priced_by, cut, ZONE).billed == price(priced_by, periods, ZONE).billed


@pytest.mark.rule("T-51")
@given(TARIFFS, SESSIONS)
@settings(max_examples=100, deadline=None)
def test_nothing_is_ever_negative_and_the_total_is_the_sum_of_its_parts(
    priced_by: Tariff, periods: list[Period]
) -> None:
    cost = price(priced_by, periods, ZONE)
    assert all(p.excl_vat >= 0 and (p.incl_vat is None or p.incl_vat >= p.excl_vat) for p in prices(cost))
    assert all(volume >= 0 for volume in cost.billed.values())
    assert abs(sum(p.excl_vat for p in prices(cost)[1:]) - cost.total.excl_vat) < D("1e-20")
    assert abs(sum(line.cost.excl_vat for line in cost.lines) - cost.total.excl_vat) < D("1e-20")


@given(PRICES, STEPS, st.decimals(0, 100, places=4), st.decimals(0, 100, places=4))
def test_more_energy_never_costs_less(kwh_price: str, step: int, one: Decimal, other: Decimal) -> None:
    priced_by = Tariff.from_ocpi(ocpi_tariff(element(energy(kwh_price, "20", step))))
    start = datetime(2024, 3, 4, tzinfo=UTC)
    less, more = (
        price(priced_by, [Period(start, start + timedelta(hours=1), kwh)]).total for kwh in sorted((one, other))
    )
    assert less.excl_vat <= more.excl_vat
    assert (less.incl_vat or D(0)) <= (more.incl_vat or D(0))
