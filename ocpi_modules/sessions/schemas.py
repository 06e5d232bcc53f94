"""Session and ChargingPreferences (S-14 to S-26)."""

from ocpi_modules.cdrs.enums import AuthMethod
from ocpi_modules.cdrs.schemas import CdrToken, ChargingPeriod
from ocpi_modules.sessions.enums import ProfileType, SessionStatus
from ocpi_modules.types import (
    Boolean,
    CiString36,
    CountryCode,
    Currency,
    Key36,
    Number,
    OcpiDateTime,
    OcpiObject,
    PartyCode,
    Price,
    String255,
)


class Session(OcpiObject):
    """One charging session; energy in kWh. A missing total_cost is unknown, 0.00 is free of charge (S-14, S-19)."""

    country_code: CountryCode
    party_id: PartyCode
    id: Key36
    start_date_time: OcpiDateTime
    end_date_time: OcpiDateTime | None = None
    kwh: Number
    cdr_token: CdrToken
    auth_method: AuthMethod
    authorization_reference: CiString36 | None = None
    location_id: CiString36
    evse_uid: CiString36
    connector_id: CiString36
    meter_id: String255 | None = None
    currency: Currency
    charging_periods: list[ChargingPeriod] | None = None
    total_cost: Price | None = None
    status: SessionStatus
    last_updated: OcpiDateTime


class ChargingPreferences(OcpiObject):
    """What a driver wants; energy_need in kWh (S-24)."""

    profile_type: ProfileType
    departure_time: OcpiDateTime | None = None
    energy_need: Number | None = None
    discharge_allowed: Boolean | None = None
