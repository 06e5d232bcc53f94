"""A whole hub on a socket, and two partners that registered with it: what stands in these files is seen from outside only."""

import base64
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hub.app import Hub, create_app
from hub.db.engine import Database, open_pool
from hub.registration.invitations import invite
from hub.settings import Settings, load
from ocpi_modules import headers as names
from ocpi_modules import json
from ocpi_modules.http.client import OcpiClient
from ocpi_modules.http.connection import IncomingAnswer
from ocpi_modules.http.listener import running
from ocpi_modules.http.paths import versions_url
from ocpi_modules.message import PartyId
from ocpi_modules.spec import Role
from tests.support import objects
from tests.support.party import Party
from tests.support.postgres import FreshDatabase
from tests.support.raw_http import connected

HUB, CPO, EMSP = PartyId("NL", "HUB"), PartyId("NL", "CPO"), PartyId("DE", "MSP")
SECRET = base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()


@dataclass(frozen=True)
class Answer:
    """An answer of the hub, its header names in lower case."""

    http_status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.decode(self.body)

    @property
    def status_code(self) -> int:
        return int(self.document["status_code"])

    @property
    def message(self) -> str:
        return str(self.document["status_message"])

    @property
    def data(self) -> Any:
        return self.document["data"]

    @classmethod
    def of(cls, answer: IncomingAnswer) -> "Answer":
        return cls(answer.http_status, answer.headers, answer.body)


@dataclass
class World:
    """The hub as its partners see it, its CPO and its eMSP."""

    port: int
    settings: Settings
    hub: Hub
    cpo: Party
    emsp: Party

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def versions_url(self) -> str:
        return versions_url(self.url)

    async def invite(self, *roles: tuple[str, str]) -> str:
        """A Token A for roles like ("CPO", "NL/ABC")."""
        listed = [(Role(role), PartyId.of(*party.split("/"))) for role, party in roles]
        settings, now = self.settings, lambda: datetime.now(UTC)
        token, _ = await invite(
            self.hub.database, settings.keys, now, self.url, settings.hub_party, listed, expires=timedelta(days=7)
        )
        return token

    async def kept(self) -> list[dict[str, Any]]:
        """The objects the hub keeps, oldest first, as documents."""
        async with self.hub.database.connection() as connection:
            rows = await connection.fetch("SELECT body FROM kept_object WHERE NOT deleted ORDER BY created_seq")
        return [json.decode(row["body"]) for row in rows]

    async def raw(self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        """One request with exactly these headers (and Host and Content-Length)."""
        lines = {"Host": "hub", **headers} | ({"Content-Length": str(len(body))} if body else {})
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        async with connected(self.port) as connection:
            await connection.send(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body)
            return Answer(*await connection.answer(20))

    async def call(
        self,
        party: Party,
        method: str,
        path: str,
        body: Any = b"",
        *,
        to: PartyId | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request of a registered party, `path` below /ocpi/2.2.1; `body` as bytes or as a document."""
        content = body if isinstance(body, bytes) else json.encode(body)
        sent = {
            "Authorization": names.authorization(party.hub_token),
            "X-Request-ID": "req-1",
            "X-Correlation-ID": "corr-1",
            **names.routing_headers(to=to, sender=party.id),
            **({"Content-Type": "application/json"} if content else {}),
            **(headers or {}),
        }
        return await self.raw(method, f"/ocpi/2.2.1{path}", sent, content)


@asynccontextmanager
async def running_world(fresh: FreshDatabase, *, policy: str = "open") -> AsyncIterator[World]:
    """`policy` as in HUB_DEFAULT_POLICY. What a hub does in the background is not started."""
    async with AsyncExitStack() as stack:
        application: list[Any] = []

        async def hub_application(scope: Any, receive: Any, send: Any) -> None:
            await application[0](scope, receive, send)

        listening = await stack.enter_async_context(running(_started(hub_application)))
        settings = load(
            {
                "HUB_COUNTRY_CODE": HUB.country_code,
                "HUB_PARTY_ID": HUB.party_id,
                "HUB_DATABASE_URL": "postgresql://nobody@127.0.0.1/nothing",
                "HUB_SECRET_KEY": SECRET,
                "HUB_PUBLIC_URL": listening.url,
                "HUB_ALLOW_INSECURE": "true",
                "HUB_DEFAULT_POLICY": policy,
                "HUB_WEBSITE": "https://hub.example",
            }
        )
        database = Database(await open_pool(fresh.app_dsn, max_size=4, application_name="test"), reserved=1)
        stack.push_async_callback(database.close)
        client = await stack.enter_async_context(OcpiClient(allow_insecure=True))
        hub = create_app(settings, database, client, lambda: datetime.now(UTC))
        await hub.directory.refresh()
        application.append(hub.ocpi)
        cpo = await stack.enter_async_context(Party.running(("CPO", "NL/CPO")))
        emsp = await stack.enter_async_context(Party.running(("EMSP", "DE/MSP")))
        world = World(listening.port, settings, hub, cpo, emsp)
        for party, role in ((cpo, "CPO"), (emsp, "EMSP")):
            answer = await party.register(world.versions_url, await world.invite((role, "/".join(party.id))))
            assert answer.http_status == 200, answer.body
        yield world


def _started(application: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """Says that it has started before the hub behind it is built, because the hub must know its own URL."""

    async def outer(scope: Any, receive: Any, send: Any) -> None:
        while scope["type"] == "lifespan":
            kind = (await receive())["type"]
            await send({"type": f"{kind}.complete"})
            if kind == "lifespan.shutdown":
                return
        await application(scope, receive, send)

    return outer


def session(**overrides: Any) -> dict[str, Any]:
    """A session of the CPO with a driver of the eMSP."""
    token = objects.cdr_token(country_code="DE", party_id="MSP")
    return objects.session(**{"country_code": "NL", "party_id": "CPO", "id": "S1", "cdr_token": token} | overrides)


def cdr(**overrides: Any) -> dict[str, Any]:
    """A CDR of the CPO for a driver of the eMSP, no credit."""
    token = objects.cdr_token(country_code="DE", party_id="MSP")
    fields = {"country_code": "NL", "party_id": "CPO", "id": "C1", "cdr_token": token}
    return objects.cdr(**fields | {"credit": None, "credit_reference_id": None} | overrides)


@pytest.fixture
async def world(hub_database: FreshDatabase) -> AsyncIterator[World]:
    async with running_world(hub_database) as running_hub:
        yield running_hub
