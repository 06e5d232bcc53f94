"""A hub with one eMSP behind it, which keeps what reaches it in lists and can be told to fail."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self
from uuid import uuid4

from ocpi_modules import envelope, headers, json
from ocpi_modules.envelope import success
from ocpi_modules.http import handshake
from ocpi_modules.http.client import OcpiClient, OutgoingRequest
from ocpi_modules.http.listener import running
from ocpi_modules.http.paths import details_url, endpoint_urls, versions_url
from ocpi_modules.http.server import OcpiEdge
from ocpi_modules.message import OcpiRequest, OcpiResponse, PartyId
from ocpi_modules.registry import MODULES
from ocpi_modules.spec import InterfaceRole, Method, ModuleID
from ocpi_modules.status import NotAuthenticated
from ocpi_modules.types import format_datetime

SENDER, RECEIVER = InterfaceRole.SENDER, InterfaceRole.RECEIVER
HUB = PartyId("NL", "HUB")
EMSP = PartyId("DE", "EMS")
CPO = PartyId("NL", "ABC")
TOKEN_A = "token-a-of-the-invitation"
OFFERED = [(module, role) for module in MODULES for role in InterfaceRole]
Failure = Callable[[OcpiRequest], OcpiResponse | None]


def now() -> datetime:
    return datetime.now(UTC)


async def no_application(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError(scope)


@dataclass
class FakeHub:
    """`async with FakeHub() as hub`. `fail` may answer a request itself; what it let through is in `received`."""

    received: list[OcpiRequest] = field(default_factory=list)
    tried: list[OcpiRequest] = field(default_factory=list)
    fail: Failure = lambda request: None
    authorization: dict[str, Any] | list[Any] | None = None
    partner: dict[str, Any] = field(default_factory=dict)
    platform: Any = None
    token_c: str = ""
    url: str = ""

    async def __aenter__(self) -> Self:
        self._stack = AsyncExitStack()
        edge = OcpiEdge(no_application, self, MODULES, now)
        self.url = (await self._stack.enter_async_context(running(edge))).url
        self.client = await self._stack.enter_async_context(OcpiClient(allow_insecure=True))
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()

    @property
    def versions_url(self) -> str:
        return versions_url(self.url)

    def of(self, module: str, *methods: str) -> list[OcpiRequest]:
        return [r for r in self.received if r.module == module and (not methods or r.method in methods)]

    async def handle(self, request: OcpiRequest) -> OcpiResponse:
        if not {TOKEN_A, self.token_c} & set(headers.tokens_in(request.authorization)):
            raise NotAuthenticated("unknown")
        if request.module is ModuleID.versions:
            return self._versions(request)
        if request.module is ModuleID.credentials:
            return await self._credentials(request)
        if request.module is ModuleID.hubclientinfo:
            return success([self.client_info()], now=now(), headers={headers.TOTAL_COUNT: "1", headers.LIMIT: "100"})
        self.tried.append(request)
        if failure := self.fail(request):
            return failure
        self.received.append(request)
        if request.module is ModuleID.tokens:
            return success(self.authorization, now=now())
        return success(now=now())

    def client_info(self, status: str = "CONNECTED") -> dict[str, str]:
        owner = {"country_code": EMSP.country_code, "party_id": EMSP.party_id}
        return {**owner, "role": "EMSP", "status": status, "last_updated": format_datetime(now())}

    def _versions(self, request: OcpiRequest) -> OcpiResponse:
        if "version" not in request.variables:
            return success([{"version": "2.2.1", "url": details_url(self.url)}], now=now())
        return success({"version": "2.2.1", "endpoints": endpoint_urls(self.url, MODULES, OFFERED)}, now=now())

    async def _credentials(self, request: OcpiRequest) -> OcpiResponse:
        self.partner = request.document
        self.platform = await handshake.details(self.client, self.partner["url"], self.partner["token"])
        self.token_c = f"token-c-{uuid4()}"
        role = {"role": "HUB", "country_code": "NL", "party_id": "HUB", "business_details": {"name": "A hub"}}
        return success({"token": self.token_c, "url": self.versions_url, "roles": [role]}, now=now())

    async def call(
        self, method: Method, module: str, role: str, suffix: str, document: Any = None, sender: PartyId | None = EMSP
    ) -> tuple[int, envelope.Answer, dict[str, str]]:
        """A call of the adapter in the name of `sender`."""
        sent = {
            "Authorization": headers.authorization(self.partner["token"]),
            headers.REQUEST_ID: str(uuid4()),
            headers.CORRELATION_ID: str(uuid4()),
            **headers.routing_headers(to=CPO if sender else None, sender=sender),
        }
        body = b"" if document is None else json.encode(document)
        url = self.platform.url(module, role) + suffix
        answer = await self.client.send(OutgoingRequest(method, url, sent, body), 10)
        content = envelope.read(answer.body)
        assert content is not None
        return answer.http_status, content, answer.headers
