"""A hub's registration side in process: real sockets, a real PostgreSQL; functional modules only say who called."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from hub.agreements.book import keep_up_to_date
from hub.agreements.policy import AgreementBook, DefaultPolicy, Policy
from hub.agreements.turns import Turns
from hub.clientinfo.announcements import Announcements
from hub.clientinfo.pushes import Pushes
from hub.clientinfo.status import ClientInfoStatus
from hub.db.engine import Database, open_pool
from hub.own_modules import OwnModules
from hub.parties.directory import CONFIGURATION, Directory
from hub.registration.handshake import HubIdentity, Registration
from hub.registration.invitations import invite
from ocpi_modules import envelope
from ocpi_modules.http.client import OcpiClient
from ocpi_modules.http.listener import running
from ocpi_modules.http.paths import versions_url
from ocpi_modules.http.server import OcpiEdge
from ocpi_modules.message import OcpiRequest, OcpiResponse, PartyId
from ocpi_modules.registry import MODULES
from ocpi_modules.secrets import Keys
from ocpi_modules.spec import Role

HUB = PartyId("NL", "HUB")
KEYS = Keys.derived_from(b"0123456789abcdef0123456789abcdef")


class Clock:
    """Real time, which a test may push forward."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass
class SmallHub:
    """Implements Handler: authenticates, answers its own modules, and tells callers of other modules who they are."""

    database: Database
    directory: Directory
    client: OcpiClient
    clock: Clock
    default_policy: DefaultPolicy = DefaultPolicy.open
    url: str = ""
    alarms: list[str] = field(default_factory=list)
    book: AgreementBook = field(default_factory=AgreementBook)

    def wire(self, url: str) -> None:
        """What needs the public URL, which is known once the socket is."""
        self.url = url
        identity = HubIdentity(HUB, url, {"name": "Hub", "website": url})
        self.status = ClientInfoStatus(
            self.database, self.directory, self.clock, lambda event, **fields: self.alarms.append(event)
        )
        self.announcements = Announcements(
            database=self.database,
            directory=self.directory,
            policy=Policy(self.default_policy, self.book, self.clock),
            turns=Turns(self.book),
            suspicion=self.status.suspicion,
            pushes=Pushes(self.database, self.directory, self.client, self.status, self.clock),
            clock=self.clock,
        )
        self.registration = Registration(self.database, self.directory, self.client, KEYS, self.clock, identity)
        self.own_modules = OwnModules(self.directory, self.registration, self.announcements, url, self.clock)

    async def handle(self, request: OcpiRequest) -> OcpiResponse:
        caller = await self.directory.authenticate(request)
        self.status.seen(caller.platform)
        if request.module in CONFIGURATION:
            return await self.own_modules.answer(request, caller)
        who = {"platform": str(caller.platform.id), "party": str(caller.party)}
        return envelope.success(who, now=self.clock())

    @property
    def versions_url(self) -> str:
        return versions_url(self.url)

    async def invite(self, *roles: tuple[str, str], expires: timedelta = timedelta(days=7)) -> str:
        """A Token A for roles like ("CPO", "NL/ABC")."""
        token, _ = await invite(self.database, KEYS, self.clock, self.url, HUB, parties(roles), expires=expires)
        return token


def parties(roles: Sequence[tuple[str, str]]) -> list[tuple[Role, PartyId]]:
    return [(Role(role), PartyId.of(*party.split("/"))) for role, party in roles]


@contextlib.asynccontextmanager
async def opened(dsn: str) -> AsyncIterator[Database]:
    """A pool of its own, as another process would have it."""
    database = Database(await open_pool(dsn, application_name="test", max_size=4))
    try:
        yield database
    finally:
        await database.close()


@contextlib.asynccontextmanager
async def small_hub(
    dsn: str, default_policy: DefaultPolicy = DefaultPolicy.open, clock: Clock | None = None
) -> AsyncIterator[SmallHub]:
    """A listening hub on this database."""
    clock = clock or Clock()
    async with opened(dsn) as database, OcpiClient(allow_insecure=True) as client:
        hub = SmallHub(database, Directory(database, KEYS, HUB, clock), client, clock, default_policy)
        edge = OcpiEdge(_nothing, hub, MODULES, clock)
        async with running(edge) as listening:
            hub.wire(listening.url)
            yield hub


async def _nothing(scope: Any, receive: Any, send: Any) -> None:
    """Nothing but OCPI: only the server's own start and stop are answered."""
    while scope["type"] == "lifespan":
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return


@contextlib.asynccontextmanager
async def announcing(*hubs: SmallHub) -> AsyncIterator[None]:
    """The background work of the hubs' clientinfo, and of their memory, while the block lasts."""
    loops = [
        loop()
        for hub in hubs
        for loop in (
            hub.status.run,
            hub.announcements.run,
            hub.directory.watch,
            partial(keep_up_to_date, hub.book, hub.database),
        )
    ]
    tasks = [asyncio.create_task(loop) for loop in loops]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
