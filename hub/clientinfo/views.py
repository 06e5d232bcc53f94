"""Which ClientInfo objects a platform sees, and as what (H-08, H-18).

The parties it can talk with by their roles: not its own, not the hub. Where agreements are asked for (HUB_DEFAULT_POLICY), a
party is listed once an agreement between the two has begun. Without one it is not listed and a request to it is 4001, the same as
to a party that is not there (R-28, U-05). When an agreement ends, the object is not taken back (H-07): it is PLANNED for this
viewer from then on, whatever becomes of the party, and a request is 4001 again.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ocpi_modules.roles import OPPOSITE
from ocpi_modules.spec import Role
from ocpi_modules.types import format_datetime


@dataclass(frozen=True)
class ClientInfoView:
    """One ClientInfo object as one viewer sees it."""

    country_code: str
    party_id: str
    role: Role
    status: str
    last_updated: datetime

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "ClientInfoView":
        """From a row of `client_info`."""
        return cls(row["country_code"], row["party_id"], Role(row["role"]), row["status"], row["last_updated"])

    @property
    def key(self) -> tuple[str, str, str]:
        return (self.country_code, self.party_id, self.role)

    @property
    def document(self) -> dict[str, Any]:
        """H-05, as JSON values."""
        return {
            "party_id": self.party_id,
            "country_code": self.country_code,
            "role": self.role.value,
            "status": self.status,
            "last_updated": format_datetime(self.last_updated),
        }


def sees(viewer: Collection[Role], role: Role) -> bool:
    """Whether a platform with these roles can talk with a party of that role, as the roles table has it."""
    if role is Role.NAP and Role.CPO in viewer:
        return True
    return any(role in OPPOSITE[own] or own in OPPOSITE[role] for own in viewer)


SEES = tuple((own, other) for own in Role for other in Role if sees({own}, other))
"""(a viewer's role, a role it sees)."""
