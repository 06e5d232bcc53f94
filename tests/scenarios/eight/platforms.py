"""The eight platforms: what they are, how they registered, and what stands in their logs. They see the hub from outside only."""

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from hub import settings as hub_settings
from hub.db.engine import Database, open_pool
from hub.registration.invitations import invite
from ocpi_modules import headers as names
from ocpi_modules import json
from ocpi_modules.http.paths import custom_endpoint_url
from ocpi_modules.message import OcpiRequest, OcpiResponse, PartyId
from ocpi_modules.spec import InterfaceRole
from ocpi_modules.spec import Role as OcpiRole
from tests.scenarios.conftest import Answer
from tests.support import objects
from tests.support.hub_process import HubProcess
from tests.support.party import Party, Received
from tests.support.raw_http import RawConnection, raw_server

HUB = PartyId("NL", "HUB")
DUO, QUI = PartyId("FR", "DUO"), PartyId("NL", "QUI")
AAA, BBB, CCC = PartyId("DE", "AAA"), PartyId("DE", "BBB"), PartyId("DE", "CCC")
NSP, OTH, OFF = PartyId("NL", "NSP"), PartyId("BE", "OTH"), PartyId("AT", "OFF")
RAW, SLO = PartyId("CH", "RAW"), PartyId("SE", "SLO")
CUSTOM = "nlqui-parking"
"""A custom module that the platform with three parties and the quiet one list, and nobody else."""
SLOW_SECONDS = 0.3
PATIENCE_SECONDS = 20.0
_numbers = itertools.count(1)


@dataclass
class Eight:
    """The hub and its platforms, each named by what is special about it."""

    hub: HubProcess
    workers: int
    duo: Party
    """One party that is CPO and eMSP."""
    three: Party
    """Three eMSPs on one platform."""
    nsp: Party
    other: Party
    raw: Party
    """An eMSP that sends its token without Base64, and understands no other."""
    quiet: Party
    """A CPO that writes no routing headers, neither in requests nor in answers."""
    slow: Party
    """An eMSP whose every answer takes a while; `hold` makes it wait for longer."""
    away: list[str]
    """The eMSP that is offline: the request lines that reached its address since then."""
    hold: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def here(self) -> list[Party]:
        """The seven that can be reached."""
        return [self.duo, self.three, self.nsp, self.other, self.raw, self.quiet, self.slow]

    async def call(
        self,
        party: Party,
        method: str,
        module: str,
        interface: str,
        path: str = "",
        body: Any = b"",
        *,
        to: PartyId | None = None,
        sender: PartyId | None = None,
        query: str = "",
        extra: Mapping[str, str] | None = None,
    ) -> Answer:
        """A call to the hub as the platform makes it: the quiet one names a receiver where it must, and never itself."""
        quiet = party is self.quiet
        more = dict(extra or {}) | (names.routing_headers(to=to, sender=None) if quiet else {})
        answer = await party.send(
            method,
            module,
            interface,
            path,
            body,
            to=None if quiet else to,
            sender=sender,
            routed=not quiet,
            query=query,
            extra=more,
        )
        return Answer.of(answer)


def fresh(kind: str) -> str:
    """An id no other test uses."""
    return f"{kind}{next(_numbers)}-{os.getpid()}"


def location(owner: PartyId, id: str, **fields: Any) -> bytes:
    """A Location with hostile spelling, which nobody on the way may tidy up."""
    own = {"country_code": owner.country_code, "party_id": owner.party_id, "id": id, **fields}
    body = json.encode(objects.location(**own))
    return body[:-1] + b' , "x_odd" :\t[1.10, 1E2, "\\u00e9"]}'


def at(owner: PartyId, id: str) -> str:
    return f"/{owner.country_code}/{owner.party_id}/{id}"


def got(party: Party, id: str) -> list[Received]:
    """What arrived at a platform about this object."""
    return [item for item in party.log if id in item.raw_path]


def pair(answer: Answer) -> tuple[str, str]:
    """(to, from) of an answer, as `NL*ABC`."""
    found = answer.headers
    return (
        f"{found.get('ocpi-to-country-code')}*{found.get('ocpi-to-party-id')}",
        f"{found.get('ocpi-from-country-code')}*{found.get('ocpi-from-party-id')}",
    )


async def until(condition: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


async def until_asked(condition: Callable[[], Awaitable[Any]], seconds: float = PATIENCE_SECONDS) -> None:
    """The same for what must be asked over the network."""
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.05)


@asynccontextmanager
async def eight_platforms(hub: HubProcess, workers: int) -> AsyncIterator[Eight]:
    async with AsyncExitStack() as stack:

        async def run(*roles: tuple[str, str], **options: Any) -> Party:
            return await stack.enter_async_context(Party.running(*roles, **options))

        duo = await run(("CPO", "FR/DUO"), ("EMSP", "FR/DUO"))
        three = await run(("EMSP", "DE/AAA"), ("EMSP", "DE/BBB"), ("EMSP", "DE/CCC"))
        nsp, other = await run(("NSP", "NL/NSP")), await run(("OTHER", "BE/OTH"))
        raw = await run(("EMSP", "CH/RAW"), raw_tokens=True, accepts="raw")
        quiet, slow = await run(("CPO", "NL/QUI")), await run(("EMSP", "SE/SLO"))
        for party in (three, quiet):
            party.endpoints = lambda listed, party=party: [*listed, *_custom_endpoints(party)]
        eight = Eight(hub, workers, duo, three, nsp, other, raw, quiet, slow, [])
        eight.hold.set()
        quiet.handle = _quietly(quiet.handle)  # type: ignore[method-assign]
        slow.handle = _slowly(slow.handle, eight.hold)  # type: ignore[method-assign]
        await _join(hub, eight.here[1:])
        token = duo.issue_token_a()
        known = ["--versions-url", duo.versions_url, "--party", "CPO:FR/DUO", "--party", "EMSP:FR/DUO"]
        await asyncio.to_thread(hub.json, "connect", *known, "--token-a-stdin", given=f"{token}\n")
        await duo.discover(hub.versions_url, duo.hub_token)
        for party in (three, quiet):  # what both list is shown to them now
            await party.discover(hub.versions_url, party.hub_token)
        await _lose(hub, eight, stack)
        yield eight


async def _join(hub: HubProcess, parties: list[Party]) -> None:
    """Registration as the platforms make it, each with an invitation of its own."""
    for party in parties:
        answer = await party.register(hub.versions_url, await invitation(hub, party))
        assert Answer.of(answer).status_code == 1000, answer.body


async def invitation(hub: HubProcess, party: Party) -> str:
    """A Token A, as `ocpi-hub invite` makes it, without the time a command takes to start."""
    settings = hub_settings.load({name: value for name, value in hub.environ.items() if name.startswith("HUB_")})
    roles = [(OcpiRole(role.role), role.party) for role in party.roles]
    database = Database(await open_pool(hub.environ["HUB_DATABASE_URL"], max_size=1, application_name="test"))
    try:
        token, _ = await invite(
            database, settings.keys, _now, settings.public_url, settings.hub_party, roles, expires=timedelta(days=1)
        )
    finally:
        await database.close()
    return token


async def _lose(hub: HubProcess, eight: Eight, stack: AsyncExitStack) -> None:
    """The eighth registers, goes away, and the hub finds out by messages that reach nobody."""
    async with Party.running(("EMSP", "AT/OFF")) as gone:
        await _join(hub, [gone])
        await _let_its_announcement_age(hub)
        port = int(gone.url.rpartition(":")[2])

    async def close_on_every_request(connection: RawConnection) -> None:
        line, _, _ = await connection.request()
        eight.away.append(line)

    await stack.enter_async_context(raw_server(close_on_every_request, port))

    async def is_offline() -> bool:
        await eight.call(eight.duo, "GET", "tokens", "SENDER", to=OFF)
        return await status_of(eight, OFF) == "OFFLINE"

    await until_asked(is_offline)
    await asyncio.sleep(1)  # until every worker has read it
    eight.away.clear()


async def _let_its_announcement_age(hub: HubProcess) -> None:
    """A change of a party is announced five minutes after the one before at the earliest (F-24); here they go by at once."""
    connection = await asyncpg.connect(hub.environ["HUB_DATABASE_URL"], timeout=5)
    try:
        await connection.execute(
            "UPDATE party SET announced_at = announced_at - interval '10 minutes' WHERE party_id = $1", OFF.party_id
        )
    finally:
        await connection.close()


async def status_of(eight: Eight, party: PartyId) -> str | None:
    """What HubClientInfo tells the CPO of a party."""
    answer = await eight.call(eight.duo, "GET", "hubclientinfo", "SENDER")
    return next((row["status"] for row in answer.data if (row["country_code"], row["party_id"]) == party), None)


def _custom_endpoints(party: Party) -> list[dict[str, str]]:
    return [
        {"identifier": CUSTOM, "role": role.value, "url": custom_endpoint_url(party.url, CUSTOM, role)}
        for role in InterfaceRole
    ]


Handle = Callable[[OcpiRequest], Awaitable[OcpiResponse]]


def _quietly(handle: Handle) -> Handle:
    async def without_routing_headers(request: OcpiRequest) -> OcpiResponse:
        response = await handle(request)
        kept = {name: value for name, value in response.headers.items() if not name.lower().startswith("ocpi-")}
        return OcpiResponse(response.http_status, response.body, kept)

    return without_routing_headers


def _slowly(handle: Handle, hold: asyncio.Event) -> Handle:
    async def after_a_while(request: OcpiRequest) -> OcpiResponse:
        if request.path:
            await asyncio.sleep(SLOW_SECONDS)
            await hold.wait()
        return await handle(request)

    return after_a_while


def _now() -> datetime:
    return datetime.now(UTC)
