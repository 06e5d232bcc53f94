"""The hub of one process, built once, by hand, in order; `running_hub` starts what runs in the background and ends it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import structlog
from fastapi import FastAPI

from hub import telemetry
from hub.admin.health import health_routes
from hub.admin.lookout import Lookout
from hub.agreements import book as agreements
from hub.agreements.policy import AgreementBook, DefaultPolicy, Policy
from hub.agreements.turns import Turns
from hub.background import Background
from hub.clearing.guaranteed import GuaranteedDelivery
from hub.clearing.journal import CdrJournal
from hub.clearing.pages import CdrShelves
from hub.clientinfo.announcements import Announcements
from hub.clientinfo.pushes import Pushes
from hub.clientinfo.status import ClientInfoStatus
from hub.clientinfo.still_alive import StillAlive
from hub.db.engine import Database, open_pool
from hub.delivery.audience import Audience
from hub.delivery.beginnings import Beginnings
from hub.delivery.destinations import Fresh
from hub.delivery.missed import MissedSessions
from hub.delivery.send import DoorOut
from hub.delivery.store import PostgresStore
from hub.delivery.traced import TracedDoor
from hub.delivery.wakeups import Wakeups
from hub.delivery.worker import DeliveryWorker
from hub.handler import HubHandler
from hub.metrics.alarms import Alarms
from hub.metrics.exposition import Exposition
from hub.metrics.facts import Facts
from hub.metrics.messages import MessageCounts
from hub.metrics.routes import metrics_routes
from hub.metrics.vitals import Vitals
from hub.objects.batches import Batches
from hub.objects.copies import Copies
from hub.objects.keep import KeptObjects
from hub.objects.later import Carried, LaterWrites
from hub.objects.pages import Pages
from hub.objects.passed import PassedObjects
from hub.own_modules import OwnModules
from hub.parties.directory import Directory
from hub.parties.key_repository import SERVING
from hub.parties.platforms import Platform
from hub.parties.rate_limit import RateLimit
from hub.pulls.crawl import Crawl
from hub.pulls.storing import Storing
from hub.pulls.worker import PullWorker
from hub.registration.handshake import HubIdentity, Registration
from hub.registration.overdue import OverdueTokens
from hub.registration.renewals import Renewals
from hub.retention.job import Retention
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
from hub.settings import Settings
from hub.traces.record import TURNED_AWAY, Traces
from hub.traces.writer import MOST_ROWS, TraceWriter
from hub.watchdog import Watchdog
from ocpi_modules.custom import CUSTOM
from ocpi_modules.http.client import OcpiClient
from ocpi_modules.http.server import OcpiEdge
from ocpi_modules.message import Clock
from ocpi_modules.registry import MODULES
from ocpi_modules.spec import ModuleID

POOL_SIZE = 16
PROMPT_CONNECTIONS = 4
"""Of them, for what must not wait behind the rest."""
APPLICATION_ROLE = "ocpi_hub_app"
"""What migrations grant to; it may not change or delete a CDR (contracts 3, Roles)."""
_alarms = structlog.get_logger("hub.alarms")


@dataclass(frozen=True)
class Hub:
    """The two ASGI applications of a process, what runs behind them, and what the command line works with."""

    database: Database
    directory: Directory
    registration: Registration
    agreements: AgreementBook
    background: Background
    ocpi: OcpiEdge
    admin: FastAPI


@contextlib.asynccontextmanager
async def running_hub(
    settings: Settings, database_url: str, clock: Clock, *, background: bool = True, carried: Carried | None = None
) -> AsyncIterator[Hub]:
    """A hub whose memory is filled; `background=False` for commands that only use its objects. Raises DatabaseAway.

    `database_url` is that of the plain member role; the tables are up to date. `carried`: what the process' hub before this left
    to be written, and what this one leaves.
    """
    moved = asyncio.Event()
    pool = await open_pool(
        database_url,
        max_size=POOL_SIZE,
        application_name=f"{SERVING} {settings.keys.ids[0]}",
        role=APPLICATION_ROLE,
        moved=moved.set,
    )
    database = Database(pool, moved=moved, reserved=PROMPT_CONNECTIONS)
    client = OcpiClient(allow_insecure=settings.allow_insecure)
    hub = create_app(settings, database, client, clock, carried)
    try:
        await hub.directory.refresh()
        await agreements.read(hub.agreements, database)
        if background:
            hub.background.start()
        yield hub
    finally:
        await hub.background.stop()
        await client.close()
        await database.close()


def create_app(
    settings: Settings, database: Database, client: OcpiClient, clock: Clock, carried: Carried | None = None
) -> Hub:
    """Everything but the database and the client; nothing runs yet."""
    directory = Directory(database.prompt, settings.keys, settings.hub_party, clock)
    identity = HubIdentity(settings.hub_party, settings.public_url, _business_details(settings))
    registration = Registration(database, directory, client, settings.keys, clock, identity)
    exposition = Exposition()
    alarm = Alarms(exposition.registry, _alarms.error)
    status = ClientInfoStatus(database, directory, clock, alarm)
    book = AgreementBook()
    policy = Policy(DefaultPolicy(settings.default_policy), book, clock)
    announcements = Announcements(
        database=database,
        directory=directory,
        policy=policy,
        turns=Turns(book),
        suspicion=status.suspicion,
        pushes=Pushes(database, directory, client, status, clock),
        clock=clock,
    )

    def report(platform: Platform, reached: bool) -> None:
        (status.answered if reached else status.failed)(platform)

    door = DoorOut(client, report=report)
    traces = Traces()
    writer = TraceWriter(
        traces=traces,
        database=database,
        key=settings.keys.pseudonym[0],
        clock=clock,
        most_rows=MOST_ROWS if settings.trace_days else 0,
        counted=MessageCounts(exposition.registry).count,
    )
    tickets = Tickets(
        database=database,
        prompt=database.prompt,
        door=door,
        directory=directory,
        policy=policy,
        traces=traces,
        clock=clock,
        public_url=settings.public_url,
    )
    carried = carried or Carried()
    later = LaterWrites(database, waiting=carried.writes, moved=database.moved)
    notes = LaterWrites(database, waiting=carried.notes, moved=database.moved)
    objects = KeptObjects(database=database, clock=clock)
    batches = Batches(database=database, objects=objects)
    passed = PassedObjects(batches=batches, objects=objects, later=later, clock=clock)
    pushing = TracedDoor(client, traces, report=report)
    audience = Audience(directory, policy)
    missed = MissedSessions(passed, database=database, audience=audience, door=pushing)
    delivery = DeliveryWorker(
        store=PostgresStore(database, open_to_all=policy.open),
        audience=audience,
        door=pushing,
        alarm=alarm,
        moved=database.moved.is_set,
    )
    crawl = Crawl(database=database, directory=directory, door=door, storing=Storing(database, objects), clock=clock)
    pulls = PullWorker(database=database, directory=directory, crawl=crawl, clock=clock)

    redis = settings.redis_url
    wakeups = Wakeups(redis.get_secret_value(), settings.hub_party, delivery.wake) if redis else None

    def told(fresh: Fresh) -> None:
        delivery.told(fresh)
        pulls.told(fresh)
        if wakeups is not None:
            wakeups.hint()

    broadcast_push = BroadcastPushRoute(
        hub_party=settings.hub_party, batches=batches, clock=clock, traces=traces, told=told
    )
    journal = CdrJournal(
        database=database,
        clock=clock,
        public_url=settings.public_url,
        later=later,
        alarm=alarm,
        guaranteed=policy.guarantees,
        wake=lambda: guaranteed.wake(),
    )
    guaranteed = GuaranteedDelivery(
        database=database,
        receivers=directory,
        door=pushing,
        journal=journal,
        sessions=missed,
        alarm=alarm,
        clock=clock,
    )
    route = PartyToPartyRoute(
        directory=directory,
        policy=policy,
        door=door,
        tickets=tickets,
        cdrs=journal,
        notes=Notes(notes, clock),
        objects=passed,
        sessions=OwnSessions(database.prompt),
        missed=missed,
        traces=traces,
        public_url=settings.public_url,
    )
    own = OwnModules(directory, registration, announcements, settings.public_url, clock)
    get_all = GetAllRoute(
        directory=directory,
        policy=policy,
        pages={None: Pages(database), ModuleID.cdrs: Pages(database, CdrShelves())},
        copies=Copies(database),
        traces=traces,
        keys=settings.keys,
        clock=clock,
        public_url=settings.public_url,
    )
    most = settings.authorize_fan_out
    open_routing = OpenRoutingRoute(
        directory=directory,
        route=route,
        owners=Owners(database, clock),
        prompt_owners=Owners(database.prompt, clock),
        fan_out=AuthorizeFanOut(directory=directory, route=route, most=most) if most else None,
    )

    def seen(platform: Platform) -> None:
        status.seen(platform)
        delivery.heard(platform)
        guaranteed.heard(platform)

    handler = HubHandler(
        directory=directory,
        own_modules=own,
        party_to_party=route,
        custom_modules=CustomModulesRoute(directory=directory, policy=policy, door=door, traces=traces),
        broadcast_push=broadcast_push,
        get_all=get_all,
        open_routing=open_routing,
        tickets=tickets,
        traces=traces,
        seen=seen,
        admit=RateLimit(settings.requests_per_second).check,
    )
    retention = Retention(database, clock, trace_days=settings.trace_days, cdr_years=settings.cdr_years)
    watchdog = Watchdog()
    background = Background(
        {
            "watchdog": watchdog.run,
            "directory": directory.watch,
            "agreements": lambda: agreements.keep_up_to_date(book, database),
            "connections": status.run,
            "client info": announcements.run,
            "still alive": StillAlive(directory, client, status, clock).run,
            "later writes": later.run,
            "notes": notes.run,
            "delivery": delivery.run,
            **({"wake-ups": wakeups.run} if wakeups is not None else {}),
            "beginnings": Beginnings(database, open_to_all=policy.open).run,
            "traces": writer.run,
            "retention": retention.run,
            "pulls": pulls.run,
            "guaranteed cdrs": guaranteed.run,
            "overdue tokens": OverdueTokens(database, directory, clock, alarm).run,
            "lookout": Lookout(database, clock, alarm=alarm, over=_alarms.info).run,
            "renewals": Renewals(database, directory, registration, settings.public_url).run,
            "vitals": lambda: vitals.run(),
        }
    )
    vitals = Vitals(
        exposition.registry,
        waiting={"later": later.__len__, "notes": notes.__len__, "traces": lambda: writer.waiting},
        failing=lambda: len(background.failing()),
        standstills=lambda: watchdog.standstills,
        lines_dropped=telemetry.dropped_lines,
        turned_away=traces.turned_away,
        reasons=TURNED_AWAY,
    )
    ocpi = OcpiEdge(
        FastAPI(docs_url=None, redoc_url=None, openapi_url=None), handler, {**MODULES, CUSTOM.id: CUSTOM}, clock
    )

    def warnings() -> list[str]:
        """What an operator should know although the process serves."""
        dropped = [f"{writer.dropped} traces were dropped."] if writer.dropped else []
        if lines := telemetry.dropped_lines():
            dropped.append(f"{lines} lines of the log could not be written; is there room where it goes?")
        findings = (status.suspicion.finding(), wakeups.finding if wakeups is not None else None)
        return dropped + [finding for finding in findings if finding]

    admin = _admin_app(database, background, watchdog, warnings)
    admin.include_router(metrics_routes(exposition, Facts(database.prompt)))
    return Hub(database, directory, registration, book, background, ocpi, admin)


def _admin_app(
    database: Database, background: Background, watchdog: Watchdog, warnings: Callable[[], list[str]]
) -> FastAPI:
    def troubles() -> list[str]:
        failing = [f"The loop {name} fails; the log says why." for name in background.failing()]
        return failing + watchdog.findings()

    app = FastAPI(title="ocpi-hub admin", docs_url=None, redoc_url=None)
    app.include_router(health_routes(database, troubles, warnings))
    return app


def _business_details(settings: Settings) -> dict[str, Any]:
    details: dict[str, Any] = {"name": settings.name}
    if settings.website:
        details["website"] = settings.website
    if settings.logo:
        details["logo"] = {"url": settings.logo, "category": "OPERATOR", "type": settings.logo.rpartition(".")[2]}
    return details
