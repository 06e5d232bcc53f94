"""A world to break: a PostgreSQL of its own, hub processes that a supervisor restarts, a CPO, and receivers with raw logs.

Everything random comes from one seed. Requests go to any of the hub's processes, as behind a balancer; what was not acknowledged
is sent again, as a partner would.
"""

import asyncio
import base64
import contextlib
import random
import signal
import ssl
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg

from hub.db import postmaster
from hub.db.embedded import EmbeddedPostgres, open_embedded
from hub.db.engine import Database, DatabaseAway, open_pool
from hub.registration.invitations import invite
from ocpi_modules import envelope, headers, json
from ocpi_modules.http.failures import SendFailed
from ocpi_modules.message import PartyId
from ocpi_modules.secrets import Keys
from ocpi_modules.spec import Role
from tests.faults.history import History, Key
from tests.faults.hub import KeptHub
from tests.faults.nursery import Nursery
from tests.faults.states import Document
from tests.faults.witness import Witness
from tests.support.faultproxy import FaultProxy
from tests.support.hub_process import SECRET_KEY
from tests.support.party import Party
from tests.support.postgres import migrate_hub_template

HUB, CPO, EMSP, NSP = PartyId("NL", "HUB"), PartyId("NL", "ABC"), PartyId("DE", "XYZ"), PartyId("FR", "NSP")
SETTINGS = {"fsync": "off", "max_connections": "100"}
"""Commits are durable against the death of PostgreSQL, which is what is killed here; the machine lives on."""
TRUSTED = "trusted.pem"
"""Authorities the hubs trust besides the system's: a file of the world's folder, which may be missing."""
PATIENCE = 60.0
REQUEST_SECONDS = 15.0


@dataclass
class World:
    folder: Path
    seed: int
    postgres: EmbeddedPostgres
    hubs: list[KeptHub]
    cpo: Party
    emsp: Party
    nsp: Party
    stack: contextlib.AsyncExitStack
    """Ends what a scenario starts."""
    proxy: FaultProxy
    """Between the hub and the eMSP."""
    database_proxy: FaultProxy
    """Between the hubs and PostgreSQL, in scenarios that ask for it."""
    chance: random.Random
    history: History = field(default_factory=History)
    witnesses: dict[str, Witness] = field(default_factory=dict)
    """By party, of everybody who receives."""
    documents: dict[Key, Document | None] = field(default_factory=dict)
    """The senders' own objects that they change again and again; None for what they deleted."""
    restarts: int = 0
    ticks: int = 0
    """The senders' own time, one second each change."""
    failures_told: bool = False
    """Whether a traceback in the log is what this fault is to cause."""
    notes: dict[str, Any] = field(default_factory=dict)
    """Figures a scenario wants to be read."""
    more: list[Party] = field(default_factory=list)

    def __post_init__(self) -> None:
        for party in (self.cpo, self.emsp, self.nsp):
            self.witnesses[str(party.id)] = Witness(party)

    @property
    def canary(self) -> str:
        """Stands in every personal datum that is sent, and must stand in no log (C5)."""
        return f"CNRY{self.seed % 10**6:06}"

    def personal(self, *names: str) -> dict[str, str]:
        """Fields of a person that has not been heard of before."""
        self.ticks += 1
        given = {
            "uid": f"{self.canary}{self.ticks}",
            "contract_id": f"DE-XYZ-{self.canary}{self.ticks}",
            "visual_number": f"V{self.canary}{self.ticks}",
            "group_id": f"G{self.canary}",
        }
        return {name: value for name, value in given.items() if not names or name in names}

    def witness(self, party: Party) -> Witness:
        return self.witnesses[str(party.id)]

    async def join(
        self, role: str, party: str, host: str = "127.0.0.1", certificate: ssl.SSLContext | None = None
    ) -> FaultProxy:
        """One more receiver, behind a proxy of its own, over TLS if it has a certificate."""
        partner = await self.stack.enter_async_context(Party.running((role, party)))
        proxy = await self.stack.enter_async_context(
            FaultProxy.running(int(partner.url.rpartition(":")[2]), certificate)
        )
        partner.url = f"{'https' if certificate else 'http'}://{host}:{proxy.port}"
        witness = self.witnesses[str(partner.id)] = Witness(partner)
        token = await self._invited(Role(role), partner.id)
        answer = await partner.register(self.hubs[0].versions_url, token)
        assert answer.http_status == 200, answer.body
        witness.since = self.history.number
        self.more.append(partner)
        return proxy

    async def _invited(self, role: Role, party: PartyId) -> str:
        """A Token A; asked for again while PostgreSQL has no room or time for us."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return await self._invite(role, party)
            except DatabaseAway:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.2)

    async def _invite(self, role: Role, party: PartyId) -> str:
        """As the command, without a process of its own: there may be hundreds."""
        keys = Keys.derived_from(base64.b64decode(SECRET_KEY))
        pool = await open_pool(self.postgres.dsn("hub_template", "hub_app"), max_size=1, application_name="test")
        database = Database(pool)
        try:
            token, _ = await invite(
                database,
                keys,
                lambda: datetime.now(UTC),
                self.hubs[0].url,
                HUB,
                [(role, party)],
                expires=timedelta(days=1),
            )
        finally:
            await database.close()
        return token

    async def call_in(self, partner: Party) -> None:
        """The partner calls every process: what it is owed may be tried at once (Q-01)."""
        for hub in self.hubs:
            with contextlib.suppress(SendFailed):
                await partner.call("GET", hub.versions_url, partner.hub_token)

    async def send(
        self, partner: Party, method: str, module: str, path: str, body: bytes, to: PartyId | None = None
    ) -> int:
        """One request of a partner to any process; the OCPI status, 0 when there was no answer."""
        url = self._anywhere(partner.hub_endpoints[module, "RECEIVER"] + path)
        began = time.monotonic()
        http_status = status_code = 0
        try:
            extra = headers.routing_headers(to=to, sender=partner.id)
            answer = await partner.call(method, url, partner.hub_token, body, extra, deadline=REQUEST_SECONDS)
            content = envelope.read(answer.body)
            http_status, status_code = answer.http_status, content.status_code if content else -1
        except SendFailed:
            pass
        self.history.answered(module, http_status, status_code, time.monotonic() - began)
        return status_code

    def _anywhere(self, url: str) -> str:
        hub = self.chance.choice(self.hubs)
        return hub.url + url[url.index("/", len("http://")) :]

    async def service(self, seconds: float) -> float:
        """Wait until something more is acknowledged; after how many seconds that was. Raises AssertionError."""
        before, began = self.history.succeeded, time.monotonic()
        await eventually(lambda: self.history.succeeded > before, seconds, "service")
        return time.monotonic() - began

    # A supervisor's part

    async def restart(self, hub: KeptHub) -> None:
        """Start what we ended again, and wait until it serves."""
        await self.begin(hub)
        await eventually(lambda: hub.says("The hub serves") or hub.child.poll() is not None, what="a start")
        assert hub.child.poll() is None, hub.words()

    async def begin(self, hub: KeptHub) -> None:
        """Start what we ended again, not waited for. Raises AssertionError for what ended by itself (C7)."""
        await asyncio.to_thread(hub.child.wait, 30)
        assert hub.ended_as_told(), f"exit code {hub.child.returncode}: {hub.words()[-3000:]}"
        await asyncio.to_thread(hub.start)
        self.restarts += 1


async def eventually(
    true: Callable[[], Any],
    seconds: float = PATIENCE,
    what: str = "this",
    explain: Callable[[], str] = lambda: "",
) -> None:
    """Raises AssertionError with `what` when it does not become true in time, and what `explain` finds then."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen within {seconds:g} s {explain()}".rstrip())
        await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def running_world(
    folder: Path, seed: int, *, processes: int = 2, database_proxied: bool = False
) -> AsyncIterator[World]:
    """Hub processes side by side on one database, three partners registered."""
    async with contextlib.AsyncExitStack() as stack:
        postgres = stack.enter_context(open_embedded(folder / "postgres", SETTINGS))
        nursery = stack.enter_context(Nursery.running())
        await asyncio.to_thread(migrate_hub_template, postgres)
        database_proxy = await stack.enter_async_context(FaultProxy.running(_socket(postgres)))
        dsn = postgres.dsn("hub_template", "hub_app")
        if database_proxied:
            dsn = f"postgresql://hub_app@127.0.0.1:{database_proxy.port}/hub_template"
        settings = {"HUB_DEFAULT_POLICY": "open", "SSL_CERT_FILE": str(folder / TRUSTED)}
        hubs = [
            KeptHub(folder / f"hub{number}", nursery, dsn, postgres.dsn("hub_template", "hub_owner"), **settings)
            for number in range(processes)
        ]
        for hub in hubs:
            hub.environ["HUB_PUBLIC_URL"] = hubs[0].url
        cpo = await stack.enter_async_context(Party.running(("CPO", "NL/ABC")))
        emsp = await stack.enter_async_context(Party.running(("EMSP", "DE/XYZ")))
        nsp = await stack.enter_async_context(Party.running(("NSP", "FR/NSP")))
        proxy = await stack.enter_async_context(FaultProxy.running(int(emsp.url.rpartition(":")[2])))
        emsp.url = f"http://127.0.0.1:{proxy.port}"
        for hub in hubs:
            hub.start()
            stack.callback(_end, hub)
        for hub in hubs:
            await eventually(lambda hub=hub: hub.says("The hub serves"), what="a start")  # type: ignore[misc]
        world = World(folder, seed, postgres, hubs, cpo, emsp, nsp, stack, proxy, database_proxy, random.Random(seed))
        for party in (cpo, emsp, nsp):
            token = await world._invited(Role(party.roles[0].role), party.id)
            answer = await party.register(hubs[0].versions_url, token)
            assert answer.http_status == 200, answer.body
        yield world


def _socket(postgres: EmbeddedPostgres) -> Path:
    folder = (postgres.directory / "socket").read_text(encoding="utf-8").strip()
    return Path(folder) / f".s.PGSQL.{postmaster.PORT}"


def _end(hub: KeptHub) -> None:
    hub.tell(signal.SIGCONT)
    hub.stop(signal.SIGKILL)


def document(body: bytes) -> Any:
    return json.decode(body)


async def rows(world: World, query: str) -> list[dict[str, Any]]:
    connection = await asyncpg.connect(world.postgres.dsn("hub_template"), timeout=5)
    try:
        return [dict(row) for row in await connection.fetch(query)]
    finally:
        await connection.close()
