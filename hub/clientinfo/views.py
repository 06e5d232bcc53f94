"""Which ClientInfo objects a platform sees (H-08, H-18): the parties it can talk with, not its own, not the hub."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hub.parties.platforms import Party, Platform
from ocpi_modules.roles import OPPOSITE
from ocpi_modules.spec import Role
from ocpi_modules.types import format_datetime


@dataclass(frozen=True)
class ClientInfoView:
    """One ClientInfo object: a role of a party and the state that was announced for it."""

    country_code: str
    party_id: str
    role: Role
    status: str
    last_updated: datetime

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


def visible_to(viewer: Platform, platforms: Iterable[Platform]) -> list[ClientInfoView]:
    """The ClientInfo list of one platform, oldest change first."""
    views = [
        view_of(party)
        for platform in platforms
        if platform.id != viewer.id
        for party in platform.parties
        if sees(viewer.roles, party.role)
    ]
    return sorted(views, key=lambda view: (view.last_updated, view.country_code, view.party_id, view.role))


def view_of(party: Party) -> ClientInfoView:
    """The announced state of one role of a party."""
    if party.announced_at is None:
        raise ValueError(f"{party.id} was never announced.")
    return ClientInfoView(party.country_code, party.party_id, party.role, party.announced, party.announced_at)
