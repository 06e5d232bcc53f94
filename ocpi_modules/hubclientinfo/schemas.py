"""ClientInfo (H-05, H-06)."""

from enum import StrEnum

from ocpi_modules.spec import Role
from ocpi_modules.types import CountryCode, OcpiDateTime, OcpiObject, PartyCode


class ConnectionStatus(StrEnum):
    """H-06 to H-09."""

    CONNECTED = "CONNECTED"
    OFFLINE = "OFFLINE"
    PLANNED = "PLANNED"
    SUSPENDED = "SUSPENDED"


class ClientInfo(OcpiObject):
    """One role of one party, as the hub sees its connection."""

    party_id: PartyCode
    country_code: CountryCode
    role: Role
    status: ConnectionStatus
    last_updated: OcpiDateTime
