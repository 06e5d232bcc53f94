"""Token and the objects of real-time authorization (K-17 to K-21)."""

from ocpi_modules.sessions.enums import ProfileType
from ocpi_modules.tokens.enums import AllowedType, TokenType, WhitelistType
from ocpi_modules.types import (
    Boolean,
    CiString36,
    CountryCode,
    DisplayText,
    Key36,
    Language,
    OcpiDateTime,
    OcpiObject,
    PartyCode,
    String64,
)


class EnergyContract(OcpiObject):
    """K-21."""

    supplier_name: String64
    contract_id: String64 | None = None


class Token(OcpiObject):
    """A driver's means of identification; unique by owner, uid and type together (K-04, K-20)."""

    country_code: CountryCode
    party_id: PartyCode
    uid: Key36
    type: TokenType
    contract_id: CiString36
    visual_number: String64 | None = None
    issuer: String64
    group_id: CiString36 | None = None
    valid: Boolean
    whitelist: WhitelistType
    language: Language | None = None
    default_profile_type: ProfileType | None = None
    energy_contract: EnergyContract | None = None
    last_updated: OcpiDateTime


class LocationReferences(OcpiObject):
    """Where a driver wants to charge (K-19)."""

    location_id: CiString36
    evse_uids: list[CiString36] | None = None


class AuthorizationInfo(OcpiObject):
    """The answer to a real-time authorization (K-17)."""

    allowed: AllowedType
    token: Token
    location: LocationReferences | None = None
    authorization_reference: CiString36 | None = None
    info: DisplayText | None = None
