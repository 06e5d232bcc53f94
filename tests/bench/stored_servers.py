"""The sides of B-4: `python -m tests.bench.stored_servers hub|bare|bare-16|orm <dsn>`.

`hub` is the product and prints its port. The others print 0, read for how many seconds they shall store, and print how many rows
they stored: `bare` by one upsert a row into a table that has a primary key and nothing else, `orm` by get, change and commit of
the hub's own table. Both do one after the other on one connection, each its own commit, as a loop does. `bare-16` is no loop but
64 of them on 16 connections.
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from time import perf_counter

import asyncpg
import uvloop
from sqlalchemy.ext.asyncio import async_sessionmaker
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.app import POOL_SIZE
from hub.db.engine import open_pool
from hub.objects.tables import KeptObject
from hub.telemetry import configure_logs
from tests.bench import store
from tests.bench.messages import CPO
from tests.bench.processes import orm_engine, serve
from tests.bench.product import product
from tests.bench.rounds import pin
from tests.hub.network import Partner
from tests.support import objects

LOCATIONS, IN_FLIGHT = 10_000, 64
TOKEN = "hubC_CPO_token"
NOW = datetime(2026, 9, 1, 12, 30, tzinfo=UTC)
_FIRST = datetime(2026, 3, 2, tzinfo=UTC)
_TABLE = (
    "CREATE TABLE {table} (id text PRIMARY KEY, version bigint NOT NULL, last_updated timestamptz NOT NULL, "
    "body bytea NOT NULL)"
)
_UPSERT = (
    "INSERT INTO {table} AS kept (id, version, last_updated, body) VALUES ($1, 1, $2, $3) ON CONFLICT (id) DO UPDATE SET "
    "version = kept.version + 1, last_updated = excluded.last_updated, body = excluded.body "
    "WHERE kept.last_updated <= excluded.last_updated RETURNING version"
)
Push = tuple[str, datetime, bytes]
Write = Callable[[Push], Awaitable[None]]


class Pushes:
    """Endless pushes (id, last_updated, body), each object in its turn, every one a second newer than the one before."""

    def __init__(self) -> None:
        self.made = 0
        head, tail = store.template().split('"id":"@"')
        before, after = tail.split(objects.WHEN, 1)
        self._parts = [(part + end).encode() for part, end in ((head, '"id":"'), ('"' + before, ""), (after, ""))]

    def next(self) -> Push:
        self.made += 1
        id, when = store.id_at(self.made % LOCATIONS), _FIRST + timedelta(seconds=self.made)
        head, middle, tail = self._parts
        return id, when, b"".join((head, id.encode(), middle, when.strftime("%Y-%m-%dT%H:%M:%SZ").encode(), tail))


@contextlib.asynccontextmanager
async def hub(dsn: str) -> AsyncIterator[int]:
    """The whole product; its one partner is the CPO."""
    async with product(dsn, Partner(CPO, "CPO"), clock=lambda: NOW) as port:
        yield port


@contextlib.asynccontextmanager
async def bare(dsn: str) -> AsyncIterator[Write]:
    """One connection, held."""
    async with _pool_and_table(dsn, "bare", 1) as pool, pool.acquire() as connection:
        sql = _UPSERT.format(table="bare")

        async def upsert(push: Push) -> None:
            assert await connection.fetchval(sql, *push)

        yield upsert


@contextlib.asynccontextmanager
async def bare_16(dsn: str) -> AsyncIterator[Write]:
    async with _pool_and_table(dsn, "bare_16", POOL_SIZE) as pool:
        sql = _UPSERT.format(table="bare_16")

        async def upsert(push: Push) -> None:
            async with pool.acquire() as connection:
                assert await connection.fetchval(sql, *push)

        yield upsert


@contextlib.asynccontextmanager
async def _pool_and_table(dsn: str, table: str, connections: int) -> AsyncIterator[asyncpg.Pool]:
    owner = await asyncpg.connect(dsn.replace("hub_app", "hub_owner"))
    await owner.execute(_TABLE.format(table=table))
    await owner.execute(f"GRANT SELECT, INSERT, UPDATE ON {table} TO ocpi_hub_app")
    await owner.close()
    async with await open_pool(dsn, max_size=connections, application_name="bench") as pool:
        yield pool


@contextlib.asynccontextmanager
async def orm(dsn: str) -> AsyncIterator[Write]:
    engine = await orm_engine(dsn, pool_size=1, max_overflow=0, pool_timeout=30)
    sessions = async_sessionmaker(engine, class_=AsyncSession, expire_on_commit=False)

    async def get_and_commit(push: Push) -> None:
        id, last_updated, body = push
        async with sessions() as session:
            kept = await session.get(KeptObject, ("NL*CPO", "locations", id, "*"))
            assert kept is not None
            if kept.last_updated <= last_updated:
                kept.version, kept.last_updated, kept.body = kept.version + 1, last_updated, body
            await session.commit()
            assert kept.version > 1

    yield get_and_commit
    await engine.dispose()


SIDES = {"bare": (bare, 1), "bare-16": (bare_16, IN_FLIGHT), "orm": (orm, 1)}
"""How each stores a push, and how many of them are in flight."""


async def stored(write: Write, pushes: Pushes, in_flight: int, seconds: float) -> int:
    """How many were stored in so many seconds."""
    stop, before = perf_counter() + seconds, pushes.made

    async def loop() -> None:
        while perf_counter() < stop:
            await write(pushes.next())

    await asyncio.gather(*(loop() for _ in range(in_flight)))
    return pushes.made - before


async def main(kind: str, dsn: str) -> None:
    configure_logs()
    read = asyncio.get_running_loop().run_in_executor
    if kind == "hub":
        async with hub(dsn) as port:
            await serve(port)
        return
    pushes, (side, in_flight) = Pushes(), SIDES[kind]
    async with side(dsn) as write:
        print(0, flush=True)
        while line := await read(None, sys.stdin.readline):
            print(await stored(write, pushes, in_flight, float(line)), flush=True)


if __name__ == "__main__":
    pin(0)
    uvloop.run(main(*sys.argv[1:]))
