"""The adapter, built by hand once: chargers above, a hub below, the database between them.

Listener (OCPP) -> StoredFacts -> Transactions -> Settler -> Pusher -> hub
hub -> OcpiEdge -> AdapterHandler -> Commander -> RemoteChargers -> Listener (OCPP)
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

from fastapi import FastAPI, Response

from cpo_adapter import config
from cpo_adapter.chargers import ChargerBook
from cpo_adapter.charging.events import StatusReported
from cpo_adapter.charging.stored import load
from cpo_adapter.config import Place
from cpo_adapter.csms.remote import RemoteChargers
from cpo_adapter.csms.socket import Listener, ListenerSettings
from cpo_adapter.csms.tls import Tls
from cpo_adapter.facts import StoredFacts
from cpo_adapter.held import HeldCharges
from cpo_adapter.lookups import TokenLookups
from cpo_adapter.loops import Loop
from cpo_adapter.party.authorize import Authorizer
from cpo_adapter.party.commands import TIMEOUT_SECONDS, Commander, PlaceState
from cpo_adapter.party.credentials import CredentialsDesk
from cpo_adapter.party.handler import AdapterHandler
from cpo_adapter.party.join import Registrar
from cpo_adapter.party.kept_tokens import KeptTokens
from cpo_adapter.party.link import HubLink
from cpo_adapter.party.meeting import Meeting
from cpo_adapter.party.neighbours import Neighbours
from cpo_adapter.party.publish import Publisher
from cpo_adapter.party.push import Pusher
from cpo_adapter.settings import Settings
from cpo_adapter.settle import Pace, Settler
from cpo_adapter.statuses import Statuses
from cpo_adapter.storage import charger_repository, registration_repository
from cpo_adapter.storage.engine import Database, DatabaseAway
from cpo_adapter.transactions import Transactions
from ocpi_modules.http.client import OcpiClient
from ocpi_modules.http.server import OcpiEdge
from ocpi_modules.message import Clock, PartyId
from ocpi_modules.registry import MODULES
from ocpi_modules.secrets import Keys, derive_key

LOOKUP_SECONDS = 10
CERTIFICATE_SECONDS = 60
"""How often the files are looked at: whoever renews certificates restarts nobody."""


@dataclass
class Adapter:
    """Everything that runs; made by `create_adapter`."""

    settings: Settings
    clock: Clock
    database: Database
    client: OcpiClient
    book: ChargerBook
    held: HeldCharges
    lookups: TokenLookups
    transactions: Transactions
    statuses: Statuses
    status_changed: asyncio.Event
    publisher: Publisher
    settler: Settler
    pusher: Pusher
    commander: Commander
    meeting: Meeting
    registrar: Registrar
    ocpp: Listener
    ocpi: OcpiEdge
    tls: Tls | None

    async def publish(self) -> None:
        """EVSE statuses may have changed."""
        if await self.publisher.publish(lambda: self.statuses.now(self.clock())):
            self.pusher.due.set()

    async def recall(self) -> None:
        """What a restart must not lose: unfinished transactions and the last statuses. Raises DatabaseAway."""
        await self.transactions.load()
        async with self.database.connection() as connection:
            rows = await charger_repository.connector_statuses(connection)
        for row in rows:
            fact = load(row["body"])
            assert isinstance(fact, StatusReported)
            self.statuses.report(fact)
        await self.publish()

    def loops(self) -> list[Loop]:
        """Everything that runs beside the listeners, in one list: what, how often, and what wakes it."""
        return [
            Loop("settle", self.settler.settle_due, 0.5, self.transactions.changed),
            Loop("look up tokens", self.lookups.look_up_due, LOOKUP_SECONDS),
            Loop("push", self.pusher.push_due, 0.5, self.pusher.due),
            Loop("commands", self.commander.post_due, 1, self.commander.due),
            Loop("publish", self.publish, 5, self.status_changed, rest=0.1),
            Loop("meet", self.meeting.meet_when_due, 1),
            *([Loop("certificate", self.tls.renew, CERTIFICATE_SECONDS)] if self.tls else []),
        ]

    async def close(self) -> None:
        await self.pusher.close()
        await self.commander.close()
        await self.client.close()
        await self.database.close()


async def create_adapter(settings: Settings, clock: Clock) -> Adapter:
    """Build everything; nothing listens yet. Raises ConfigError, DatabaseAway."""
    party = PartyId.of(settings.country_code, settings.party_id)
    assert settings.config is not None
    site = config.load(settings.config, party)
    secret = settings.secret_key.get_secret_value()
    keys = Keys.derived_from(secret)
    database = await Database.open(settings.database_url)
    client = OcpiClient(allow_insecure=settings.allow_insecure)
    book = ChargerBook(database, derive_key(secret, "charger passwords"), clock)
    link = HubLink(database, keys, client, party)
    registrar = Registrar(database, keys, link, site, settings.url, clock)
    authorizer = Authorizer(database, link, site, clock)
    transactions = Transactions(database)
    lookups = TokenLookups(database, authorizer, transactions, clock)
    statuses = Statuses(site, clock())
    publisher = Publisher(database, site, clock)
    neighbours = Neighbours(database, link, publisher, clock)
    session_pace = timedelta(seconds=settings.session_seconds)
    pusher = Pusher(database, link, clock, session_pace)
    meeting = Meeting(link, registrar, neighbours, pusher.due.set, clock)
    pace = Pace(session_pace, timedelta(seconds=settings.settle_seconds))
    settler = Settler(database, transactions, party, pace, pusher.due.set, clock)
    status_changed = asyncio.Event()
    number_key = derive_key(secret, "transaction numbers")
    stored = StoredFacts(
        database, book, site, authorizer, transactions, statuses, number_key, status_changed.set, clock
    )
    listening = ListenerSettings(settings.ocpp_host, settings.ocpp_port, assume_ocpp16=site.assume_ocpp16)
    certificate, key = settings.ocpp_certificate, settings.ocpp_key
    tls = Tls(certificate, key) if certificate and key else None
    ocpp = Listener(stored, clock, listening, tls.context if tls else None)
    chargers = RemoteChargers(ocpp.registry, TIMEOUT_SECONDS - 5)
    commander = Commander(
        database, link, chargers, authorizer, site, lambda place: _state_of(place, transactions, statuses), clock
    )
    desk = CredentialsDesk(database, registrar, link, clock)
    tokens = KeptTokens(database, link, clock)
    handler = AdapterHandler(database, party, settings.url, desk, tokens, commander, neighbours, clock)
    ocpi = OcpiEdge(_health(database), handler, MODULES, clock)
    return Adapter(
        settings, clock, database, client, book, HeldCharges(database), lookups, transactions, statuses, status_changed,
        publisher, settler, pusher, commander, meeting, registrar, ocpp, ocpi, tls,
    )  # fmt: skip


@contextlib.asynccontextmanager
async def working(adapter: Adapter) -> AsyncIterator[Adapter]:
    """Recall, take chargers, run the loops; at the end stop in the other order.

    Raises OSError, DatabaseAway, CertificateUnusable.
    """
    try:
        if adapter.tls:
            adapter.tls.load()
        await adapter.recall()
        async with adapter.ocpp:
            running = [asyncio.create_task(loop.run(), name=loop.name) for loop in adapter.loops()]
            try:
                yield adapter
            finally:
                for task in running:
                    task.cancel()
                await asyncio.gather(*running, return_exceptions=True)
    finally:
        await adapter.close()


def _state_of(place: Place, transactions: Transactions, statuses: Statuses) -> PlaceState:
    """What a command must know of a place before and after it is tried."""
    if transactions.open_on(place.charger_key, place.connector_id) is not None:
        return PlaceState.OCCUPIED
    broken = statuses.of(place) in ("OUTOFORDER", "INOPERATIVE")
    return PlaceState.INOPERATIVE if broken else PlaceState.FREE


def _health(database: Database) -> FastAPI:
    """/livez: the process runs. /readyz: it can store."""
    app = FastAPI(title="CPO adapter", docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/livez")
    async def livez() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz")
    async def readyz(response: Response) -> dict[str, str]:
        try:
            async with database.connection() as connection:
                await registration_repository.registration(connection)
        except DatabaseAway:
            response.status_code = 503
            return {"status": "the database is away"}
        return {"status": "ok"}

    return app
