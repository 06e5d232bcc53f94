"""Location, EVSE, Connector and their classes (L-27 to L-56)."""

from functools import lru_cache
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import Field, StringConstraints, ValidationInfo, field_validator

from ocpi_modules.locations.enums import (
    Capability,
    ConnectorFormat,
    ConnectorType,
    EnergySourceCategory,
    EnvironmentalImpactCategory,
    Facility,
    ImageCategory,
    ParkingRestriction,
    ParkingType,
    PowerType,
    Status,
)
from ocpi_modules.tokens.enums import TokenType
from ocpi_modules.types import (
    Boolean,
    CiString4,
    CiString36,
    CiString48,
    Country,
    CountryCode,
    DisplayText,
    Integer,
    Key36,
    Number,
    OcpiDateTime,
    OcpiObject,
    PartyCode,
    String4,
    String10,
    String16,
    String45,
    String64,
    String100,
    String255,
    TimeOfDay,
    Url,
    wrong,
)

# The regular expressions allow 7 decimals, the lengths do not: the regular expressions win (L-46).
Latitude = Annotated[str, StringConstraints(strict=True, pattern=r"^-?[0-9]{1,2}\.[0-9]{5,7}$")]
Longitude = Annotated[str, StringConstraints(strict=True, pattern=r"^-?[0-9]{1,3}\.[0-9]{5,7}$")]


@lru_cache(maxsize=1024)
def is_time_zone(name: str) -> bool:
    """Whether `name` is in the IANA database (L-37)."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


class GeoLocation(OcpiObject):
    """WGS 84, as strings (L-45)."""

    latitude: Latitude
    longitude: Longitude


class AdditionalGeoLocation(GeoLocation):
    """L-47."""

    name: DisplayText | None = None


class Image(OcpiObject):
    """L-49."""

    url: Url
    thumbnail: Url | None = None
    category: ImageCategory
    type: CiString4
    width: Annotated[Integer, Field(ge=0, le=99999)] | None = None
    height: Annotated[Integer, Field(ge=0, le=99999)] | None = None


class BusinessDetails(OcpiObject):
    """L-48."""

    name: String100
    website: Url | None = None
    logo: Image | None = None


class RegularHours(OcpiObject):
    """Opening hours of one weekday, 1 = Monday, in local time; they do not pass midnight (L-51)."""

    weekday: Annotated[Integer, Field(ge=1, le=7)]
    period_begin: TimeOfDay
    period_end: TimeOfDay

    @field_validator("period_end")
    @classmethod
    def _ends_later(cls, end: str, info: ValidationInfo) -> str:
        if end <= info.data.get("period_begin", ""):
            raise wrong("must be later than period_begin; split hours that pass midnight")
        return end


class ExceptionalPeriod(OcpiObject):
    """L-52. In UTC, unlike RegularHours."""

    period_begin: OcpiDateTime
    period_end: OcpiDateTime


class Hours(OcpiObject):
    """L-50. Closings win over regular hours and exceptional openings."""

    twentyfourseven: Boolean
    regular_hours: Annotated[list[RegularHours] | None, Field(validate_default=True)] = None
    exceptional_openings: list[ExceptionalPeriod] | None = None
    exceptional_closings: list[ExceptionalPeriod] | None = None

    @field_validator("regular_hours")
    @classmethod
    def _only_when_not_always_open(
        cls, hours: list[RegularHours] | None, info: ValidationInfo
    ) -> list[RegularHours] | None:
        always_open = info.data.get("twentyfourseven")
        if always_open is True and hours:
            raise wrong("must be left out when twentyfourseven is true")
        if always_open is False and not hours:
            raise wrong("must hold at least one entry when twentyfourseven is false")
        return hours


class StatusSchedule(OcpiObject):
    """L-53. For information only."""

    period_begin: OcpiDateTime
    period_end: OcpiDateTime | None = None
    status: Status


class EnergySource(OcpiObject):
    """L-55."""

    source: EnergySourceCategory
    percentage: Number


class EnvironmentalImpact(OcpiObject):
    """L-55. In g/kWh."""

    category: EnvironmentalImpactCategory
    amount: Number


class EnergyMix(OcpiObject):
    """L-54."""

    is_green_energy: Boolean
    energy_sources: list[EnergySource] | None = None
    environ_impact: list[EnvironmentalImpact] | None = None
    supplier_name: String64 | None = None
    energy_product_name: String64 | None = None


class PublishTokenType(OcpiObject):
    """Tokens whose owners may see a Location that is not published: all set fields must match (L-31, L-56)."""

    uid: CiString36 | None = None
    type: Annotated[TokenType | None, Field(validate_default=True)] = None
    visual_number: String64 | None = None
    issuer: Annotated[String64 | None, Field(validate_default=True)] = None
    group_id: Annotated[CiString36 | None, Field(validate_default=True)] = None

    @field_validator("type")
    @classmethod
    def _with_uid(cls, type: TokenType | None, info: ValidationInfo) -> TokenType | None:
        if info.data.get("uid") and type is None:
            raise wrong("is required when uid is set")
        return type

    @field_validator("issuer")
    @classmethod
    def _with_visual_number(cls, issuer: str | None, info: ValidationInfo) -> str | None:
        if info.data.get("visual_number") and issuer is None:
            raise wrong("is required when visual_number is set")
        return issuer

    @field_validator("group_id")
    @classmethod
    def _one_of_three(cls, group_id: str | None, info: ValidationInfo) -> str | None:
        if not (group_id or info.data.get("uid", "#") or info.data.get("visual_number", "#")):
            raise wrong("is required when neither uid nor visual_number is set")
        return group_id


class Connector(OcpiObject):
    """A socket or cable of an EVSE; max_voltage in V to neutral, max_amperage in A, max_electric_power in W (L-41 to L-44)."""

    id: Key36
    standard: ConnectorType
    format: ConnectorFormat
    power_type: PowerType
    max_voltage: Integer
    max_amperage: Integer
    max_electric_power: Integer | None = None
    tariff_ids: list[CiString36] | None = None
    terms_and_conditions: Url | None = None
    last_updated: OcpiDateTime


class EVSE(OcpiObject):
    """One vehicle charges here at a time (L-38 to L-40)."""

    uid: Key36
    evse_id: CiString48 | None = None
    status: Status
    status_schedule: list[StatusSchedule] | None = None
    capabilities: list[Capability] | None = None
    connectors: Annotated[list[Connector], Field(min_length=1)]
    floor_level: String4 | None = None
    coordinates: GeoLocation | None = None
    physical_reference: String16 | None = None
    directions: list[DisplayText] | None = None
    parking_restrictions: list[ParkingRestriction] | None = None
    images: list[Image] | None = None
    last_updated: OcpiDateTime


class Location(OcpiObject):
    """A group of EVSEs at one address (L-27 to L-37). Address and state have the lengths of the errata (L-29)."""

    country_code: CountryCode
    party_id: PartyCode
    id: Key36
    publish: Boolean
    publish_allowed_to: list[PublishTokenType] | None = None
    name: String255 | None = None
    address: String255
    city: String45
    postal_code: String10 | None = None
    state: String45 | None = None
    country: Country
    coordinates: GeoLocation
    related_locations: list[AdditionalGeoLocation] | None = None
    parking_type: ParkingType | None = None
    evses: list[EVSE] | None = None
    directions: list[DisplayText] | None = None
    operator: BusinessDetails | None = None
    suboperator: BusinessDetails | None = None
    owner: BusinessDetails | None = None
    facilities: list[Facility] | None = None
    time_zone: String255
    opening_times: Hours | None = None
    charging_when_closed: Boolean | None = None
    images: list[Image] | None = None
    energy_mix: EnergyMix | None = None
    last_updated: OcpiDateTime

    @field_validator("publish_allowed_to")
    @classmethod
    def _only_when_not_published(
        cls, allowed: list[PublishTokenType] | None, info: ValidationInfo
    ) -> list[PublishTokenType] | None:
        if allowed and info.data.get("publish") is True:
            raise wrong("must be left out when publish is true")
        return allowed

    @field_validator("time_zone")
    @classmethod
    def _known_time_zone(cls, time_zone: str) -> str:
        if not is_time_zone(time_zone):
            raise wrong("must be the name of a time zone like Europe/Amsterdam")
        return time_zone
