"""The way to the hub: where it is, which token it wants, and one call. What was agreed lies in the database."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import uuid4

from cpo_adapter.storage import registration_repository
from cpo_adapter.storage.engine import Database
from ocpi_modules import envelope, json, secrets
from ocpi_modules.http.client import OcpiClient, OutgoingRequest, join_url, ocpi_headers
from ocpi_modules.http.failures import SendFailed
from ocpi_modules.message import PartyId
from ocpi_modules.secrets import Keys
from ocpi_modules.spec import InterfaceRole, Method, ModuleID

SEALED_FOR = "hub"
PURPOSE = "token"


@dataclass(frozen=True)
class Joined:
    """The registration as it is used: `token` is the hub's (token C), `endpoints` the hub's by (identifier, role)."""

    hub: PartyId
    token: str
    base64: bool
    endpoints: Mapping[tuple[str, str], str]
    versions_url: str
    public_url: str


@dataclass(frozen=True)
class Reply:
    """A partner's answer; `answer` is None when there was no OCPI envelope."""

    http_status: int
    answer: envelope.Answer | None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def succeeded(self) -> bool:
        return self.answer is not None and self.answer.succeeded and self.http_status < 300

    @property
    def status_code(self) -> int:
        return self.answer.status_code if self.answer else 0

    @property
    def reason(self) -> str:
        if self.answer is None:
            return f"HTTP {self.http_status} without an OCPI envelope"
        return f"HTTP {self.http_status}, {self.answer.status_code} {self.answer.status_message}"[:300]


class NotReached(Exception):
    """No answer: not joined, no endpoint, no connection, no time."""


class HubLink:
    """`party` is ours. The registration is read once and again after `forget`, so that another process may have renewed it."""

    def __init__(self, database: Database, keys: Keys, client: OcpiClient, party: PartyId) -> None:
        self.client = client
        self.party = party
        self._database = database
        self._keys = keys
        self._joined: Joined | None = None

    async def joined(self) -> Joined | None:
        """The registration, or None before it and after leaving. Raises DatabaseAway."""
        if self._joined is None:
            async with self._database.connection() as connection:
                row = await registration_repository.registration(connection)
            if row is None or row["state"] != "JOINED":
                return None
            self._joined = Joined(
                hub=PartyId.of(row["hub_country_code"], row["hub_party_id"]),
                token=secrets.open_sealed(self._keys, row["sealed_token"], owner=SEALED_FOR, purpose=PURPOSE),
                base64=row["base64"],
                endpoints={(end["identifier"], end["role"]): end["url"] for end in json.decode(row["endpoints"])},
                versions_url=row["versions_url"],
                public_url=row["public_url"],
            )
        return self._joined

    def forget(self) -> None:
        """The registration may have changed: read it again."""
        self._joined = None

    async def send(
        self,
        method: Method,
        module: ModuleID,
        interface: InterfaceRole,
        suffix: str,
        *,
        to: PartyId | None,
        body: bytes = b"",
        seconds: float = 30.0,
        correlation_id: str = "",
    ) -> Reply:
        """One request to an endpoint of the hub, for `to` behind it. Raises NotReached, DatabaseAway."""
        joined = await self.joined()
        if joined is None:
            raise NotReached("Not joined to a hub.")
        url = joined.endpoints.get((module, interface))
        if url is None:
            raise NotReached(f"The hub offers no {module} {interface}.")
        target = url + suffix if suffix.startswith("?") else join_url(url, suffix)
        return await self.send_to(method, target, to=to, body=body, seconds=seconds, correlation_id=correlation_id)

    async def send_to(
        self,
        method: Method,
        url: str,
        *,
        to: PartyId | None,
        body: bytes = b"",
        seconds: float = 30.0,
        correlation_id: str = "",
    ) -> Reply:
        """One request to a URL the hub gave us. Raises NotReached, DatabaseAway."""
        joined = await self.joined()
        if joined is None:
            raise NotReached("Not joined to a hub.")
        headers = ocpi_headers(
            joined.token,
            request_id=str(uuid4()),
            correlation_id=correlation_id or str(uuid4()),
            base64_encoded=joined.base64,
            to=to,
            sender=self.party if to else None,
        )
        try:
            answer = await self.client.send(OutgoingRequest(method, url, headers, body), seconds)
        except SendFailed as error:
            raise NotReached(error.message) from error
        if answer.http_status == 401:
            self.forget()
        return Reply(answer.http_status, envelope.read(answer.body), answer.headers)
