"""C6: what the processes use when nobody asks them for anything, before a fault and after it."""

import asyncio
from dataclasses import dataclass

import asyncpg

from tests.faults.hub import Use
from tests.faults.world import World

SETTLE_SECONDS = 40.0
"""Connections that were used end by themselves in a few seconds; a process that just started has loops to begin."""
MORE_MEMORY_KIB = 24 * 1024
"""Caches and the allocator's own; beside a twentieth of what was used before."""
MORE_DESCRIPTORS = 12
MORE_TASKS = 8
MORE_THREADS = 10
"""Those that resolve names are started as they are needed, eight at most, and stay."""
EACH_RECEIVER = {"KiB": 400, "descriptors": 2, "tasks": 2, "threads": 0}
"""For each receiver that joined after the first look: it is remembered, and may have a connection that is kept."""
POOL = 16
"""Connections to PostgreSQL a process may keep open (hub.app.POOL_SIZE)."""


@dataclass(frozen=True)
class Rest:
    """Of each process, and how many connections PostgreSQL has from all of them."""

    uses: list[Use]
    connections: int


async def at_rest(world: World) -> Rest:
    """Measured when two looks a moment apart find no fewer tasks and descriptors: what was under way has ended."""
    last = await _look(world)
    while True:
        await asyncio.sleep(0.4)
        found = await _look(world)
        if _count(found) >= _count(last):
            return last
        last = found


async def at_rest_again(world: World, before: Rest) -> None:
    """Raises AssertionError when a process does not come back to what it used."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + SETTLE_SECONDS
    while excesses := _excesses(before, after := await _look(world), len(world.more)):
        assert loop.time() < deadline, f"C6: {excesses} (before {before}, now {after})"
        await asyncio.sleep(0.5)
    world.notes["MiB"] = [round(use.memory / 1024) for use in after.uses]
    world.notes["MiB before"] = [round(use.memory / 1024) for use in before.uses]


def _excesses(before: Rest, now: Rest, joined: int) -> list[str]:
    found = []
    for number, (one, other) in enumerate(zip(before.uses, now.uses, strict=True)):
        allowed = (
            ("KiB", one.memory * 1.05 + MORE_MEMORY_KIB, other.memory),
            ("descriptors", one.descriptors * 1.05 + MORE_DESCRIPTORS, other.descriptors),
            ("tasks", one.tasks * 1.05 + MORE_TASKS, other.tasks),
            ("threads", one.threads * 1.05 + MORE_THREADS, other.threads),
        )
        found += [
            f"process {number} has {has} {what}"
            for what, most, has in allowed
            if has > most + joined * EACH_RECEIVER[what]
        ]
    most = POOL * len(now.uses)
    return found + ([f"{now.connections} connections to PostgreSQL"] if now.connections > most else [])


async def _look(world: World) -> Rest:
    uses = [await asyncio.to_thread(hub.use) for hub in world.hubs]
    connection = await asyncpg.connect(world.postgres.dsn("hub_template"), timeout=5)
    try:
        connections = await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'ocpi-hub%'"
        )
    finally:
        await connection.close()
    return Rest(uses, connections)


def _count(rest: Rest) -> int:
    return sum(use.descriptors + use.tasks for use in rest.uses)
