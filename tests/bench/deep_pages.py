"""B-6: a page of 100 Locations deep in a list of a million, asked cold by its offset and reached by a Link.

Counted is the CPU time of this process and of its PostgreSQL backend, so that a busy machine changes little. The other side is
the first page of the same list, and, for the bare offset, plain OFFSET. What the total costs is the difference between the
statement that reads a page with the counters and the one that reads it without.
"""

import asyncio
import os
import random
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence

from hub.db.engine import Database, open_pool
from hub.objects import page_repository
from hub.objects.page_repository import ONE_AUDIENCE, Spot, Start
from hub.objects.pages import Asking, Key, Pages
from ocpi_modules.message import PartyId
from ocpi_modules.paging import PageRequest
from ocpi_modules.spec import ModuleID
from tests.bench import store
from tests.bench.rounds import Line, cpu_seconds, interleaved, pin

LOCATIONS, DEEP, REPEATS = 1_000_000, 900_000, 300
VIEWER = PartyId("DE", "MSP")
PLAIN = (
    "SELECT body FROM kept_object WHERE owner = $1 AND module = $2 AND audience = '*' AND listed "
    "ORDER BY created_seq OFFSET $3 LIMIT 100"
)
Bodies = bytes


def run() -> Iterator[Line]:
    with store.server() as server:
        pin(0, server.pid)
        pin(1)
        figures = asyncio.run(measure(server))
    first, unit = figures["first"], "CPU us a page"
    yield Line("B-6 cold", figures["cold"], first, unit, 1.5, lower_is_better=True)
    yield Line("B-6 link", figures["link"], first, unit, 1.05, lower_is_better=True)
    counting = figures["counted"] - figures["uncounted"]
    yield Line("B-6 total", counting, first, unit, 0.15, lower_is_better=True)
    yield Line("B-6 plain OFFSET", figures["cold"], figures["plain"], unit, 0.01, lower_is_better=True)


async def measure(server: store.EmbeddedPostgres) -> dict[str, float]:
    chance = random.Random(1)
    async with store.filled(server, LOCATIONS) as fresh:
        database = Database(await open_pool(fresh.app_dsn, max_size=1, application_name="bench"))
        pages = Pages(database)
        async with database.connection() as only:
            used_by = (os.getpid(), only.get_server_pid())

        async def by_offset(offset: int) -> Bodies:
            return await _read(pages, offset, None)

        async def by_link(offset: int) -> Bodies:
            return await _read(pages, offset, Key("NL*CPO", offset))

        async def uncounted(offset: int) -> Bodies:
            spot = Spot(ONE_AUDIENCE, ("NL*CPO", "locations", "*"), Start.by_the_map(offset))
            async with database.connection() as connection:
                return (await page_repository.chunk(connection, spot, 100)).bodies

        async def counted(offset: int) -> Bodies:
            spot = Spot(ONE_AUDIENCE, ("NL*CPO", "locations", "*"), Start.by_the_map(offset))
            async with database.connection() as connection:
                seen = ["*", str(VIEWER)]
                counters, chunk = await page_repository.counters_and_chunk(connection, seen, "", spot, 100)
            assert [counter.listed for counter in counters] == [LOCATIONS]
            return chunk.bodies

        async def plain(offset: int) -> Bodies:
            async with database.connection() as connection:
                rows = await connection.fetch(PLAIN, "NL*CPO", "locations", offset)
            return b",".join(row["body"] for row in rows)

        def deep() -> int:
            return DEEP + chance.randrange(1000)

        figures = await interleaved(
            {
                "first": lambda: timed(used_by, by_offset, lambda: 0),
                "cold": lambda: timed(used_by, by_offset, deep),
                "link": lambda: timed(used_by, by_link, deep),
                "counted": lambda: timed(used_by, counted, lambda: 0),
                "uncounted": lambda: timed(used_by, uncounted, lambda: 0),
                "plain": lambda: timed(used_by, plain, deep, 3),
            }
        )
        await database.close()
        return figures


async def timed(
    used_by: Sequence[int], read: Callable[[int], Awaitable[Bodies]], offset: Callable[[], int], repeats: int = REPEATS
) -> float:
    """Microseconds a page; the answers are looked at afterwards."""
    offsets = [offset() for _ in range(repeats)]
    started = sum(map(cpu_seconds, used_by))
    answers = [await read(place) for place in offsets]
    microseconds = (sum(map(cpu_seconds, used_by)) - started) / repeats * 1e6
    for place, bodies in zip(offsets, answers, strict=True):
        assert not bodies or re.findall(rb'"id":"(LOC\d+)"', bodies) == expected(place)
    return microseconds


def expected(offset: int) -> list[bytes]:
    return [store.id_at(offset + n).encode() for n in range(100)]


async def _read(pages: Pages, offset: int, after: Key | None) -> Bodies:
    page = PageRequest(100, 100, offset)
    found = await pages.read(Asking(ModuleID.locations, VIEWER, page, lambda owner: True, True, False, after))
    assert found.total == LOCATIONS
    return found.bodies
