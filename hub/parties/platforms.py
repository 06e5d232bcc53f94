"""The directory's values: Platform, Party, Caller and what they carry. All frozen; a change makes a new Platform."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any, NamedTuple
from uuid import UUID

from pydantic import SecretStr

from hub.parties.switches import Switches
from ocpi_modules import headers
from ocpi_modules.custom import is_custom
from ocpi_modules.http.failures import RequestRefused
from ocpi_modules.http.written import PreparedEndpoint
from ocpi_modules.message import PartyId
from ocpi_modules.spec import InterfaceRole, Role

EndpointKey = tuple[str, InterfaceRole]


class PlatformState(StrEnum):
    """Where a platform stands (C-33). Only REGISTERED platforms use functional modules."""

    PLANNED = "PLANNED"
    """Invited; it never registered."""
    REGISTERED = "REGISTERED"
    SUSPENDED = "SUSPENDED"
    """Stopped by the operator; its tokens are refused."""
    UNREGISTERED = "UNREGISTERED"
    """Left by DELETE credentials; it may be invited again."""


class PartyState(StrEnum):
    """PLANNED: approved, not registered yet; SUSPENDED: the platform took it off its list (C-37)."""

    PLANNED = "PLANNED"
    REGISTERED = "REGISTERED"
    SUSPENDED = "SUSPENDED"


class Connection(StrEnum):
    """Whether the platform can be reached now (H-09, H-16)."""

    CONNECTED = "CONNECTED"
    OFFLINE = "OFFLINE"


class TokenKind(StrEnum):
    """Token A opens versions and credentials only (X-12); Token C is for everything."""

    A = "A"
    C = "C"


@dataclass(frozen=True)
class Party:
    """One role of one party. `announced` is the state that those hear who have to do with it, `announced_at` since when."""

    country_code: str
    party_id: str
    role: Role
    state: PartyState = PartyState.REGISTERED
    business_details: Mapping[str, Any] = field(default_factory=dict, hash=False)
    announced: str = "PLANNED"
    announced_at: datetime | None = None

    @property
    def id(self) -> PartyId:
        return PartyId(self.country_code, self.party_id)


@dataclass(frozen=True)
class Platform:
    """A partner's system as the directory knows it. Compared and hashed by its id and revision."""

    id: UUID
    name: str = field(compare=False)
    state: PlatformState = field(compare=False)
    version: str | None = field(default=None, compare=False)
    versions_url: str | None = field(default=None, compare=False)
    approved_host: str | None = field(default=None, compare=False)
    endpoints: Mapping[EndpointKey, str] = field(default_factory=dict, compare=False)
    """(module id, interface) -> URL, overrides included."""
    token: SecretStr | None = field(default=None, compare=False)
    """Our token for the platform, raw; `authorization` encodes it."""
    base64: bool = field(default=True, compare=False)
    """Whether our token is sent Base64 encoded (X-04, X-06)."""
    parties: tuple[Party, ...] = field(default=(), compare=False)
    """Every role ever approved, whatever its state; `party_ids` and `roles_of` hold the registered ones."""
    switches: Switches = field(default_factory=Switches, compare=False)
    connection: Connection = field(default=Connection.OFFLINE, compare=False)
    last_seen: datetime | None = field(default=None, compare=False)
    revision: int = 0

    @property
    def registered(self) -> bool:
        return self.state is PlatformState.REGISTERED

    @property
    def connected(self) -> bool:
        return self.registered and self.connection is Connection.CONNECTED

    @cached_property
    def authorization(self) -> str:
        """The Authorization header value for calls to this platform; a secret. ValueError when there is no token."""
        if self.token is None:
            raise ValueError(f"There is no token for the platform {self.name}; it is {self.state}.")
        return headers.authorization(self.token.get_secret_value(), base64_encoded=self.base64)

    @cached_property
    def prepared(self) -> Mapping[EndpointKey, PreparedEndpoint]:
        """Its endpoints with our token, ready to be called; without those that need a closer look at each call."""
        if self.token is None or self.switches.trailing_slash != "as_listed":
            return {}
        found = {key: _prepared(url, self.authorization) for key, url in self.endpoints.items()}
        return {key: endpoint for key, endpoint in found.items() if endpoint is not None}

    @cached_property
    def lane(self) -> str:
        """Whose connections its messages go out on: another platform may live at the same host (Q-10)."""
        return str(self.id)

    @cached_property
    def push_lane(self) -> str:
        """The same for what the hub pushes, so that no message waits behind it."""
        return f"{self.id} pushes"

    @cached_property
    def party_ids(self) -> frozenset[PartyId]:
        """Its registered parties; one party may hold several roles (R-32)."""
        return frozenset(party.id for party in self.parties if party.state is PartyState.REGISTERED)

    @cached_property
    def reachable(self) -> frozenset[PartyId]:
        """The parties that messages can be sent to now; none while it is not connected."""
        return self.party_ids if self.connected else frozenset()

    @cached_property
    def roles(self) -> frozenset[Role]:
        return frozenset(party.role for party in self.parties if party.state is PartyState.REGISTERED)

    @cached_property
    def custom_modules(self) -> frozenset[str]:
        """The identifiers it lists that OCPI does not define (R-108)."""
        return frozenset(module for module, _ in self.endpoints if is_custom(module))

    def roles_of(self, party: PartyId) -> frozenset[Role]:
        """The registered roles of one party."""
        return self._roles_of.get(party, frozenset())

    @cached_property
    def _roles_of(self) -> Mapping[PartyId, frozenset[Role]]:
        registered = [party for party in self.parties if party.state is PartyState.REGISTERED]
        return {id: frozenset(party.role for party in registered if party.id == id) for id in self.party_ids}

    def serves(self, party: PartyId) -> bool:
        """Whether messages may go to the party: registered, not planned or removed; otherwise 4003 (R-23, C-37)."""
        return self.registered and party in self.party_ids

    def endpoint(self, module: str, interface: InterfaceRole) -> str | None:
        """The URL of one interface of one module, None when the platform does not offer it."""
        return self.endpoints.get((module, interface))


def _prepared(url: str, authorization: str) -> PreparedEndpoint | None:
    try:
        return PreparedEndpoint(url, authorization)
    except RequestRefused:
        return None


class Caller(NamedTuple):
    """Who sent a request. `party` is the FROM party of a functional module, given or inferred (R-06); None elsewhere."""

    platform: Platform
    token_kind: TokenKind
    party: PartyId | None = None
    token: SecretStr = SecretStr("")
    """The raw token it used, for GET credentials (C-19)."""
    base64: bool = True
    """Whether it sent the token Base64 encoded (X-06)."""
