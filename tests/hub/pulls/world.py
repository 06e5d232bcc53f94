"""A hub that pulls from a CPO (or eMSP) that is a plain socket with a list in pages."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from hub.db.engine import Database
from hub.delivery.send import DoorOut
from hub.objects.keep import KeptObjects
from hub.parties.directory import Directory
from hub.pulls import repository
from hub.pulls.crawl import Crawl
from hub.pulls.storing import Storing
from hub.pulls.worker import PullWorker
from ocpi_modules import json
from ocpi_modules.http.client import OcpiClient
from ocpi_modules.message import Clock
from tests.hub.network import Network, Partner, Seen, accepted, network
from tests.support import objects
from tests.support.postgres import FreshDatabase

LOCATIONS = "/receiver/locations/NL/CPO"


@dataclass
class Listing:
    """What a partner's Sender interface shows: `size` objects a page, whatever limit was asked for, with correct Links."""

    partner: Partner
    bodies: list[bytes] = field(default_factory=list)
    size: int = 2
    link: Callable[[int], str] | None = None
    """The Link to the page from this offset on; None for the right one."""
    no_link: bool = False
    total: int | None = None
    before: Callable[[int], Any] = lambda offset: None
    """Awaited before a page from this offset is answered; what it returns, but None, is the answer."""

    def __post_init__(self) -> None:
        self.partner.answer = self.answer

    async def answer(self, seen: Seen) -> Any:
        if seen.method != "GET":
            return accepted()
        offset = int(dict(parse_qsl(urlsplit(seen.target).query)).get("offset", 0))
        instead = self.before(offset)
        if asyncio.iscoroutine(instead):
            instead = await instead
        if instead is not None:
            return instead
        page = self.bodies[offset : offset + self.size]
        total = len(self.bodies) if self.total is None else self.total
        headers = {"X-Total-Count": str(total), "X-Limit": str(self.size)}
        after = offset + self.size
        if after < len(self.bodies) and not self.no_link:
            url = self.link(after) if self.link else f"{self.partner.url}{seen.target.partition('?')[0]}?offset={after}"
            headers["Link"] = f'<{url}>; rel="next"'
        tail = b'],"status_code":1000,"timestamp":"2026-03-01T12:00:00Z"}'
        return 200, headers, b'{"data":[' + b",".join(page) + tail

    @property
    def asked(self) -> list[dict[str, str]]:
        """The queries of the pages that were asked for."""
        gets = [seen for seen in self.partner.seen if seen.method == "GET"]
        return [dict(parse_qsl(urlsplit(seen.target).query)) for seen in gets]

    @property
    def offsets(self) -> list[int]:
        return [int(query.get("offset", 0)) for query in self.asked]


@dataclass
class World:
    net: Network
    worker: PullWorker
    listing: Listing

    async def want(self, module: str = "locations", party: str = "NL*CPO", **options: Any) -> None:
        async with self.net.database.transaction() as connection:
            await repository.want(connection, [party], [module], self.net.time[0], **{"by_hand": True, **options})

    async def pull(self, module: str = "locations", party: str = "NL*CPO", **options: Any) -> dict[str, Any]:
        """Ask for a run and wait for its end; the row as it is then."""
        await self.want(module, party, **options)
        async with running(self.worker.run):
            return await self.ended(module, party)

    async def row(self, module: str = "locations", party: str = "NL*CPO") -> dict[str, Any]:
        return (await self.net.rows("SELECT * FROM pull WHERE (party, module) = ($1, $2)", party, module))[0]

    async def ended(self, module: str = "locations", party: str = "NL*CPO") -> dict[str, Any]:
        async with asyncio.timeout(15):
            while True:
                row = await self.row(module, party)
                if row["wanted_at"] is None and row["state"] != "RUNNING":
                    return row
                await asyncio.sleep(0.02)

    async def kept(self) -> dict[str, bytes]:
        rows = await self.net.rows("SELECT key_folded, body FROM kept_object WHERE NOT deleted AND audience = '*'")
        return {row["key_folded"]: row["body"] for row in rows}

    async def changes(self) -> list[str]:
        return [row["key_folded"] for row in await self.net.rows("SELECT key_folded FROM change_log ORDER BY xid, seq")]


def pull_worker(
    database: Database, directory: Directory, client: OcpiClient, clock: Clock, **options: Any
) -> PullWorker:
    store = Storing(database, KeptObjects(database=database, clock=clock))
    crawl = Crawl(database=database, directory=directory, door=DoorOut(client), storing=store, clock=clock)
    return PullWorker(database=database, directory=directory, crawl=crawl, clock=clock, **options)


@asynccontextmanager
async def world(fresh: FreshDatabase, **options: Any) -> AsyncIterator[World]:
    async with network(fresh, **options) as net, OcpiClient(allow_insecure=True) as client:
        worker = pull_worker(net.database, net.directory, client, lambda: net.time[0])
        yield World(net, worker, Listing(net.cpo))


@asynccontextmanager
async def running(loop: Callable[[], Any]) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(loop())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def location(id: str, **fields: Any) -> bytes:
    own = {"country_code": "NL", "party_id": "CPO", "id": id, "last_updated": "2026-03-01T12:00:00Z"}
    return json.encode(objects.location(**own | fields))


def locations(count: int, **fields: Any) -> list[bytes]:
    return [location(f"L{number}", **fields) for number in range(count)]


def tariff(id: str, **fields: Any) -> bytes:
    own = {"country_code": "NL", "party_id": "CPO", "id": id, "last_updated": "2026-03-01T12:00:00Z"}
    return json.encode(objects.tariff(**own | fields))


def token(uid: str, **fields: Any) -> bytes:
    own = {"country_code": "DE", "party_id": "MSP", "uid": uid, "last_updated": "2026-03-01T12:00:00Z"}
    return json.encode(objects.token(**own | fields))


def statuses(body: bytes) -> Sequence[str]:
    return [evse["status"] for evse in json.decode(body)["evses"]]
