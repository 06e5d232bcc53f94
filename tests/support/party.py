"""A partner's platform in process: a real OCPI server on loopback that records every raw request, and a client beside it.

    async with Party.running(("CPO", "NL/ABC"), ("EMSP", "NL/ABC"), raw_tokens=True) as party:
        await party.register(hub_versions_url, token_a)            # as Sender: POST credentials
        party.script("PUT", "sessions", Scripted(http_status=200, status_code=2001))
        await party.send("PUT", "sessions", "RECEIVER", "/NL/ABC/S1", body, to=PartyId("DE", "EMP"))
        party.received("PUT", "sessions")[-1].body                 # bytes as they arrived

A hub registers with it as Sender through `party.versions_url` and `party.issue_token_a()`. What is scripted nowhere is
answered as a lenient platform would: objects are kept, lists are empty, unknown objects are 404.
"""

import asyncio
import contextlib
import hashlib
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from ocpi_modules import envelope, headers, json, registry
from ocpi_modules.custom import CUSTOM
from ocpi_modules.http import handshake
from ocpi_modules.http.client import OcpiClient, OutgoingRequest, join_url, ocpi_headers
from ocpi_modules.http.connection import IncomingAnswer
from ocpi_modules.http.listener import running
from ocpi_modules.http.paths import details_url, endpoint_url, endpoint_urls, versions_url
from ocpi_modules.http.server import OcpiEdge
from ocpi_modules.message import OcpiRequest, OcpiResponse, PartyId
from ocpi_modules.registry import MODULES
from ocpi_modules.secrets import new_token
from ocpi_modules.spec import InterfaceRole, Kind, Method, ModuleID
from ocpi_modules.status import MethodNotAllowed, NotAuthenticated, NotFound

Offer = tuple[ModuleID, InterfaceRole]
EVERYTHING: tuple[Offer, ...] = (
    (ModuleID.credentials, InterfaceRole.SENDER),
    (ModuleID.hubclientinfo, InterfaceRole.RECEIVER),
    *((spec.id, side) for spec in MODULES.values() if spec.kind is Kind.FUNCTIONAL for side in InterfaceRole),
)
PATIENCE_SECONDS = 10.0


@dataclass(frozen=True)
class Received:
    """One request as it came off the socket; `headers` have lower-case names, `body` is untouched, `raw_path` as on the wire."""

    method: str
    raw_path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    at: datetime

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.body).hexdigest()

    @property
    def document(self) -> Any:
        return json.decode(self.body)

    @property
    def sender(self) -> PartyId | None:
        return _pair(self.headers, headers.FROM_COUNTRY_CODE, headers.FROM_PARTY_ID)

    @property
    def to(self) -> PartyId | None:
        return _pair(self.headers, headers.TO_COUNTRY_CODE, headers.TO_PARTY_ID)

    def is_for(self, method: str, module: str) -> bool:
        return self.method == method and module in self.raw_path.split("/")


@dataclass(frozen=True)
class Scripted:
    """A scripted answer. `raw` replaces the whole body; `delay` seconds pass before it; `headers` are added."""

    http_status: int = 200
    status_code: int = 1000
    message: str = "scripted"
    data: Any = envelope.NO_DATA
    raw: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0


Script = Scripted | Callable[[OcpiRequest], OcpiResponse | Awaitable[OcpiResponse]]


@dataclass(frozen=True)
class Role:
    """A role and the party that has it."""

    role: str
    party: PartyId


class Party:
    """Made by `Party.running`. Tokens: `our_tokens` are those we issued (their first is what the hub uses now), `hub_token`
    is what we use at the hub."""

    def __init__(
        self, roles: Sequence[Role], client: OcpiClient, *, raw_tokens: bool, offers: Sequence[Offer], accepts: str
    ) -> None:
        self.roles = list(roles)
        self.client = client
        self.raw_tokens = raw_tokens
        self.accepts = accepts
        self.offers = list(offers)
        self.url = ""
        self.log: list[Received] = []
        self.recorder: Callable[[Received], None] = self.log.append
        """Hears every request; another one may keep less than all of them for ever, in place of `log`."""
        self.our_tokens: list[str] = []
        self.hub_token = ""
        self.hub_versions_url = ""
        self.hub_endpoints: dict[tuple[str, str], str] = {}
        self.kept: dict[tuple[str, str], bytes] = {}
        self.endpoints: Callable[[list[dict[str, str]]], list[dict[str, str]]] = lambda listed: listed
        self.credentials_url = ""
        self.business_name = ""
        self._scripts: dict[tuple[str, str], list[Script]] = {}
        self._arrived = asyncio.Condition()

    @classmethod
    @contextlib.asynccontextmanager
    async def running(
        cls,
        *roles: tuple[str, str],
        raw_tokens: bool = False,
        accepts: str = "both",
        offers: Sequence[Offer] = EVERYTHING,
        port: int = 0,
    ) -> AsyncIterator["Party"]:
        """A listening platform with these roles, each like ("CPO", "NL/ABC").

        `raw_tokens`: it sends its token without Base64. `accepts`: the form it understands, `both`, `raw` or `base64`.
        """
        listed = [Role(role, PartyId.of(*party.split("/"))) for role, party in roles]
        async with OcpiClient(allow_insecure=True) as client:
            party = cls(listed, client, raw_tokens=raw_tokens, offers=offers, accepts=accepts)
            edge = OcpiEdge(_nothing, party, {**MODULES, CUSTOM.id: CUSTOM}, _now)
            async with running(party._recording(edge), port=port) as listening:
                party.url = listening.url
                yield party

    # The platform as it is seen

    @property
    def id(self) -> PartyId:
        """The party of its first role."""
        return self.roles[0].party

    @property
    def versions_url(self) -> str:
        return versions_url(self.url)

    def credentials(self, token: str, roles: Sequence[Role] | None = None) -> dict[str, Any]:
        """Its Credentials object with this token."""
        listed = [
            {
                "role": item.role,
                "country_code": item.party.country_code,
                "party_id": item.party.party_id,
                "business_details": {"name": self.business_name or f"{item.role} {item.party}"},
            }
            for item in (self.roles if roles is None else roles)
        ]
        return {"token": token, "url": self.credentials_url or self.versions_url, "roles": listed}

    def issue_token_a(self) -> str:
        """A token with which a hub may register here."""
        self.our_tokens.insert(0, new_token("partyA_"))
        return self.our_tokens[0]

    # Registration as Sender

    async def register(self, hub_versions_url: str, token_a: str) -> IncomingAnswer:
        """GET versions, GET details, POST credentials; on success everything is learned for `send`. Returns the POST's answer."""
        await self.discover(hub_versions_url, token_a)
        return await self.exchange_credentials("POST", token_a)

    async def discover(self, hub_versions_url: str, token: str) -> None:
        """Read the hub's versions and details with this token."""
        self.hub_versions_url = hub_versions_url
        found = await handshake.details(self.client, hub_versions_url, token, base64=not self.raw_tokens)
        self.hub_endpoints = dict(found.endpoints)

    async def exchange_credentials(
        self, method: str, token: str, body: Mapping[str, Any] | None = None, *, learn: bool = True
    ) -> IncomingAnswer:
        """POST or PUT our credentials (by default with a new token); `learn`: take over the token of a successful answer."""
        if body is None:
            self.our_tokens.insert(0, new_token("partyC_"))
            body = self.credentials(self.our_tokens[0])
        answer = await self.call(method, self.hub_endpoints["credentials", "SENDER"], token, json.encode(body))
        content = envelope.read(answer.body)
        if learn and content is not None and content.succeeded:
            self.hub_token = content.data["token"]
        return answer

    async def update(self, roles: Sequence[Role] | None = None, *, learn: bool = True) -> IncomingAnswer:
        """PUT credentials, perhaps with other roles."""
        self.our_tokens.insert(0, new_token("partyC_"))
        body = self.credentials(self.our_tokens[0], roles)
        return await self.exchange_credentials("PUT", self.hub_token, body, learn=learn)

    async def unregister(self) -> IncomingAnswer:
        """DELETE credentials."""
        return await self.call("DELETE", self.hub_endpoints["credentials", "SENDER"], self.hub_token)

    # Calls to the hub

    async def send(
        self,
        method: str,
        module: str,
        interface: str,
        path: str = "",
        body: bytes | Mapping[str, Any] | Sequence[Any] = b"",
        *,
        to: PartyId | None = None,
        sender: PartyId | None = None,
        routed: bool = True,
        query: str = "",
        extra: Mapping[str, str] | None = None,
        deadline: float = 30.0,
    ) -> IncomingAnswer:
        """One call to the hub's `module` on its `interface` (the hub's: RECEIVER takes pushes), with our token.

        FROM is the first role's party unless `sender` says otherwise; `routed=False` leaves all routing headers out.
        """
        url = join_url(self.hub_endpoints[module, interface], path) + (f"?{query}" if query else "")
        source = (sender or self.id) if routed else None
        data = body if isinstance(body, bytes) else json.encode(body)
        more = headers.routing_headers(to=to if routed else None, sender=source) | dict(extra or {})
        return await self.call(method, url, self.hub_token, data, more, deadline=deadline)

    async def call(
        self,
        method: str,
        url: str,
        token: str,
        body: bytes = b"",
        extra: Mapping[str, str] | None = None,
        *,
        deadline: float = 30.0,
    ) -> IncomingAnswer:
        """One call to any URL with any token, in the form this platform sends tokens."""
        sent = ocpi_headers(
            token, request_id=str(uuid4()), correlation_id=str(uuid4()), base64_encoded=not self.raw_tokens
        )
        return await self.client.send(OutgoingRequest(method, url, sent | dict(extra or {}), body), deadline)

    # What it answers, and what it was asked

    def script(self, method: str, module: str, *answers: Script) -> None:
        """Answer calls of this method and module so: one after the other, the last one for ever."""
        self._scripts[method, str(module)] = list(answers)

    def unscript(self, method: str, module: str) -> None:
        """Answer such calls as usual again."""
        self._scripts.pop((method, str(module)), None)

    def received(self, method: str | None = None, module: str | None = None) -> list[Received]:
        """The requests that arrived, oldest first."""
        return [
            item
            for item in self.log
            if (method is None or item.method == method) and (module is None or module in item.raw_path.split("/"))
        ]

    async def wait_for(
        self, method: str, module: str, count: int = 1, *, seconds: float = PATIENCE_SECONDS
    ) -> list[Received]:
        """Wait until so many such requests have arrived; TimeoutError after `seconds`."""
        async with asyncio.timeout(seconds), self._arrived:
            await self._arrived.wait_for(lambda: len(self.received(method, module)) >= count)
            return self.received(method, module)

    async def handle(self, request: OcpiRequest) -> OcpiResponse:
        """`ocpi_modules.message.Handler`."""
        self._authenticate(request)
        answers = self._scripts.get((request.method, request.module))
        if answers:
            return await self._scripted(answers.pop(0) if len(answers) > 1 else answers[0], request)
        response = self._answer(request)
        if registry.module("2.2.1", request.module).kind is Kind.CONFIGURATION or request.sender is None:
            return response
        routing = headers.routing_headers(to=request.sender, sender=request.to or self.id)
        return OcpiResponse(response.http_status, response.body, {**routing, **response.headers})

    async def _scripted(self, script: Script, request: OcpiRequest) -> OcpiResponse:
        if not isinstance(script, Scripted):
            answer = script(request)
            return await answer if inspect.isawaitable(answer) else answer
        if script.delay:
            await asyncio.sleep(script.delay)
        body = envelope.envelope(script.status_code, script.message, _now(), script.data)
        return OcpiResponse(script.http_status, body if script.raw is None else script.raw, script.headers)

    def _authenticate(self, request: OcpiRequest) -> None:
        forms = headers.tokens_in(request.authorization)
        sent = request.authorization.partition(" ")[2].strip()
        if self.accepts == "raw":
            forms = [sent]
        if self.accepts == "base64":
            forms = [form for form in forms if form != sent]
        if not any(form in self.our_tokens for form in forms):
            raise NotAuthenticated("The token is not known at this party.")

    def _answer(self, request: OcpiRequest) -> OcpiResponse:
        match request.module:
            case ModuleID.versions:
                return self._versions(request)
            case ModuleID.credentials:
                return self._credentials(request)
            case _:
                return self._object(request)

    def _versions(self, request: OcpiRequest) -> OcpiResponse:
        if "version" not in request.variables:
            return envelope.success([{"version": "2.2.1", "url": details_url(self.url)}], now=_now())
        listed = self.endpoints(endpoint_urls(self.url, MODULES, self.offers))
        return envelope.success({"version": "2.2.1", "endpoints": listed}, now=_now())

    def _credentials(self, request: OcpiRequest) -> OcpiResponse:
        if request.method is Method.DELETE:
            self.our_tokens.clear()
            self.hub_token = ""
            return envelope.success(now=_now())
        if request.method not in (Method.POST, Method.PUT):
            raise MethodNotAllowed("This party answers POST, PUT and DELETE only.")
        self.hub_token = request.document["token"]
        self.hub_versions_url = request.document["url"]
        self.our_tokens.insert(0, new_token("partyC_"))
        return envelope.success(self.credentials(self.our_tokens[0]), now=_now())

    def _object(self, request: OcpiRequest) -> OcpiResponse:
        key = (str(request.module), request.path)
        match request.method:
            case Method.PUT:
                new = key not in self.kept
                self.kept[key] = request.body
                return envelope.success(now=_now(), http_status=201 if new else 200)
            case Method.POST if request.module == ModuleID.cdrs:
                url = endpoint_url(self.url, ModuleID.cdrs, InterfaceRole.RECEIVER)
                self.kept[str(request.module), f"/{len(self.kept)}"] = request.body
                location = {headers.LOCATION: f"{url}/{len(self.kept) - 1}"}
                return envelope.success(now=_now(), http_status=201, headers=location)
            case Method.POST if request.endpoint.path.endswith("/authorize"):
                return envelope.success({"allowed": "ALLOWED"}, now=_now())
            case Method.POST if request.interface is InterfaceRole.RECEIVER:
                return envelope.success({"result": "ACCEPTED", "timeout": 30}, now=_now())
            case Method.GET if request.endpoint.is_list:
                return envelope.success([], now=_now(), headers={headers.TOTAL_COUNT: "0", headers.LIMIT: "100"})
            case Method.GET if key in self.kept:
                return envelope.success_with_bytes(self.kept[key], now=_now())
            case Method.GET:
                raise NotFound("This party has no such object.")
            case _:
                return envelope.success(now=_now())

    def _recording(self, edge: OcpiEdge) -> Callable[..., Awaitable[None]]:
        """The edge, with every request's raw bytes written down before it is looked at."""

        async def recorded(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http":
                await edge(scope, receive, send)
                return
            body, more = b"", True
            while more:
                message = await receive()
                body += message.get("body", b"")
                more = message.get("more_body", False)
            names = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
            raw_path, query = scope["raw_path"].decode("latin-1"), scope["query_string"].decode("latin-1")
            async with self._arrived:
                self.recorder(Received(scope["method"], raw_path, query, names, body, _now()))
                self._arrived.notify_all()

            async def replay() -> dict[str, Any]:
                return {"type": "http.request", "body": body, "more_body": False}

            await edge(scope, replay, send)

        return recorded


def _pair(names: Mapping[str, str], country_code: str, party_id: str) -> PartyId | None:
    found = names.get(country_code.lower()), names.get(party_id.lower())
    return PartyId(found[0], found[1]) if found[0] is not None and found[1] is not None else None


def _now() -> datetime:
    return datetime.now(UTC)


async def _nothing(scope: Any, receive: Any, send: Any) -> None:
    """The application round which the edge is wrapped: there is nothing but OCPI here."""
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b""})
