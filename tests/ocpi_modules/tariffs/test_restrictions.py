"""When a Tariff Element is active, asked through the price of a session."""

from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ocpi_modules.tariffs.pricing import Tariff, Unpriceable, price
from tests.ocpi_modules.tariffs.sessions import D, Day, charging, element, energy, flat, parking, tariff

AMSTERDAM = ZoneInfo("Europe/Amsterdam")


def one_per_hour(**restrictions: Any) -> Tariff:
    return tariff(element(charging("1"), **restrictions))


def hours(priced_by: Tariff, day: Day, zone: ZoneInfo | None = AMSTERDAM) -> Decimal:
    """With a price of 1 per hour the cost is the hours in which the element was active."""
    return price(priced_by, day.periods, zone).total.excl_vat


@pytest.mark.rule("T-24", "T-36", "T-56")
@pytest.mark.parametrize(
    ("start_time", "end_time", "active"),
    [
        ("17:00", "20:00", "3"),
        ("17:00", "00:00", "7"),
        ("00:00", "17:00", "17"),
        ("22:00", "06:00", "8"),
        ("13:00", "13:00", "24"),
        ("23:30", None, "0.5"),
        (None, "01:30", "1.5"),
    ],
)
def test_a_window_of_the_day_is_read_in_the_time_zone_of_the_location(
    start_time: str | None, end_time: str | None, active: str
) -> None:
    day = Day("2024-03-04T05:00:00").charge(24 * 60)
    assert hours(one_per_hour(start_time=start_time, end_time=end_time), day) == D(active)


@pytest.mark.rule("T-25")
def test_a_start_date_is_included_and_an_end_date_is_not() -> None:
    day = Day("2024-03-04T12:00:00").charge(72 * 60)
    assert hours(one_per_hour(start_date="2024-03-05", end_date="2024-03-06"), day) == D(24)


@pytest.mark.rule("T-30", "T-35")
def test_the_part_of_a_night_window_after_midnight_belongs_to_the_next_day() -> None:
    saturday_night = Day("2024-03-09T20:00:00").charge(12 * 60)
    assert hours(one_per_hour(start_time="22:00", end_time="06:00", day_of_week=["SATURDAY"]), saturday_night) == D(2)
    assert hours(one_per_hour(start_time="22:00", end_time="06:00", day_of_week=["SUNDAY"]), saturday_night) == D(6)
    assert hours(one_per_hour(day_of_week=[]), saturday_night) == D(12)


@pytest.mark.rule("T-36")
@pytest.mark.parametrize(("start", "active"), [("2024-10-26T22:00:00", "2"), ("2024-03-30T22:00:00", "0")])
def test_the_hour_that_comes_twice_is_priced_twice_and_the_missing_one_never(start: str, active: str) -> None:
    assert hours(one_per_hour(start_time="02:00", end_time="03:00"), Day(start).charge(8 * 60)) == D(active)


@pytest.mark.rule("T-36")
def test_clocks_that_spring_over_the_start_of_a_window_open_it_at_the_change() -> None:
    day = Day("2024-03-30T23:00:00").charge(5 * 60)
    assert hours(one_per_hour(start_time="02:30", end_time="04:00"), day) == D(1)


@pytest.mark.rule("T-26", "T-59")
def test_energy_limits_split_a_period_where_the_energy_reaches_them() -> None:
    priced_by = tariff(
        element(energy("0.1"), max_kwh=D(20)),
        element(energy("0.3"), min_kwh=D(20), max_kwh=D(50)),
        element(energy("1")),
    )
    cost = price(priced_by, Day().charge(30, "10").charge(60, "60").periods)
    assert cost.total.excl_vat == D("31")
    assert [period.energy for period in cost.periods] == [D(10), D(10), D(30), D(20)]
    assert [period.start.strftime("%H:%M") for period in cost.periods] == ["09:00", "09:30", "09:40", "10:10"]


@pytest.mark.rule("T-29", "T-37")
def test_duration_counts_from_the_start_of_charging_and_not_of_the_reservation() -> None:
    priced_by = tariff(element(charging("0"), max_duration=1800), element(charging("1")), element(parking("4")))
    assert price(priced_by, Day().reserve(60).charge(45).park(15).periods).total.excl_vat == D("1.25")
    long_stay = tariff(element(parking("4"), min_duration=3600))
    assert price(long_stay, Day().charge(45).park(30).periods).total.excl_vat == D(1)


@pytest.mark.rule("T-22", "T-27", "T-28", "G-39")
@pytest.mark.parametrize(("name", "value"), [("power", "power_kw"), ("current", "current_a")])
def test_power_and_current_switch_an_element_on_and_off_again(name: str, value: str) -> None:
    day = Day()
    for momentary in (31, 32, 33, 10):
        measured: dict[str, Any] = {value: D(momentary)}
        day.charge(60, **measured)
    assert hours(one_per_hour(**{f"min_{name}": D(32)}), day) == D(2)
    assert hours(one_per_hour(**{f"max_{name}": D(32)}), day) == D(2)


@pytest.mark.rule("T-21")
def test_all_restrictions_of_an_element_must_hold() -> None:
    priced_by = one_per_hour(start_time="12:00", end_time="13:00", min_kwh=D(5), day_of_week=["MONDAY"])
    assert hours(priced_by, Day("2024-03-04T11:00:00").charge(30, "5").charge(120)) == D("0.5")
    assert hours(priced_by, Day("2024-03-05T11:00:00").charge(30, "5").charge(120)) == D(0)


@pytest.mark.rule("T-17", "T-18", "T-19", "T-23", "G-43")
def test_the_first_matching_element_is_sought_for_each_dimension_alone() -> None:
    priced_by = tariff(
        element(energy("0.5"), start_time="11:00"),
        element(energy("0.2"), energy("9"), charging("1"), start_time="10:00"),
        element(charging("6")),
    )
    cost = price(priced_by, Day().charge(60, "1").charge(60, "10").charge(60, "100").periods, ZoneInfo("UTC"))
    assert cost.energy.excl_vat == D("52")
    assert cost.time.excl_vat == D("8")
    assert [str(line.quantity) for line in cost.lines] == ["1", "10", "2", "100"]


@pytest.mark.rule("T-47")
def test_a_restricted_flat_is_charged_once_when_it_first_becomes_active() -> None:
    priced_by = tariff(element(flat("3"), start_time="10:00"), element(flat("7"), start_time="11:00"))
    cost = price(priced_by, Day().charge(240).periods, ZoneInfo("UTC"))
    assert cost.total.excl_vat == cost.fixed.excl_vat == D(3)
    assert [period.start.hour for period in cost.periods] == [9, 10]


@pytest.mark.rule("T-56")
def test_without_a_time_zone_a_local_restriction_is_not_judged() -> None:
    with pytest.raises(Unpriceable, match=r"elements\[0\]\.restrictions\.start_time.* time_zone of the Location"):
        hours(one_per_hour(start_time="10:00"), Day().charge(), zone=None)


def test_a_time_zone_is_not_needed_where_another_restriction_already_decides() -> None:
    priced_by = tariff(element(charging("9"), start_time="10:00", min_kwh=D(50)), element(charging("1")))
    assert hours(priced_by, Day().charge(60, "5"), zone=None) == D(1)


@pytest.mark.rule("T-27", "T-28")
@pytest.mark.parametrize("name", ["min_power", "max_power", "min_current", "max_current"])
def test_power_that_was_not_measured_is_not_guessed(name: str) -> None:
    with pytest.raises(Unpriceable, match=rf"restrictions\.{name}: cannot be judged, the momentary"):
        hours(one_per_hour(**{name: D(20)}), Day().charge(60, "10"))
