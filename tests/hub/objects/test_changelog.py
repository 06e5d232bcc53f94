"""Reading the change log while others write."""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from hub.db.engine import Database
from hub.objects import changelog, repository
from hub.objects.changelog import Position
from hub.objects.keep import KeptObjects, Push
from hub.objects.repository import ObjectKey
from ocpi_modules import json, registry
from ocpi_modules.message import PartyId
from ocpi_modules.spec import Method, ModuleID
from tests.hub.support import opened
from tests.support import objects
from tests.support.postgres import FreshDatabase

NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
START = Position(0, 0)
OWNERS = [PartyId("NL", f"W{number:02}") for number in range(8)]


@pytest.fixture
async def database(hub_database: FreshDatabase) -> AsyncIterator[Database]:
    async with opened(hub_database.app_dsn) as built:
        yield built


def keeping(database: Database) -> KeptObjects:
    return KeptObjects(database=database, clock=lambda: NOW)


def push(owner: PartyId, key: str) -> Push:
    body = json.encode(objects.location(country_code="NL", party_id=owner.party_id, id=key))
    spec = registry.module("2.2.1", ModuleID.locations)
    return Push(ObjectKey(owner, ModuleID.locations, key, "*"), spec, Method.PUT, {}, body)


class Naive:
    """What a cursor on `seq` alone sees, with or without the snapshot's bound."""

    def __init__(self, *, bounded: bool) -> None:
        self.seq = 0
        self.seen: list[str] = []
        self._bound = "AND xid < pg_snapshot_xmin(pg_current_snapshot())" if bounded else ""

    async def read(self, connection: Any) -> None:
        rows = await connection.fetch(
            f"SELECT seq, key_folded FROM change_log WHERE seq > $1 {self._bound} ORDER BY seq",
            self.seq,
        )
        self.seen += [row["key_folded"] for row in rows]
        self.seq = max([self.seq, *(row["seq"] for row in rows)])


class Reader:
    def __init__(self) -> None:
        self.place = START
        self.seen: list[str] = []

    async def read(self, connection: Any) -> None:
        window = await changelog.read(connection, self.place)
        self.seen += [change.key.key_folded for change in window.changes]
        self.place = window.end


@pytest.mark.promise("N-4")
async def test_eight_writers_at_once_lose_no_row(database: Database, hub_database: FreshDatabase) -> None:
    """And a cursor on `seq` alone does, under the same writers."""
    store, each = keeping(database), 60
    writers = [await asyncpg.connect(hub_database.app_dsn) for _ in OWNERS]
    naive, reader = Naive(bounded=False), Reader()
    await store.prepare()

    async def write(owner: PartyId, connection: Any) -> None:
        for number in range(each):
            async with connection.transaction():
                await store.apply(connection, push(owner, f"{owner.party_id}-{number}"))
                await connection.execute("SELECT pg_sleep($1)", random.random() * 0.02)

    writing = asyncio.gather(*(write(*pair) for pair in zip(OWNERS, writers, strict=True)))
    async with database.connection(30) as connection:
        while not writing.done():
            await naive.read(connection)
            await reader.read(connection)
            await asyncio.sleep(0)
        await writing
        await naive.read(connection)
        await reader.read(connection)
    for one in writers:
        await one.close()
    assert len(reader.seen) == len(set(reader.seen)) == 8 * each
    assert len(naive.seen) < 8 * each


@pytest.mark.promise("N-4")
async def test_a_bound_does_not_save_a_cursor_on_seq_alone(database: Database, hub_database: FreshDatabase) -> None:
    """The later transaction has the lower number: it is below the other reader's cursor when it becomes visible."""
    first, second = [await asyncpg.connect(hub_database.app_dsn) for _ in range(2)]
    store, naive, reader = keeping(database), Naive(bounded=True), Reader()
    await store.prepare()
    early, late = first.transaction(), second.transaction()
    await early.start()
    await first.execute("SELECT pg_current_xact_id()")
    await late.start()
    await store.apply(second, push(OWNERS[1], "LATE"))
    await store.apply(first, push(OWNERS[0], "EARLY"))
    await early.commit()
    async with database.connection() as connection:
        await naive.read(connection)
        await reader.read(connection)
        assert (naive.seen, reader.seen) == (["EARLY"], ["EARLY"])
        await late.commit()
        await naive.read(connection)
        await reader.read(connection)
    await first.close()
    await second.close()
    assert (naive.seen, reader.seen) == (["EARLY"], ["EARLY", "LATE"])


async def test_of_many_changes_only_the_newest_of_each_object_is_shown(database: Database) -> None:
    store = keeping(database)
    for key in ("A", "B", "A", "A", "B", "C"):
        async with database.transaction() as connection:
            await store.apply(connection, push(OWNERS[0], key))
    async with database.connection() as connection:
        window = await changelog.read(connection, START)
        assert [(change.key.key_folded, change.version) for change in window.changes] == [("A", 3), ("B", 2), ("C", 1)]
        again = await changelog.read(connection, window.end)
        assert (again.changes, again.end, again.full) == ((), window.end, False)


async def test_a_window_is_bounded_and_the_next_goes_on(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    store = keeping(database)
    for number in range(7):
        async with database.transaction() as connection:
            await store.apply(connection, push(OWNERS[0], f"L{number}"))
    monkeypatch.setattr(changelog, "WINDOW_CHANGES", 3)
    seen, place, full = [], START, True
    async with database.connection() as connection:
        while full:
            window = await changelog.read(connection, place)
            seen += [change.key.key_folded for change in window.changes]
            place, full = window.end, window.full
    assert seen == [f"L{number}" for number in range(7)]


@pytest.mark.parametrize(("most", "walked"), [(2, 100), (100, 4), (100, 100)])
async def test_a_long_absence_is_walked_through_with_each_object_once_at_its_last_version(
    database: Database, monkeypatch: pytest.MonkeyPatch, most: int, walked: int
) -> None:
    """Whichever ends a window: enough changes, enough rows looked at, or the log."""
    monkeypatch.setattr(changelog, "GROUPED_ROWS", 0)
    monkeypatch.setattr(changelog, "WALKED_ROWS", walked)
    store = keeping(database)
    for key in ("A", "B", "A", "A", "A", "A", "B", "C", "D", "A"):
        async with database.transaction() as connection:
            await store.apply(connection, push(OWNERS[0], key))
    seen, place, full = [], START, True
    async with database.connection() as connection:
        while full:
            async with connection.transaction():
                window = await changelog.read(connection, place, None, most)
            assert not window.full or place < window.end
            assert all(place < change.position <= window.end for change in window.changes)
            seen += [(change.key.key_folded, change.version) for change in window.changes]
            place, full = window.end, window.full
    assert seen == [("B", 2), ("C", 1), ("D", 1), ("A", 6)]


async def test_a_copy_for_one_party_is_not_shown(database: Database) -> None:
    unicast = push(OWNERS[0], "A")
    async with database.transaction() as connection:
        await keeping(database).apply(
            connection, Push(unicast.key._replace(audience="DE*MSP"), unicast.module, Method.PUT, {}, unicast.body)
        )
    async with database.connection() as connection:
        window = await changelog.read(connection, START)
        assert window.changes == ()
        assert window.end > START
        assert await repository.lock_object(connection, unicast.key) is None
