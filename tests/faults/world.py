"""A world to break: a PostgreSQL of its own, hub processes that a supervisor restarts, a CPO, and receivers with raw logs.

Everything random comes from one seed. Requests go to any of the hub's processes, each on a connection of its own, as behind a
balancer; what was not acknowledged is sent again, as a partner would.
"""

import asyncio
import base64
import contextlib
import random
import signal
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hub.db.embedded import EmbeddedPostgres, open_embedded
from hub.db.engine import Database, open_pool
from hub.registration.invitations import invite
from ocpi_modules import envelope, headers, json
from ocpi_modules.http.failures import SendFailed
from ocpi_modules.message import PartyId
from ocpi_modules.secrets import Keys
from ocpi_modules.spec import Role
from tests.faults.history import History
from tests.support.faultproxy import FaultProxy
from tests.support.hub_process import SECRET_KEY, HubProcess
from tests.support.party import Party
from tests.support.postgres import migrate_hub_template

HUB, CPO, EMSP, NSP = PartyId("NL", "HUB"), PartyId("NL", "ABC"), PartyId("DE", "XYZ"), PartyId("FR", "NSP")
SETTINGS = {"fsync": "off", "max_connections": "100"}
"""Commits are durable against the death of PostgreSQL, which is what is killed here; the machine lives on."""
PATIENCE = 60.0
REQUEST_SECONDS = 15.0


@dataclass
class World:
    folder: Path
    seed: int
    postgres: EmbeddedPostgres
    hubs: list[HubProcess]
    cpo: Party
    emsp: Party
    nsp: Party
    stack: contextlib.AsyncExitStack
    """Ends what a scenario starts."""
    proxy: FaultProxy
    """Between the hub and the eMSP."""
    chance: random.Random
    history: History = field(default_factory=History)
    restarts: int = 0
    notes: dict[str, Any] = field(default_factory=dict)
    """Figures a scenario wants to be read."""
    more: list[Party] = field(default_factory=list)

    @property
    def receivers(self) -> list[Party]:
        return [self.emsp, self.nsp, *self.more]

    async def join(self, role: str, party: str) -> FaultProxy:
        """One more receiver, behind a proxy of its own."""
        partner = await self.stack.enter_async_context(Party.running((role, party)))
        proxy = await self.stack.enter_async_context(FaultProxy.running(int(partner.url.rpartition(":")[2])))
        partner.url = f"http://127.0.0.1:{proxy.port}"
        token = await self._invite(Role(role), PartyId.of(*party.split("/")))
        answer = await partner.register(self.hubs[0].versions_url, token)
        assert answer.http_status == 200, answer.body
        self.more.append(partner)
        return proxy

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

    async def send(self, method: str, module: str, path: str, body: bytes, to: PartyId | None = None) -> int:
        """One request of the CPO to any process; the OCPI status, 0 when there was no answer."""
        url = self._anywhere(self.cpo.hub_endpoints[module, "RECEIVER"] + path)
        began = time.monotonic()
        http_status = status_code = 0
        try:
            extra = headers.routing_headers(to=to, sender=CPO)
            answer = await self.cpo.call(method, url, self.cpo.hub_token, body, extra, deadline=REQUEST_SECONDS)
            content = envelope.read(answer.body)
            http_status, status_code = answer.http_status, content.status_code if content else -1
        except SendFailed:
            pass
        self.history.answered(module, http_status, status_code, time.monotonic() - began)
        return status_code

    def _anywhere(self, url: str) -> str:
        hub = self.chance.choice(self.hubs)
        return hub.url + url[url.index("/", len("http://")) :]

    # Faults

    def kill(self, hub: HubProcess, number: signal.Signals = signal.SIGKILL) -> None:
        """A signal to one process; `restart` brings it back."""
        with contextlib.suppress(ProcessLookupError):
            hub.process.send_signal(number)

    async def restart(self, hub: HubProcess) -> None:
        """What a supervisor does: start it again, wait until it serves."""
        await asyncio.to_thread(hub.process.wait, 30)
        hub.log.write_bytes(b"")
        hub.start()
        self.restarts += 1
        await eventually(lambda: hub.says("The hub serves") or hub.process.poll() is not None)
        assert hub.process.poll() is None, hub.log.read_text()


async def eventually(true: Callable[[], Any], seconds: float = PATIENCE, what: str = "this") -> None:
    """Raises AssertionError with `what` when it does not become true in time."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen within {seconds:g} s")
        await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def running_world(folder: Path, seed: int, *, processes: int = 2) -> AsyncIterator[World]:
    """Hub processes side by side on one database, three partners registered."""
    async with contextlib.AsyncExitStack() as stack:
        postgres = stack.enter_context(open_embedded(folder / "postgres", SETTINGS))
        await asyncio.to_thread(migrate_hub_template, postgres)
        hubs = [_hub(folder / f"hub{number}", postgres) for number in range(processes)]
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
            await eventually(lambda hub=hub: hub.says("The hub serves"))  # type: ignore[misc]
        for party, role in ((cpo, "CPO:NL/ABC"), (emsp, "EMSP:DE/XYZ"), (nsp, "NSP:FR/NSP")):
            token = await asyncio.to_thread(hubs[0].invite, role)
            answer = await party.register(hubs[0].versions_url, token)
            assert answer.http_status == 200, answer.body
        yield World(folder, seed, postgres, hubs, cpo, emsp, nsp, stack, proxy, random.Random(seed))


def _hub(folder: Path, postgres: EmbeddedPostgres) -> HubProcess:
    folder.mkdir()
    urls = postgres.dsn("hub_template", "hub_app"), postgres.dsn("hub_template", "hub_owner")
    return HubProcess(folder, *urls, HUB_DEFAULT_POLICY="open")


def _end(hub: HubProcess) -> None:
    with contextlib.suppress(ProcessLookupError):
        hub.process.send_signal(signal.SIGCONT)
    hub.stop(signal.SIGKILL)


def document(body: bytes) -> Any:
    return json.decode(body)
