"""step_size, VAT, bounds, several tariffs, and the periods a CDR is made of."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from ocpi_modules.tariffs.pricing import Dimension, PeriodKind, Price, price, to_ocpi_number, to_ocpi_price
from tests.ocpi_modules.tariffs.sessions import (
    D,
    Day,
    amount,
    charging,
    element,
    energy,
    flat,
    parking,
    tariff,
)


@pytest.mark.rule("T-40", "T-41", "G-40")
def test_only_the_step_of_the_last_component_counts() -> None:
    priced_by = tariff(element(energy("0.2", step=1000), max_kwh=D(5)), element(energy("0.5", step=250)))
    cost = price(priced_by, Day().charge(kwh="5.1").periods)
    assert cost.billed[Dimension.ENERGY] == D("5.25")
    assert cost.energy.excl_vat == D("1.125")


@pytest.mark.rule("T-43", "T-45")
def test_charging_again_after_parking_still_rounds_only_the_parking() -> None:
    priced_by = tariff(element(charging("6", step=600), parking("60", step=600)))
    cost = price(priced_by, Day().charge(5).park(7).charge(3).periods)
    assert (cost.time.excl_vat, cost.parking.excl_vat) == (D("0.8"), D(10))


@pytest.mark.rule("T-44")
def test_free_parking_at_the_end_leaves_the_rounding_to_the_charging_time() -> None:
    cost = price(tariff(element(charging("6", step=600))), Day().charge(12).park(90).periods)
    assert cost.total.excl_vat == D(2)


@pytest.mark.rule("T-46", "T-16", "G-42")
def test_a_flat_fee_never_looks_at_its_step_size() -> None:
    for step in (0, 1, 7):
        assert price(tariff(element(flat("2", step=step))), Day().charge(kwh="3").periods).total.excl_vat == D(2)


@pytest.mark.rule("T-50", "Y-16", "G-44")
def test_vat_of_zero_is_known_and_no_vat_is_not() -> None:
    day = Day().charge(kwh="10")
    without = price(tariff(element(energy("1"))), day.periods)
    assert without.total == without.energy == without.lines[0].cost == Price(D(10), None)
    assert price(tariff(element(energy("1", "0"))), day.periods).total == Price(D(10), D(10))


@pytest.mark.rule("T-50", "T-51")
def test_vat_is_that_of_each_component_and_none_where_it_does_not_apply() -> None:
    cost = price(tariff(element(energy("1", "25"), flat("2"))), Day().charge(kwh="10").periods)
    assert cost.total == Price(D(12), D("14.5"))
    assert cost.fixed == Price(D(2), D(2))


@pytest.mark.rule("T-52")
def test_the_bounds_hold_separately_without_and_with_vat() -> None:
    priced_by = tariff(element(energy("1", "20")), max_price=amount("10", "11"))
    assert price(priced_by, Day().charge(kwh="9.5").periods).total == Price(D("9.5"), D(11))
    priced_by = tariff(element(energy("1", "20")), min_price=amount("10", "13"))
    assert price(priced_by, Day().charge(kwh="10.5").periods).total == Price(D("10.5"), D(13))


@pytest.mark.rule("T-53")
def test_a_bound_without_vat_leaves_the_amount_with_vat_alone() -> None:
    day = Day().charge(kwh="20")
    assert price(tariff(element(energy("1", "20")), max_price=amount("10")), day.periods).total == Price(D(10), D(24))
    assert price(tariff(element(energy("1", "20")), min_price=amount("22")), day.periods).total == Price(D(22), D(24))
    assert price(tariff(element(energy("1", "20")), min_price=amount("30")), day.periods).total == Price(D(30), None)


@pytest.mark.rule("D-31")
def test_a_flat_fee_that_stands_with_parking_alone_is_a_parking_cost() -> None:
    priced_by = tariff(element(flat("1"), parking("2")), element(energy("0.5")))
    cost = price(priced_by, Day().charge(60, "4").park(30).periods)
    assert (cost.fixed.excl_vat, cost.parking.excl_vat, cost.total.excl_vat) == (D(0), D(2), D(4))


@pytest.mark.rule("T-45", "T-47", "T-53", "T-58")
def test_a_change_of_tariff_rounds_once_charges_one_start_fee_and_bounds_each_share() -> None:
    slow = tariff(element(flat("1"), energy("0.2", step=1000)), id="slow", max_price=amount("1.5"))
    fast = tariff(element(flat("5"), energy("0.6", step=500)), id="fast", min_price=amount("3"))
    day = Day().charge(60, "4.3", tariff_id="SLOW").charge(20, "1.1", tariff_id="fast")
    cost = price([fast, slow], day.periods)
    assert cost.billed[Dimension.ENERGY] == D("5.5")
    assert cost.fixed.excl_vat == D(1)
    assert cost.energy.excl_vat == D("0.86") + D("0.72")
    assert cost.total.excl_vat == D("1.5") + D(3)
    assert [period.tariff_id for period in cost.periods] == ["slow", "fast"]


@pytest.mark.rule("D-39", "D-41", "T-59")
def test_periods_are_split_where_another_component_becomes_active_and_nowhere_else() -> None:
    priced_by = tariff(element(energy("0.2"), end_time="17:00"), element(energy("0.27")), element(parking("1")))
    day = Day("2024-03-04T14:00:00").charge(180, "9").park(60)
    cost = price(priced_by, day.periods, ZoneInfo("Europe/Berlin"))
    assert [(p.start.hour, p.kind, p.dimensions) for p in cost.periods] == [
        (14, PeriodKind.CHARGING, ((Dimension.ENERGY, D(6)), (Dimension.TIME, D(2)))),
        (16, PeriodKind.CHARGING, ((Dimension.ENERGY, D(3)), (Dimension.TIME, D(1)))),
        (17, PeriodKind.PARKING, ((Dimension.ENERGY, D(0)), (Dimension.PARKING_TIME, D(1)))),
    ]
    assert (cost.total_energy, cost.total_time, cost.total_parking_time) == (D(9), D(4), D(1))


@pytest.mark.rule("D-30", "Y-13")
def test_odd_seconds_and_odd_energies_still_add_up_in_four_decimals() -> None:
    priced_by = tariff(element(energy("0.2"), end_time="09:20"), element(energy("0.27"), charging("1")))
    day = Day("2024-03-04T09:00:01").charge(D("43.7"), "10.12345").park(D("0.35")).charge(D("1.15"), "0.00007")
    cost = price(priced_by, day.periods, ZoneInfo("UTC"))
    assert len(cost.periods) == 4
    assert sum(p.energy for p in cost.periods) == cost.total_energy == D("10.12352")
    assert cost.periods[0].energy == to_ocpi_number(cost.periods[0].energy)
    assert sum(p.hours for p in cost.periods) == cost.total_time
    assert abs(cost.total_time - D("45.2") / 60) < D("0.0002")
    assert all(p.hours == to_ocpi_number(p.hours) for p in cost.periods)


@pytest.mark.rule("D-48")
def test_a_calculated_energy_is_never_more_than_was_charged() -> None:
    priced_by = tariff(element(energy("0.2"), max_duration=1800), element(energy("0.3")))
    cost = price(priced_by, Day().charge(60, "0.00005").periods)
    assert [period.energy for period in cost.periods] == [D(0), D("0.00005")]


@pytest.mark.rule("T-41")
def test_a_period_without_duration_still_counts_its_energy() -> None:
    """A meter that reports late: the energy is there, the time is not."""
    now = datetime(2024, 3, 4, 9, tzinfo=UTC)
    priced_by = tariff(element(energy("0.1"), max_kwh=D(2)), element(energy("0.5")))
    day = Day().charge(0, "3")
    assert price(priced_by, day.periods).total.excl_vat == D("0.7")
    assert day.now - now == timedelta(0)


@pytest.mark.rule("T-54", "Y-13")
def test_amounts_are_rounded_half_up_only_when_shown() -> None:
    cost = price(tariff(element(charging("1", "10"))), Day().charge(20).periods)
    assert abs(cost.total.excl_vat * 3 - 1) < D("1e-30")
    assert to_ocpi_price(cost.total) == Price(D("0.3333"), D("0.3667"))
    assert [
        str(to_ocpi_number(D(x))) for x in ("0.00005", "0.00004999", "1.50", "100", "0.0000", "12345678901234")
    ] == [
        "0.0001",
        "0",
        "1.5",
        "100",
        "0",
        "12345678901234",
    ]
