"""What cannot be priced with certainty is refused with the name of the field, never guessed."""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from ocpi_modules.tariffs.pricing import Period, Tariff, Unpriceable, price
from tests.ocpi_modules.tariffs.sessions import (
    D,
    Day,
    amount,
    charging,
    element,
    energy,
    flat,
    ocpi_tariff,
    tariff,
)

COMPONENT = r"elements\[0\]\.price_components\[0\]\."
RESTRICTIONS = r"elements\[0\]\.restrictions\."


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"price": 0.25}, "price must be a number decoded as Decimal"),
        ({"price": "0.25"}, "price must be a number"),
        ({"price": True}, "price must be a number"),
        ({"price": None}, "price is missing"),
        ({"price": Decimal("NaN")}, "price must be a finite"),
        ({"price": Decimal("1E+900")}, "price is outside the range"),
        ({"vat": D(-1)}, "vat must not be negative"),
        ({"step_size": 0}, "step_size must be a whole number of at least 1"),
        ({"step_size": D("1.5")}, "step_size must be a whole number"),
        ({"step_size": None}, "step_size is missing"),
        ({"type": "RESERVATION_TIME"}, "type must be ENERGY"),
        ({"type": ["ENERGY"]}, "type must be ENERGY"),
    ],
)
def test_a_price_component_that_is_not_understood_is_refused_by_name(changed: dict[str, Any], named: str) -> None:
    with pytest.raises(Unpriceable, match=COMPONENT + named):
        Tariff.from_ocpi(ocpi_tariff(element(energy("0.25") | changed)))


@pytest.mark.parametrize(
    ("restriction", "named"),
    [
        ({"start_time": "9:00"}, "start_time must be written as HH:MM"),
        ({"end_time": "24:00"}, "end_time"),
        ({"end_time": "12-30"}, "end_time"),
        ({"start_date": "2024-02-30"}, "start_date"),
        ({"end_date": "20240301"}, "end_date"),
        ({"end_date": "2024-W10-1"}, "end_date"),
        ({"day_of_week": ["monday"]}, "day_of_week"),
        ({"day_of_week": "MONDAY"}, "day_of_week"),
        ({"reservation": "MAYBE"}, "reservation"),
        ({"min_kwh": "5"}, "min_kwh"),
        ({"max_duration": D("0.5")}, "max_duration"),
        ({"min_soc": 20}, "min_soc is not a known restriction"),
    ],
)
def test_a_restriction_that_is_not_understood_is_refused_by_name(restriction: dict[str, Any], named: str) -> None:
    with pytest.raises(Unpriceable, match=RESTRICTIONS + named):
        tariff(element(energy("0.25"), **restriction))


@pytest.mark.parametrize(
    ("members", "named"),
    [
        ({"elements": []}, "elements must be a list"),
        ({"elements": [None]}, "elements must be a list"),
        ({"elements": [{"price_components": []}]}, r"elements\[0\]\.price_components must be a list"),
        ({"elements": [element(energy("1"))] * 1001}, "elements has 1001 entries"),
        ({"id": None}, "id must be a text"),
        ({"currency": 978}, "currency must be a text"),
        ({"min_price": D(5)}, "min_price must be an object"),
        ({"max_price": {"incl_vat": D(5)}}, "max_price.excl_vat is missing"),
        ({"min_price": amount("5"), "max_price": amount("4")}, "min_price is above max_price"),
        ({"tax_included": "YES"}, "tax_included"),
    ],
)
def test_a_tariff_that_is_not_understood_is_refused_by_name(members: dict[str, Any], named: str) -> None:
    with pytest.raises(Unpriceable, match=named):
        tariff(element(energy("0.25")), **members)


@pytest.mark.rule("T-31")
def test_a_reservation_cannot_cost_energy() -> None:
    with pytest.raises(Unpriceable, match="a reservation can only cost FLAT and TIME"):
        tariff(element(energy("1"), reservation="RESERVATION"))


@pytest.mark.rule("T-33")
def test_two_fees_of_an_expired_reservation_are_not_chosen_from() -> None:
    priced_by = tariff(
        element(flat("1"), reservation="RESERVATION"), element(flat("3"), reservation="RESERVATION_EXPIRES")
    )
    assert price(priced_by, Day().reserve(5).charge(5).periods).total.excl_vat == D(1)
    with pytest.raises(Unpriceable, match="both RESERVATION and RESERVATION_EXPIRES have FLAT"):
        price(priced_by, Day().reserve(5).periods, reservation_expired=True)


@pytest.mark.rule("T-37")
def test_a_reservation_has_no_duration_or_energy_to_restrict_it_by() -> None:
    priced_by = tariff(element(charging("1"), reservation="RESERVATION", min_duration=60))
    with pytest.raises(Unpriceable, match="min_duration is not defined for a reservation"):
        price(priced_by, Day().reserve(5).charge(5).periods)
    assert price(priced_by, Day().charge(5).periods).total.excl_vat == D(0)


def test_a_minimum_price_is_not_charged_for_a_mere_reservation() -> None:
    priced_by = tariff(element(charging("60"), reservation="RESERVATION"), min_price=amount("3"))
    assert price(priced_by, Day().reserve(4).periods).total.excl_vat == D(4)
    with pytest.raises(Unpriceable, match="not defined for a reservation without a charging session"):
        price(priced_by, Day().reserve(2).periods)


PLAIN = Day().charge(10, "1").charge(10, "1").periods


@pytest.mark.parametrize(
    ("periods", "named"),
    [
        ([], "periods is empty"),
        ([replace(PLAIN[0], energy=D(-1))], r"periods\[0\]\.energy"),
        ([replace(PLAIN[0], energy=D("NaN"))], r"periods\[0\]\.energy"),
        ([replace(PLAIN[0], power_kw=D("Infinity"))], r"periods\[0\]\.power_kw"),
        ([replace(PLAIN[0], start=datetime(2024, 3, 4, 9))], r"periods\[0\]\.start and end must have a time zone"),
        ([replace(PLAIN[0], end=PLAIN[0].start.replace(hour=8))], r"periods\[0\]\.end is before its start"),
        ([PLAIN[1], PLAIN[0]], r"periods\[1\]\.start is before the end"),
        ([PLAIN[0], replace(PLAIN[1], start=PLAIN[1].end)], r"periods\[1\]\.start leaves a gap"),
        ([PLAIN[0], replace(PLAIN[1], tariff_id="other")], r"periods\[1\]\.tariff_id 'other' is not among"),
        (Day().charge(5).reserve(5).periods, r"periods\[1\]\.kind: a reservation must come before"),
        (Day("1970-01-01T00:00:00").charge(60 * 24 * 400).periods, "span more than 366 days"),
    ],
)
def test_periods_that_cannot_be_a_session_are_refused(periods: list[Period], named: str) -> None:
    with pytest.raises(Unpriceable, match=named):
        price(tariff(element(energy("1"))), periods)


def test_with_two_tariffs_each_period_must_name_one() -> None:
    first, second = tariff(element(energy("1"))), tariff(element(energy("1")), id="b", currency="SEK")
    with pytest.raises(Unpriceable, match=r"periods\[0\]\.tariff_id is missing"):
        price([first, second], PLAIN)
    with pytest.raises(Unpriceable, match="different ids"):
        price([first, first], PLAIN)
    mixed = [replace(PLAIN[0], tariff_id=first.id), replace(PLAIN[1], tariff_id="b")]
    with pytest.raises(Unpriceable, match="currency differs"):
        price([first, second], mixed)


def test_an_expired_reservation_cannot_be_followed_by_charging() -> None:
    with pytest.raises(Unpriceable, match="reservation_expired"):
        price(tariff(element(energy("1"))), PLAIN, reservation_expired=True)


def test_a_tariff_with_more_changes_than_anyone_can_charge_for_is_refused_quickly() -> None:
    many = tariff(*(element(energy("1"), min_kwh=D(n), max_kwh=D(n + 1)) for n in range(1000)))
    with pytest.raises(Unpriceable, match="elements: too many"):
        price(many, Day().charge(60, "1000").periods)
