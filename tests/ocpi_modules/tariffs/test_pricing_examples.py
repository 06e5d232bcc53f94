"""The worked examples of the specification (TX-01 to TX-34): own tariffs with their figures, sums written by hand."""

from datetime import UTC
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from ocpi_modules.tariffs.pricing import Cost, Dimension, Price, Tariff, price, to_ocpi_number, to_ocpi_price
from tests.ocpi_modules.tariffs.sessions import (
    WEEKDAYS,
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

SALE = element(flat("0.5", "20"), energy("0.25", "10"))
PER_KWH = tariff(element(energy("0.25", "10")))
WITH_START_FEE = tariff(SALE)
AT_LEAST = tariff(element(energy("0.25", "10")), min_price=amount("0.5", "0.55"))
AND_PARKING = tariff(element(flat("0.5", "20"), energy("0.25", "10"), parking("2", "20", 900)))
AT_MOST = tariff(SALE, max_price=amount("10", "11"), end_date_time="2019-06-30T23:59:59Z")
PER_HOUR = tariff(element(charging("2", "10", 60)))
HOUR_AND_PARKING = tariff(element(charging("3", "10", 60), parking("5", "20", 300)))
AD_HOC = tariff(element(charging("1.9", "5.2", 300)), type="AD_HOC_PAYMENT")
FREE = tariff(element(flat("0", step=0)))
RESERVATION = tariff(element(charging("5", "20", 60), reservation="RESERVATION"), SALE)
RESERVATION_FEE = tariff(element(flat("2", "20"), charging("5", "20", 300), reservation="RESERVATION"), SALE)
EXPIRY_FEE = tariff(
    element(flat("4", "20"), reservation="RESERVATION_EXPIRES"),
    element(charging("2", "20", 600), reservation="RESERVATION"),
    SALE,
)
EXPIRY_TIME = tariff(
    element(charging("6", "20", 600), reservation="RESERVATION_EXPIRES"),
    element(charging("3", "20", 600), reservation="RESERVATION"),
    SALE,
)
COMPLEX = tariff(
    element(flat("2.5", "15")),
    element(charging("1", "20", 900), max_current=D(32)),
    element(charging("2", "20", 600), min_current=D(32), day_of_week=WEEKDAYS),
    element(charging("1.25", "20", 600), min_current=D(32), day_of_week=["SATURDAY", "SUNDAY"]),
    element(parking("5", "10", 300), start_time="09:00", end_time="18:00", day_of_week=WEEKDAYS),
    element(parking("6", "10", 300), start_time="10:00", end_time="17:00", day_of_week=["SATURDAY"]),
)
EVENING = tariff(
    element(charging("1.2", step=1800), parking("1", step=900), start_time="00:00", end_time="17:00"),
    element(charging("2.4", step=900), parking("1", step=900), start_time="17:00", end_time="20:00"),
    element(charging("2.4", step=900), start_time="20:00", end_time="00:00"),
)


def by_step(step: int, price_per_kwh: str = "0.25") -> Tariff:
    return tariff(element(flat("0.5", "20"), energy(price_per_kwh, "10", step)))


def shown(cost: Cost) -> tuple[Decimal, Decimal | None]:
    total = to_ocpi_price(cost.total)
    return total.excl_vat, total.incl_vat


EXAMPLES = [
    ("TX-01", PER_KWH, Day().charge(kwh="20"), "5", "5.5"),
    ("TX-02", WITH_START_FEE, Day().charge(kwh="20"), "5.5", "6.1"),
    ("TX-03", AT_LEAST, Day().charge(kwh="20"), "5", "5.5"),
    ("TX-04", AT_LEAST, Day().charge(kwh="1.9"), "0.5", "0.55"),
    ("TX-05", AND_PARKING, Day().charge(kwh="20").park(40), "7", "7.9"),
    ("TX-06", AT_MOST, Day().charge(kwh="50"), "10", "11"),
    ("TX-07", AT_MOST, Day().charge(kwh="30"), "8", "8.85"),
    ("TX-08", PER_HOUR, Day().charge(150).park(300), "5", "5.5"),
    ("TX-09", HOUR_AND_PARKING, Day().charge(150).park(42), "11.25", "12.75"),
    ("TX-10", AD_HOC, Day().charge(150), "4.75", "4.997"),
    ("TX-11", by_step(100), Day().charge(kwh="20.45"), "5.625", "6.2375"),
    ("TX-12", by_step(100, "0.22"), Day().charge(kwh="20.45"), "5.01", "5.561"),
    (
        "TX-13",
        COMPLEX,
        Day("2024-03-04T09:30:00").charge(165, "10", current_a=D(16)).park(42),
        "9",
        "10.3",
    ),
    (
        "TX-14",
        COMPLEX,
        Day("2024-03-09T13:30:00").charge(114, "40", current_a=D(43)).park(71),
        "12.375",
        "13.975",
    ),
    ("TX-15", FREE, Day().charge(200, "33").park(500), "0", None),
    ("TX-16", RESERVATION, Day().reserve(15).charge(60, "20"), "6.75", "7.6"),
    ("TX-17", RESERVATION_FEE, Day().reserve(13).charge(60, "20"), "8.75", "10"),
    ("TX-18", EXPIRY_FEE, Day().reserve(22).charge(60, "20"), "6.5", "7.3"),
    ("TX-20", EXPIRY_TIME, Day().reserve(22).charge(60, "20"), "7", "7.9"),
    ("TX-22", EVENING, Day("2024-03-04T16:55:00").charge(10).park(2), "0.55", None),
    ("TX-23", EVENING, Day("2024-03-04T16:35:00").charge(35), "1.3", None),
    ("TX-24", EVENING, Day("2024-03-04T19:40:00").charge(12).park(20), "0.73", None),
    ("TX-25", tariff(element(energy("0.25"))), Day().charge(kwh="0.1152"), "0.029", None),
    ("TX-26", tariff(element(energy("0.25", step=25))), Day().charge(kwh="0.101"), "0.0313", None),
    ("TX-27", tariff(element(energy("0.25", step=500))), Day().charge(kwh="0.001"), "0.125", None),
    (
        "TX-28",
        tariff(
            element(energy("0.2", "20"), max_power=D(16)),
            element(energy("0.35", "20"), max_power=D(32)),
            element(energy("0.5", "20")),
        ),
        Day().charge(10, "1", power_kw=D(6)).charge(50, "40", power_kw=D(48)).charge(7.5, "0.5", power_kw=D(4)),
        "20.3",
        "24.36",
    ),
    (
        "TX-29",
        tariff(
            element(energy("0", "20"), max_duration=1800),
            element(energy("0.25", "20"), max_duration=3600),
            element(energy("0.4", "20")),
        ),
        Day().charge(30, "5").charge(10, "1.2"),
        "0.3",
        "0.36",
    ),
    (
        "TX-30",
        tariff(element(energy("0.2", step=500), end_time="17:00"), element(energy("0.27", step=500))),
        Day("2024-03-04T16:00:00").charge(60, "4.3").charge(20, "1.1"),
        "1.184",
        None,
    ),
    (
        "TX-31",
        tariff(element(charging("5", step=600), end_time="17:00"), element(charging("7", step=600))),
        Day("2024-03-04T16:54:00").charge(28),
        "3.3",
        None,
    ),
    (
        "TX-32",
        tariff(element(charging("1", step=600), parking("2", step=600))),
        Day().charge(21).park(16),
        "1.0167",
        None,
    ),
    ("TX-33", tariff(element(charging("6", step=300), parking("12", step=300))), Day().charge(21).park(7), "4.1", None),
    ("TX-34", tariff(element(charging("2", "10", 300))), Day().charge(118.38), "4", "4.4"),
]


@pytest.mark.rule("T-17", "T-38", "T-39", "T-40", "T-50", "T-51", "G-46")
@pytest.mark.parametrize(
    ("example", "priced_by", "day", "excl_vat", "incl_vat"), EXAMPLES, ids=[e[0] for e in EXAMPLES]
)
def test_an_example_of_the_specification_costs_what_it_says(
    example: str, priced_by: Tariff, day: Day, excl_vat: str, incl_vat: str | None
) -> None:
    cost = price(priced_by, day.periods, UTC)
    assert shown(cost) == (D(excl_vat), None if incl_vat is None else D(incl_vat))


@pytest.mark.rule("T-31", "T-33", "T-34")
def test_an_expired_reservation_costs_its_time_and_the_expiry_fee_but_no_start_fee() -> None:
    """TX-19."""
    cost = price(EXPIRY_FEE, Day().reserve(60).periods, reservation_expired=True)
    assert cost.total == cost.reservation == Price(D(6), D("7.2"))
    assert cost.fixed.excl_vat == 0


@pytest.mark.rule("T-33", "T-48")
def test_an_expired_reservation_with_both_times_costs_only_that_of_expiry() -> None:
    """TX-21."""
    cost = price(EXPIRY_TIME, Day().reserve(90).periods, reservation_expired=True)
    assert cost.total == Price(D(9), D("10.8"))
    assert cost.billed[Dimension.RESERVATION_TIME] == D("1.5")


@pytest.mark.rule("D-31", "T-48")
def test_the_parts_of_a_reserved_session_go_to_their_own_fields() -> None:
    cost = price(RESERVATION_FEE, Day().reserve(13).charge(60, "20").periods)
    assert cost.reservation == Price(D("3.25"), D("3.9"))
    assert cost.fixed == Price(D("0.5"), D("0.6"))
    assert cost.energy == Price(D(5), D("5.5"))
    assert cost.time == cost.parking == Price(D(0), D(0))
    assert cost.billed[Dimension.RESERVATION_TIME] == D("0.25")


@pytest.mark.rule("D-30", "T-43")
def test_the_complex_monday_is_split_into_fixed_time_and_parking() -> None:
    """TX-13, line by line."""
    day = Day("2024-03-04T08:30:00").charge(165, "10", current_a=D(16)).park(42)
    cost = price(COMPLEX, day.periods, ZoneInfo("Europe/Amsterdam"))
    assert (cost.fixed, cost.time, cost.parking) == (
        Price(D("2.5"), D("2.875")),
        Price(D("2.75"), D("3.3")),
        Price(D("3.75"), D("4.125")),
    )
    assert (cost.total_time, cost.total_parking_time) == (D("3.45"), D("0.7"))


@pytest.mark.rule("T-41", "T-42")
@pytest.mark.parametrize(
    ("example", "dimension", "billed"),
    [
        ("TX-05", "PARKING_TIME", "0.75"),
        ("TX-11", "ENERGY", "20.5"),
        ("TX-23", "TIME", "0.75"),
        ("TX-24", "PARKING_TIME", "0.25"),
        ("TX-24", "TIME", "0.2"),
        ("TX-25", "ENERGY", "0.116"),
        ("TX-26", "ENERGY", "0.125"),
        ("TX-27", "ENERGY", "0.5"),
        ("TX-30", "ENERGY", "5.5"),
        ("TX-31", "TIME", "0.5"),
        ("TX-32", "TIME", "0.35"),
        ("TX-33", "PARKING_TIME", "0.1667"),
        ("TX-34", "TIME", "2"),
    ],
)
def test_the_billed_quantity_is_rounded_up_once(example: str, dimension: str, billed: str) -> None:
    _, priced_by, day, *_ = next(row for row in EXAMPLES if row[0] == example)
    cost = price(priced_by, day.periods, UTC)
    assert to_ocpi_number(cost.billed[Dimension(dimension)]) == D(billed)


@pytest.mark.rule("T-38", "G-41")
@pytest.mark.parametrize(("kwh", "billed"), [("0.125", "0.125"), ("0.1251", "0.15"), ("0", "0")])
def test_an_exact_multiple_of_the_step_stays_as_it_is(kwh: str, billed: str) -> None:
    cost = price(tariff(element(energy("0.25", step=25))), Day().charge(kwh=kwh).periods)
    assert cost.billed[Dimension.ENERGY] == D(billed)
