"""CDR and its classes; CdrToken and ChargingPeriod are shared with Sessions (D-25 to D-48)."""

from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from ocpi_modules.cdrs.enums import SESSION_ONLY, AuthMethod, CdrDimensionType
from ocpi_modules.locations.enums import ConnectorFormat, ConnectorType, PowerType
from ocpi_modules.locations.schemas import GeoLocation
from ocpi_modules.tariffs.schemas import Tariff
from ocpi_modules.tokens.enums import TokenType
from ocpi_modules.types import (
    Boolean,
    CiString32,
    CiString36,
    CiString39,
    CiString48,
    Country,
    CountryCode,
    Currency,
    Integer,
    Key39,
    Number,
    OcpiDateTime,
    OcpiObject,
    PartyCode,
    Price,
    String10,
    String45,
    String255,
    String512,
    Text5000,
    wrong,
)


class CdrToken(OcpiObject):
    """The Token as it was at the start; country_code and party_id are those of its eMSP (D-34)."""

    country_code: CountryCode
    party_id: PartyCode
    uid: CiString36
    type: TokenType
    contract_id: CiString36


class CdrDimension(OcpiObject):
    """Volumes are per period and may be negative (D-40, D-48, G-77)."""

    type: CdrDimensionType
    volume: Number


class ChargingPeriod(OcpiObject):
    """Ends where the next one starts, the last one with the session (D-39)."""

    start_date_time: OcpiDateTime
    dimensions: Annotated[list[CdrDimension], Field(min_length=1)]
    tariff_id: CiString36 | None = None


class CdrLocation(OcpiObject):
    """Where it happened, as it was at the start (D-35 to D-38).

    Written with at most 45 characters of address and 20 of state, read with the 255 and 45 of Location (D-36).
    """

    id: CiString36
    name: String255 | None = None
    address: String255
    city: String45
    postal_code: String10 | None = None
    state: String45 | None = None
    country: Country
    coordinates: GeoLocation
    evse_uid: CiString36
    evse_id: CiString48
    connector_id: CiString36
    connector_standard: ConnectorType
    connector_format: ConnectorFormat
    connector_power_type: PowerType


class SignedValue(OcpiObject):
    """D-46."""

    nature: CiString32
    plain_data: Text5000
    signed_data: Text5000


class SignedData(OcpiObject):
    """Calibration-law data, passed on byte for byte (D-45, D-47)."""

    encoding_method: CiString36
    encoding_method_version: Integer | None = None
    public_key: Annotated[str, Field(strict=True, max_length=512)] | None = None
    signed_values: Annotated[list[SignedValue], Field(min_length=1)]
    url: String512 | None = None


class CDR(OcpiObject):
    """The only billing-relevant object; never changed, replaced or deleted (D-01). Energy in kWh, times in h."""

    country_code: CountryCode
    party_id: PartyCode
    id: Key39
    start_date_time: OcpiDateTime
    end_date_time: OcpiDateTime
    session_id: CiString36 | None = None
    cdr_token: CdrToken
    auth_method: AuthMethod
    authorization_reference: CiString36 | None = None
    cdr_location: CdrLocation
    meter_id: String255 | None = None
    currency: Currency
    tariffs: list[Tariff] | None = None
    charging_periods: Annotated[list[ChargingPeriod], Field(min_length=1)]
    signed_data: SignedData | None = None
    total_cost: Price
    total_fixed_cost: Price | None = None
    total_energy: Number
    total_energy_cost: Price | None = None
    total_time: Number
    total_time_cost: Price | None = None
    total_parking_time: Number | None = None
    total_parking_cost: Price | None = None
    total_reservation_cost: Price | None = None
    remark: String255 | None = None
    invoice_reference_id: CiString39 | None = None
    credit: Boolean | None = None
    credit_reference_id: Annotated[CiString39 | None, Field(validate_default=True)] = None
    home_charging_compensation: Boolean | None = None
    last_updated: OcpiDateTime

    @field_validator("charging_periods")
    @classmethod
    def _without_session_dimensions(cls, periods: list[ChargingPeriod]) -> list[ChargingPeriod]:
        used = {dimension.type for period in periods for dimension in period.dimensions} & SESSION_ONLY
        if used:
            raise wrong(f"must not hold {', '.join(sorted(used))}, which is for Sessions only")  # D-42
        return periods

    @field_validator("credit")
    @classmethod
    def _of_negative_amounts(cls, credit: bool | None, info: ValidationInfo) -> bool | None:
        cost: Price | None = info.data.get("total_cost")
        if credit and cost and (cost.excl_vat > 0 or (cost.incl_vat or 0) > 0):
            raise wrong(
                "is true, but total_cost is positive; a Credit CDR carries the negative amounts of its original"
            )  # D-04
        return credit

    @field_validator("credit_reference_id")
    @classmethod
    def _with_credit(cls, reference: str | None, info: ValidationInfo) -> str | None:
        if info.data.get("credit") and not reference:
            raise wrong("is required when credit is true")  # D-32
        return reference
