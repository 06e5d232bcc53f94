"""DateTime and the other basic types (types)."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from ocpi_modules import json
from ocpi_modules.tariffs.schemas import PriceComponent
from ocpi_modules.types import Price, format_datetime, parse_datetime

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.rule("Y-06", "Y-07", "Y-09", "Y-10", "D-33", "G-75")
@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-03-01T12:00:00Z", NOON),
        ("2026-03-01T12:00:00", NOON),
        ("2026-03-01T12:00:00+00:00", NOON),
        ("2026-03-01T12:00:00.5Z", NOON.replace(microsecond=500000)),
        ("2026-03-01T12:00:00.123456", NOON.replace(microsecond=123456)),
        ("2026-03-01T12:00:00.123456789Z", NOON.replace(microsecond=123456)),
        ("1970-1-1T00:00:00Z", datetime(1970, 1, 1, tzinfo=UTC)),
    ],
)
def test_every_allowed_spelling_of_a_time_is_read_as_utc(text: str, instant: datetime) -> None:
    assert parse_datetime(text) == instant
    assert parse_datetime(text).tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-03-01",
        "2026-03-01T12:00:00+01:00",
        "2026-03-01 12:00:00Z",
        "2026-13-01T12:00:00Z",
        "2026-03-01T25:00:00Z",
        "2026-03-01T12:00:00.Z",
        "2026-03-01T12:00:00.1234567890Z",
        "2026-03-01T12:00:00Z\n",
        "٢٠٢٦-03-01T12:00:00Z",
    ],
)
def test_any_other_spelling_of_a_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_datetime(text)


@pytest.mark.rule("Y-08", "G-04")
def test_a_time_is_written_with_z_and_fits_25_characters() -> None:
    text = format_datetime(datetime(2026, 3, 1, 13, 0, 0, 123456, tzinfo=timezone(timedelta(hours=1))))
    assert text == "2026-03-01T12:00:00.123Z"
    assert len(text) <= 25


@pytest.mark.rule("Y-14", "Y-16", "T-50", "G-44")
def test_money_keeps_its_digits_and_what_is_unknown_stays_unknown() -> None:
    price = Price.of(json.decode(b'{"excl_vat": 0.10}'))
    assert price.excl_vat == Decimal("0.10")
    assert price.incl_vat is None
    assert json.encode(price.to_document()) == b'{"excl_vat":0.10}'
    component = PriceComponent(type="FLAT", price=Decimal("0.00"), vat=Decimal("0.0"), step_size=0)
    assert component.to_document()["vat"] == Decimal("0.0")


def test_fields_nobody_knows_are_kept() -> None:
    assert Price.of({"excl_vat": 1, "nltnm_fee": {"a": [1]}}).to_document() == {"excl_vat": 1, "nltnm_fee": {"a": [1]}}
