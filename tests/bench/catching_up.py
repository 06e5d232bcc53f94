"""B-10: a receiver that was away reads 300,000 changes of some 95,000 objects, in CPU time of PostgreSQL's own process.

Against one plain GROUP BY over the same rows, which says which objects are dirty and nothing else. Every reading is checked:
each object once, at its last version.
"""

import asyncio
from collections.abc import Iterator
from typing import Any

import asyncpg

from hub.objects import changelog
from hub.objects.changelog import Position
from tests.bench import store
from tests.bench.rounds import Line, cpu_seconds, interleaved
from tests.support.postgres import fresh_database, migrate_hub_template

CHANGES, OBJECTS = 300_000, 100_000
FILL = """
    INSERT INTO change_log (changed_at, owner, module, key_folded, audience, version)
    SELECT now(), 'NL*C' || (k % 20), 'locations', 'LOC' || k, '*', row_number() OVER (PARTITION BY k ORDER BY n)
    FROM (SELECT n, (random() * $1)::int AS k FROM generate_series(1, $2) AS n) AS drawn ORDER BY n
"""
KEPT = """
    INSERT INTO kept_object (owner, module, key_folded, audience, created_seq, version, last_updated, body, listed)
    SELECT owner, module, key_folded, '*', row_number() OVER (), max(version), now(), convert_to(repeat('x', 1000), 'UTF8'), true
    FROM change_log GROUP BY 1, 2, 3
"""
PLAIN = "SELECT count(*) FROM (SELECT max(version) FROM change_log GROUP BY owner, module, key_folded) AS dirty"


def run() -> Iterator[Line]:
    with store.server() as server:
        figures = asyncio.run(measure(server))
    unit = "CPU ms of PostgreSQL"
    yield Line("B-10 first window", figures["first"], 200, unit, 1.0, lower_is_better=True)
    yield Line(
        "B-10 first window, plain GROUP BY", figures["first"], figures["plain"], unit, 1.67, lower_is_better=True
    )
    yield Line("B-10 every window, plain GROUP BY", figures["all"], figures["plain"], unit, 10, lower_is_better=True)


async def measure(server: store.EmbeddedPostgres) -> dict[str, float]:
    async with fresh_database(server, migrate_hub_template(server)) as fresh:
        connection = await asyncpg.connect(fresh.admin_dsn)
        await connection.execute("SELECT ensure_change_log_partition(now())")
        await connection.execute(FILL.replace("$1", str(OBJECTS - 1)).replace("$2", str(CHANGES)))
        await connection.execute(KEPT)
        await connection.execute("VACUUM ANALYZE")
        pid = await connection.fetchval("SELECT pg_backend_pid()")
        dirty = await connection.fetchval(PLAIN)

        async def milliseconds(work: Any) -> float:
            before = cpu_seconds(pid)
            await work()
            return (cpu_seconds(pid) - before) * 1000

        async def plain() -> None:
            await connection.execute("SET max_parallel_workers_per_gather = 0")
            await connection.execute("SET work_mem = '48MB'")
            assert await connection.fetchval(PLAIN) == dirty
            await connection.execute("RESET ALL")

        async def first() -> None:
            async with connection.transaction():
                window = await changelog.read(connection, Position(0, 0))
            assert len(window.changes) == changelog.WINDOW_CHANGES

        async def everything() -> None:
            place, full, seen = Position(0, 0), True, 0
            while full:
                async with connection.transaction():
                    window = await changelog.read(connection, place, None, 20_000)
                seen, place, full = seen + len(window.changes), window.end, window.full
            assert seen == dirty

        try:
            return await interleaved(
                {
                    "plain": lambda: milliseconds(plain),
                    "first": lambda: milliseconds(first),
                    "all": lambda: milliseconds(everything),
                },
                rounds=3,
            )
        finally:
            await connection.close()
