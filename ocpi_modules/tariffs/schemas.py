"""Tariff and its classes (T-08 to T-16, T-24 to T-31)."""

from datetime import date
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from ocpi_modules.locations.schemas import EnergyMix
from ocpi_modules.types import (
    CountryCode,
    Currency,
    DisplayText,
    Integer,
    Key36,
    Number,
    OcpiDateTime,
    OcpiObject,
    PartyCode,
    Price,
    TimeOfDay,
    Url,
    wrong,
)


class TariffType(StrEnum):
    """Which sessions a Tariff is for; all, when it has none (T-12, T-57)."""

    AD_HOC_PAYMENT = "AD_HOC_PAYMENT"
    PROFILE_CHEAP = "PROFILE_CHEAP"
    PROFILE_FAST = "PROFILE_FAST"
    PROFILE_GREEN = "PROFILE_GREEN"
    REGULAR = "REGULAR"


class TariffDimensionType(StrEnum):
    """ENERGY is priced per kWh, TIME and PARKING_TIME per hour, FLAT once (T-11)."""

    ENERGY = "ENERGY"
    FLAT = "FLAT"
    PARKING_TIME = "PARKING_TIME"
    TIME = "TIME"


class DayOfWeek(StrEnum):
    """T-12."""

    MONDAY = "MONDAY"
    TUESDAY = "TUESDAY"
    WEDNESDAY = "WEDNESDAY"
    THURSDAY = "THURSDAY"
    FRIDAY = "FRIDAY"
    SATURDAY = "SATURDAY"
    SUNDAY = "SUNDAY"


class ReservationRestrictionType(StrEnum):
    """T-12, T-33."""

    RESERVATION = "RESERVATION"
    RESERVATION_EXPIRES = "RESERVATION_EXPIRES"


def _of_the_calendar(value: str) -> str:
    try:
        date.fromisoformat(value)
    except ValueError:
        raise wrong("must be a day of the calendar like 2026-01-31") from None
    return value


LocalDate = Annotated[
    str,
    StringConstraints(strict=True, pattern=r"^([12][0-9]{3})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"),
    AfterValidator(_of_the_calendar),
]


class PriceComponent(OcpiObject):
    """`price` excludes VAT; `vat` is a percentage, none means that VAT does not apply (T-10, T-50).

    `step_size` counts Wh for ENERGY and seconds for TIME and PARKING_TIME; FLAT has none, and often says 0 (T-46).
    """

    type: TariffDimensionType
    price: Number
    vat: Number | None = None
    step_size: Annotated[Integer, Field(ge=0)]


class TariffRestrictions(OcpiObject):
    """When an element is active. Times and dates are local to the Location; durations in s (T-21 to T-31)."""

    start_time: TimeOfDay | None = None
    end_time: TimeOfDay | None = None
    start_date: LocalDate | None = None
    end_date: LocalDate | None = None
    min_kwh: Number | None = None
    max_kwh: Number | None = None
    min_current: Number | None = None
    max_current: Number | None = None
    min_power: Number | None = None
    max_power: Number | None = None
    min_duration: Integer | None = None
    max_duration: Integer | None = None
    day_of_week: list[DayOfWeek] | None = None
    reservation: ReservationRestrictionType | None = None


class TariffElement(OcpiObject):
    """T-09."""

    price_components: Annotated[list[PriceComponent], Field(min_length=1)]
    restrictions: TariffRestrictions | None = None


class Tariff(OcpiObject):
    """T-08."""

    country_code: CountryCode
    party_id: PartyCode
    id: Key36
    currency: Currency
    type: TariffType | None = None
    tariff_alt_text: list[DisplayText] | None = None
    tariff_alt_url: Url | None = None
    min_price: Price | None = None
    max_price: Price | None = None
    elements: Annotated[list[TariffElement], Field(min_length=1)]
    start_date_time: OcpiDateTime | None = None
    end_date_time: OcpiDateTime | None = None
    energy_mix: EnergyMix | None = None
    last_updated: OcpiDateTime
