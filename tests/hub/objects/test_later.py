"""Writes that wait in memory: made in their order, once more when the process ends, and again after a collision."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from structlog.testing import capture_logs

from hub.db.engine import Database
from hub.objects import later
from hub.objects.later import Carried, LaterWrites, Write
from tests.hub.network import Outage, eventually
from tests.hub.objects.test_batches import Door
from tests.hub.support import opened
from tests.support.postgres import FreshDatabase

LONG = timedelta(hours=1)


@pytest.fixture
async def database(hub_database: FreshDatabase) -> AsyncIterator[Database]:
    async with opened(hub_database.app_dsn) as built:
        yield built


def noting(done: list[int], number: int, *, collides: int = 0) -> Write:
    """Told apart from one that only seems made: it is in `done` when PostgreSQL answered it."""
    left = [collides]

    async def write(connection: Any) -> None:
        if left[0]:
            left[0] -= 1
            raise asyncpg.DeadlockDetectedError("deadlock detected")
        done.append(await connection.fetchval("SELECT $1::int", number))

    return write


async def end(task: asyncio.Task[None]) -> None:
    """As `Background.stop` does."""
    task.cancel()
    async with asyncio.timeout(10):
        await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()


@pytest.mark.rule("Q-02")
async def test_what_waits_when_the_process_ends_is_written_first(database: Database) -> None:
    outage, done = Outage(database), list[int]()
    waiting = LaterWrites(outage, pause=LONG)  # type: ignore[arg-type]
    outage.away = True
    for number in range(3):
        waiting.add(noting(done, number))
    running = asyncio.create_task(waiting.run())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    outage.away = False
    await end(running)
    assert (done, len(waiting)) == ([0, 1, 2], 0)


@pytest.mark.rule("Q-02")
@pytest.mark.parametrize("how", ["away", "frozen"])
async def test_a_process_ends_also_where_postgresql_does_not_answer_and_says_what_is_lost(
    database: Database, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(later, "FLUSH_SECONDS", 0.05)
    door, done = Door(database), list[int]()
    waiting = LaterWrites(door, pause=LONG)  # type: ignore[arg-type]
    if how == "away":
        door.away = True
    else:
        door.open.clear()
    waiting.add(noting(done, 1))
    running = asyncio.create_task(waiting.run())
    await eventually(lambda: door.begun >= 1)
    with capture_logs() as logs:
        await end(running)
    assert [(line["event"], line["waiting"]) for line in logs] == [("writes dropped", 1)]
    assert done == []
    door.open.set()


@pytest.mark.rule("F-11")
@pytest.mark.parametrize(("collides", "expected"), [(1, [1, 2]), (3, [1, 2]), (4, [2])])
async def test_writes_in_each_others_way_are_made_again_at_most_three_times(
    database: Database, collides: int, expected: list[int]
) -> None:
    done = list[int]()
    waiting = LaterWrites(database)
    waiting.add(noting(done, 1, collides=collides))
    waiting.add(noting(done, 2))
    assert await waiting.work_off()
    assert (done, len(waiting)) == (expected, 0)


@pytest.mark.promise("Q-04", "F-51")
async def test_what_waits_when_the_database_is_another_goes_over_to_it_in_order_and_is_not_called_lost(
    database: Database,
) -> None:
    outage, done, carried, moved = Outage(database), list[int](), Carried(), asyncio.Event()
    outage.away = True
    former = LaterWrites(outage, pause=LONG, waiting=carried.writes, moved=moved)  # type: ignore[arg-type]
    for number in range(2):
        former.add(noting(done, number))
    running = asyncio.create_task(former.run())
    await asyncio.sleep(0)
    with capture_logs() as logs:
        moved.set()
        await end(running)
        assert (logs, len(carried.writes), done) == ([], 2, [])
        following = LaterWrites(database, waiting=carried.writes, moved=asyncio.Event())
        following.add(noting(done, 2))
        running = asyncio.create_task(following.run())
        await eventually(lambda: done == [0, 1, 2])
        await end(running)
        carried.drop()
        assert (logs, len(carried.writes)) == ([], 0)


@pytest.mark.promise("Q-04")
async def test_what_no_hub_could_take_over_is_told_when_the_process_ends() -> None:
    carried = Carried()
    carried.notes.append(noting([], 1))
    with capture_logs() as logs:
        carried.drop()
    assert [(line["event"], line["waiting"]) for line in logs] == [("writes dropped", 1)]
