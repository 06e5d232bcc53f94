"""ChargingProfile, ActiveChargingProfile, and the answers and results around them (P-14 to P-19)."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from ocpi_modules.types import Integer, Number, OcpiDateTime, OcpiObject, Url


class ChargingRateUnit(StrEnum):
    """W is the total power, A the current of each phase (P-18, P-19)."""

    W = "W"
    A = "A"


class ChargingProfileResponseType(StrEnum):
    """P-14."""

    ACCEPTED = "ACCEPTED"
    NOT_SUPPORTED = "NOT_SUPPORTED"
    REJECTED = "REJECTED"
    TOO_OFTEN = "TOO_OFTEN"
    UNKNOWN_SESSION = "UNKNOWN_SESSION"


class ChargingProfileResultType(StrEnum):
    """P-15."""

    ACCEPTED = "ACCEPTED"
    REJECTED = "REJECTED"
    UNKNOWN = "UNKNOWN"


class ChargingProfilePeriod(OcpiObject):
    """`start_period` in s from the start of the profile, `limit` in the profile's unit (P-18)."""

    start_period: Integer
    limit: Number


class ChargingProfile(OcpiObject):
    """Limits, not set-points; `duration` in s (P-18, P-20)."""

    start_date_time: OcpiDateTime | None = None
    duration: Integer | None = None
    charging_rate_unit: ChargingRateUnit
    min_charging_rate: Number | None = None
    charging_profile_period: list[ChargingProfilePeriod] | None = None


class ActiveChargingProfile(OcpiObject):
    """P-17."""

    start_date_time: OcpiDateTime
    charging_profile: ChargingProfile


class SetChargingProfile(OcpiObject):
    """P-16."""

    charging_profile: ChargingProfile
    response_url: Url


class ChargingProfileResponse(OcpiObject):
    """`timeout` in s (P-14)."""

    result: ChargingProfileResponseType
    timeout: Annotated[Integer, Field(ge=0)]


class ActiveChargingProfileResult(OcpiObject):
    """The result of a GET; `profile` comes with ACCEPTED (P-15)."""

    result: ChargingProfileResultType
    profile: ActiveChargingProfile | None = None


class ChargingProfileResult(OcpiObject):
    """The result of a PUT (P-15)."""

    result: ChargingProfileResultType


class ClearProfileResult(OcpiObject):
    """The result of a DELETE (P-15)."""

    result: ChargingProfileResultType
