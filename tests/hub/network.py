"""A hub with real parts (directory, database, edge, client) between partners that are plain sockets which keep every byte."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from hub.agreements.policy import AgreementBook, DefaultPolicy, Pair, Policy, Terms
from hub.clearing.guaranteed import GuaranteedDelivery
from hub.clearing.journal import CdrJournal
from hub.clearing.pages import CdrShelves
from hub.db.engine import Database, DatabaseAway, open_pool
from hub.delivery.audience import Audience
from hub.delivery.missed import MissedSessions
from hub.delivery.send import Deadlines, DoorOut
from hub.delivery.store import PostgresStore
from hub.delivery.traced import TracedDoor
from hub.delivery.worker import DeliveryWorker
from hub.handler import HubHandler
from hub.metrics.exposition import Exposition
from hub.metrics.messages import MessageCounts
from hub.objects.batches import Batches
from hub.objects.copies import Copies
from hub.objects.keep import KeptObjects
from hub.objects.later import LaterWrites
from hub.objects.pages import Pages
from hub.objects.passed import PassedObjects
from hub.parties import repository as parties
from hub.parties.directory import Directory
from hub.parties.platforms import Platform
from hub.parties.rows import seal_token
from hub.routing.authorize_fan_out import AuthorizeFanOut
from hub.routing.broadcast_push import BroadcastPushRoute
from hub.routing.custom_modules import CustomModulesRoute
from hub.routing.get_all import GetAllRoute
from hub.routing.notes import Notes
from hub.routing.open_routing import OpenRoutingRoute
from hub.routing.own_sessions import OwnSessions
from hub.routing.owners import Owners
from hub.routing.party_to_party import PartyToPartyRoute
from hub.routing.tickets import Tickets
from hub.traces.record import Traces
from hub.traces.writer import TraceWriter
from ocpi_modules import headers as names
from ocpi_modules import json, registry
from ocpi_modules.envelope import success
from ocpi_modules.http.client import OcpiClient
from ocpi_modules.http.listener import running
from ocpi_modules.http.server import OcpiEdge
from ocpi_modules.message import OcpiRequest, OcpiResponse, PartyId
from ocpi_modules.secrets import Keys, token_mac
from ocpi_modules.spec import Kind, ModuleID
from tests.support.postgres import FreshDatabase
from tests.support.raw_http import RawConnection, connected, raw_server

CPO, EMSP, HUB = PartyId("NL", "CPO"), PartyId("DE", "MSP"), PartyId("NL", "HUB")
NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


@dataclass(frozen=True)
class Seen:
    """A request as it came off the wire."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def routing(self) -> tuple[str, str]:
        """(to, from) as `NL*ABC`."""
        return party_pair(self.headers)


@dataclass(frozen=True)
class Answer:
    http_status: int
    headers: dict[str, str]
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
    def routing(self) -> tuple[str, str]:
        return party_pair(self.headers)


def party_pair(headers: dict[str, str]) -> tuple[str, str]:
    def one(kind: str) -> str:
        return f"{headers.get(f'ocpi-{kind}-country-code')}*{headers.get(f'ocpi-{kind}-party-id')}"

    return one("to"), one("from")


def accepted(
    data: Any = None, *, status: int = 200, headers: dict[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    response = success(data, now=NOW) if data is not None else success(now=NOW)
    return status, headers or {}, response.body


@dataclass
class Partner:
    """A platform: what it got, and what it answers. `answer` may be replaced, also by a coroutine function."""

    party: PartyId
    role: str
    port: int = 0
    token_for_us: str = ""
    """What this partner sends to the hub."""
    token_of_ours: str = ""
    """What the hub sends to this partner."""
    platform_id: UUID = field(default_factory=uuid4)
    seen: list[Seen] = field(default_factory=list)
    answer: Callable[[Seen], Any] = lambda seen: accepted()
    after: Callable[[Seen], Any] = lambda seen: None
    """What it returns is awaited before the next request of the connection is read."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def endpoint(self, module: str, interface: str) -> str:
        return f"{self.url}/{self.party.party_id.lower()}/{interface.lower()}/v/{module}"

    async def behave(self, connection: RawConnection) -> None:
        while True:
            line, headers, body = await connection.request()
            method, target, _ = line.split(" ")
            seen = Seen(method, target, headers, body)
            self.seen.append(seen)
            answered = self.answer(seen)
            if isinstance(answered, Awaitable):
                answered = await answered
            if answered is None:
                return
            status, own, content = answered
            head = "".join(f"{name}: {value}\r\n" for name, value in own.items())
            await connection.send(
                f"HTTP/1.1 {status} X\r\nContent-Length: {len(content)}\r\n{head}\r\n".encode() + content
            )
            waiting = self.after(seen)
            if isinstance(waiting, Awaitable):
                await waiting


class Outage:
    """A database that is away while `away` is True."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.away = False

    @asynccontextmanager
    async def connection(self, deadline: float | None = None) -> AsyncIterator[Any]:
        if self.away:
            raise DatabaseAway("away")
        async with self._database.connection(deadline) as connection:
            yield connection

    @asynccontextmanager
    async def transaction(self, deadline: float | None = None) -> AsyncIterator[Any]:
        if self.away:
            raise DatabaseAway("away")
        async with self._database.transaction(deadline) as connection:
            yield connection


class FailingCommit(Outage):
    """While `away`, everything in a transaction works but its commit: it is rolled back, and that is told only then.

    Likewise for a statement that is its own transaction.
    """

    @asynccontextmanager
    async def connection(self, deadline: float | None = None) -> AsyncIterator[Any]:
        async with self.transaction(deadline) as connection:
            yield connection

    @asynccontextmanager
    async def transaction(self, deadline: float | None = None) -> AsyncIterator[Any]:
        async with self._database.connection(deadline) as connection:
            transaction = connection.transaction()
            await transaction.start()
            yield connection
            if self.away:
                await transaction.rollback()
                raise DatabaseAway("away at the commit")
            await transaction.commit()


class Book(AgreementBook):
    """Takes bare sets of modules for open ended agreements."""

    def replace(self, agreements: Mapping[Pair, Terms | frozenset[ModuleID]]) -> None:
        super().replace(
            {pair: given if isinstance(given, Terms) else Terms(given) for pair, given in agreements.items()}
        )


class OwnModules:
    async def answer(self, request: OcpiRequest, caller: Any) -> OcpiResponse:
        return success("own", now=NOW)


@dataclass
class Network:
    """The hub and what a test looks into."""

    port: int
    database: Database
    seen_database: Any
    """The database as the hub sees it: an Outage where a test asked for one."""
    directory: Directory
    objects: KeptObjects
    later: LaterWrites
    notes: LaterWrites
    tickets: Tickets
    keys: Keys
    policy: Book
    delivery: DeliveryWorker
    """Delivers only while a test runs it."""
    guaranteed: GuaranteedDelivery
    """Likewise."""
    cpo: Partner
    emsp: Partner
    reached: list[tuple[str, bool]]
    alarms: list[str]
    flagged: list[dict[str, Any]]
    """What was told to the operator's log."""
    time: list[datetime]
    traces: Traces
    writer: TraceWriter
    exposition: Exposition
    alarm_fields: list[dict[str, Any]]
    """What stands in each of the alarms."""

    @property
    def public_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def call(
        self,
        partner: Partner,
        method: str,
        target: str,
        body: bytes = b"",
        *,
        to: PartyId | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """One request of a partner to the hub; `target` is a path below /ocpi/2.2.1, or a whole URL of the hub."""
        path = target.removeprefix(self.public_url) if target.startswith("http") else f"/ocpi/2.2.1{target}"
        sent = {
            "Host": "hub",
            "Authorization": names.authorization(partner.token_for_us),
            "X-Request-ID": "req-1",
            "X-Correlation-ID": "corr-1",
            **names.routing_headers(to=to, sender=partner.party),
            **(headers or {}),
        }
        if body:
            sent |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
        head = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        async with connected(self.port) as connection:
            await connection.send(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body)
            return Answer(*await connection.answer(20))

    async def traced(self) -> list[dict[str, Any]]:
        """The traces of everything so far, in its order."""
        await self.writer.flush()
        return await self.rows("SELECT * FROM trace ORDER BY seq")

    async def rows(self, query: str, *arguments: Any) -> list[dict[str, Any]]:
        async with self.database.connection() as connection:
            return [dict(row) for row in await connection.fetch(query, *arguments)]


@asynccontextmanager
async def network(
    fresh: FreshDatabase,
    *,
    deadlines: Deadlines | None = None,
    policy: DefaultPolicy = DefaultPolicy.open,
    wrap: Callable[[Database], Any] = lambda database: database,
    fan_out: int = 0,
    admit: Callable[[Platform, bool], None] = lambda platform, prompt: None,
) -> AsyncIterator[Network]:
    """`wrap` may put something between the hub and its database (an outage); `fan_out` eMSPs are asked about unknown tokens;
    `admit` may refuse a request of a platform."""
    async with AsyncExitStack() as stack:
        pool = await open_pool(fresh.app_dsn, max_size=4, application_name="test")
        database = Database(pool)
        stack.push_async_callback(database.close)
        cpo, emsp = Partner(CPO, "CPO"), Partner(EMSP, "EMSP")
        for partner in (cpo, emsp):
            partner.port = await stack.enter_async_context(raw_server(partner.behave))
        keys = Keys.derived_from(b"k" * 32)
        for partner in (cpo, emsp):
            await register(database, keys, partner)
        client = await stack.enter_async_context(OcpiClient(allow_insecure=True))
        time, alarms, alarm_fields, flagged, reached = [NOW], [], [], [], []
        directory = Directory(database, keys, HUB, lambda: time[0])
        await directory.refresh()

        def report(platform: Platform, ok: bool) -> None:
            reached.append((platform.name, ok))

        def alarm(event: str, **fields: Any) -> None:
            alarms.append(event)
            alarm_fields.append(fields)

        door = DoorOut(client, deadlines=deadlines, report=report)
        edge = OcpiEdge(_nothing, _NotYet(), registry.MODULES, lambda: time[0])
        listening = await stack.enter_async_context(running(edge))
        seen_database = wrap(database)
        shared = {"database": seen_database, "clock": lambda: time[0]}
        url = f"http://127.0.0.1:{listening.port}"
        later = LaterWrites(seen_database, pause=timedelta(milliseconds=50))
        notes = LaterWrites(seen_database, pause=timedelta(milliseconds=50))
        traces = Traces(_Log(flagged))
        exposition = Exposition()
        writer = TraceWriter(
            traces=traces,
            database=seen_database,
            key=keys.pseudonym[0],
            clock=shared["clock"],
            counted=MessageCounts(exposition.registry).count,
        )
        objects = KeptObjects(**shared)
        batches = Batches(database=seen_database, objects=objects)
        passed = PassedObjects(batches=batches, objects=objects, later=later, clock=shared["clock"])
        book = Book()
        allowed = Policy(policy, book, lambda: time[0])
        tickets = Tickets(
            prompt=seen_database,
            door=door,
            directory=directory,
            policy=allowed,
            traces=traces,
            public_url=url,
            **shared,
        )
        journal = CdrJournal(
            later=later,
            alarm=alarm,
            public_url=url,
            guaranteed=allowed.guarantees,
            wake=lambda: guaranteed.wake(),
            **shared,
        )
        audience = Audience(directory, allowed)
        pushing = TracedDoor(client, traces, deadlines=deadlines, report=report)
        missed = MissedSessions(passed, database=seen_database, audience=audience, door=pushing)
        guaranteed = GuaranteedDelivery(
            database=seen_database,
            receivers=directory,
            door=pushing,
            journal=journal,
            sessions=missed,
            alarm=alarm,
            clock=shared["clock"],
        )
        route = PartyToPartyRoute(
            directory=directory,
            policy=allowed,
            door=door,
            tickets=tickets,
            cdrs=journal,
            objects=passed,
            sessions=OwnSessions(seen_database),
            notes=Notes(notes, shared["clock"]),
            missed=missed,
            traces=traces,
            public_url=url,
        )
        delivery = DeliveryWorker(
            store=PostgresStore(seen_database, open_to_all=allowed.open),
            audience=audience,
            door=pushing,
            alarm=alarm,
        )
        edge.handler = HubHandler(
            directory=directory,
            admit=admit,
            own_modules=OwnModules(),
            party_to_party=route,
            custom_modules=CustomModulesRoute(directory=directory, policy=allowed, door=door, traces=traces),
            broadcast_push=BroadcastPushRoute(
                hub_party=HUB,
                batches=batches,
                clock=lambda: time[0],
                traces=traces,
                told=delivery.told,
            ),
            get_all=GetAllRoute(
                directory=directory,
                policy=allowed,
                pages={None: Pages(seen_database), ModuleID.cdrs: Pages(seen_database, CdrShelves())},
                copies=Copies(seen_database),
                traces=traces,
                keys=keys,
                clock=lambda: time[0],
                public_url=url,
            ),
            open_routing=OpenRoutingRoute(
                directory=directory,
                route=route,
                owners=Owners(**shared),
                prompt_owners=Owners(**shared),
                fan_out=AuthorizeFanOut(directory=directory, route=route, most=fan_out, within=timedelta(seconds=1))
                if fan_out
                else None,
            ),
            tickets=tickets,
            traces=traces,
            seen=delivery.heard,
        )
        yield Network(
            listening.port,
            database,
            seen_database,
            directory,
            objects,
            later,
            notes,
            tickets,
            keys,
            book,
            delivery,
            guaranteed,
            cpo,
            emsp,
            reached,
            alarms,
            flagged,
            time,
            traces,
            writer,
            exposition,
            alarm_fields,
        )


async def register(
    database: Database, keys: Keys, partner: Partner, *, parties_of: list[tuple[PartyId, str]] | None = None
) -> None:
    """The rows a finished registration leaves."""
    partner.token_for_us = f"hubC_{partner.party.party_id}_token"
    partner.token_of_ours = f"token-of-{partner.party.party_id}"
    roles = parties_of or [(partner.party, partner.role)]
    interfaces = {
        (spec.id, endpoint.interface)
        for spec in registry.MODULES.values()
        for endpoint in spec.endpoints
        if spec.kind is Kind.FUNCTIONAL
    }
    async with database.transaction() as connection:
        await parties.add_platform(connection, partner.platform_id, partner.party.party_id, NOW)
        await parties.claim(connection, partner.platform_id, [tuple(party) for party, _ in roles])
        await parties.approve_roles(connection, partner.platform_id, [(*party, role) for party, role in roles], NOW)
        for party, role in roles:
            await parties.register_party(
                connection, partner.platform_id, parties.PartyEntry(*party, role, {"name": "X"})
            )
        await parties.store_registration(
            connection,
            partner.platform_id,
            version="2.2.1",
            versions_url=f"{partner.url}/versions",
            approved_host="127.0.0.1",
            outgoing_token=seal_token(keys, partner.platform_id, partner.token_of_ours),
            base64_learned=True,
            name=partner.party.party_id,
            now=NOW,
        )
        await parties.add_endpoints(
            connection,
            partner.platform_id,
            [(str(module), str(interface), partner.endpoint(module, interface)) for module, interface in interfaces],
        )
        mac = token_mac(keys.mac[0], partner.token_for_us)
        await parties.add_token(connection, mac, partner.platform_id, "C", NOW, retires_others=False)
        await parties.touch(connection, partner.platform_id)


class _NotYet:
    async def handle(self, request: OcpiRequest) -> OcpiResponse:
        raise AssertionError("the hub is not built yet")


class _Log:
    def __init__(self, lines: list[dict[str, Any]]) -> None:
        self._lines = lines

    def warning(self, event: str, **fields: Any) -> None:
        self._lines.append({"event": event, **fields})


async def _nothing(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})


async def eventually(condition: Callable[[], Any], seconds: float = 5) -> None:
    """Wait until the condition holds."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)
