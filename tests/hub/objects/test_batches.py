"""Pushes that wait together are stored together, and each as if it were alone."""

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from structlog.testing import capture_logs

from hub.db.engine import Database
from hub.objects import listing
from hub.objects.batches import Batches
from hub.objects.keep import KeptObjects, Push
from ocpi_modules import json
from ocpi_modules.message import PartyId
from ocpi_modules.spec import Method, ModuleID
from ocpi_modules.status import NotAvailable, UnknownLocation
from tests.hub.network import CPO, EMSP, FailingCommit, Outage, eventually
from tests.hub.objects.seeds import assert_exact, body_of, keep, push_of
from tests.hub.support import opened
from tests.support.postgres import FreshDatabase

NOW = datetime(2026, 3, 1, 18, 30, tzinfo=UTC)
OWNERS = (CPO, PartyId("NL", "CPZ"))


class Door(Outage):
    """Nothing begins while it is shut."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.begun = 0
        self.open = asyncio.Event()
        self.open.set()

    @asynccontextmanager
    async def connection(self, deadline: float | None = None) -> AsyncIterator[Any]:
        self.begun += 1
        await self.open.wait()
        async with super().connection(deadline) as connection:
            yield connection

    @asynccontextmanager
    async def transaction(self, deadline: float | None = None) -> AsyncIterator[Any]:
        self.begun += 1
        await self.open.wait()
        async with super().transaction(deadline) as connection:
            yield connection


class Listening(Outage):
    """What is said to PostgreSQL."""

    def __init__(self, database: Database, statements: list[str]) -> None:
        super().__init__(database)
        self.statements = statements

    @asynccontextmanager
    async def connection(self, deadline: float | None = None) -> AsyncIterator[Any]:
        async with super().connection(deadline) as connection:
            with connection.query_logger(lambda record: self.statements.append(record.query)):
                yield connection

    @asynccontextmanager
    async def transaction(self, deadline: float | None = None) -> AsyncIterator[Any]:
        async with super().transaction(deadline) as connection:
            with connection.query_logger(lambda record: self.statements.append(record.query)):
                yield connection


class Store:
    """A process that stores."""

    def __init__(self, database: Database, wrap: Callable[[Database], Any] = Door, **options: Any) -> None:
        self.database = database
        self.door: Any = wrap(database)
        self.objects = KeptObjects(database=database, clock=lambda: NOW)
        self.batches = Batches(database=self.door, objects=self.objects, **options)

    async def together(self, *pushes: Push) -> list[Any]:
        """One batch, as nothing runs between them; their versions, or what was raised."""
        return await asyncio.gather(*map(self.batches.store, pushes), return_exceptions=True)

    async def rows(self, query: str) -> list[tuple[Any, ...]]:
        async with self.database.connection() as connection:
            return [tuple(row) for row in await connection.fetch(query)]

    async def versions(self) -> dict[str, list[int]]:
        """Of each object, as the change log has them."""
        found = defaultdict(list)
        for key, version in await self.rows("SELECT owner || key_folded, version FROM change_log ORDER BY xid, seq"):
            found[key.removeprefix("NL*CPO")].append(version)
        return found


@pytest.fixture
async def database(hub_database: FreshDatabase) -> AsyncIterator[Database]:
    async with opened(hub_database.app_dsn) as built:
        yield built


def put(id: str, time: str = "12:00:00", **fields: Any) -> Push:
    return push_of(CPO, id, body=body_of(CPO, id, f"2026-03-01T{time}Z", **fields))


def patch(id: str, time: str, **fields: Any) -> Push:
    body = json.encode({**fields, "last_updated": f"2026-03-01T{time}Z"})
    return push_of(CPO, id, method=Method.PATCH, body=body)


def delete(id: str) -> Push:
    return push_of(CPO, id, module=ModuleID.tariffs, method=Method.DELETE, body=b"")


def tariff(id: str, **fields: Any) -> Push:
    return push_of(CPO, id, module=ModuleID.tariffs, body=body_of(CPO, id, **fields))


@pytest.mark.promise("N-10")
async def test_what_came_while_a_batch_was_committed_is_the_next_one(database: Database) -> None:
    store = Store(database, at_once=1)
    store.door.open.clear()
    first = asyncio.create_task(store.batches.store(put("L0")))
    await eventually(lambda: store.door.begun == 1)
    others = asyncio.gather(*(store.batches.store(put(f"L{n}")) for n in range(1, 9)))
    await asyncio.sleep(0)
    store.door.open.set()
    assert (await first, await others) == (1, [1] * 8)
    assert await store.together(*(put(f"L{n}") for n in range(9))) == [2] * 9
    transactions = "SELECT count(DISTINCT xid), count(DISTINCT seq) FROM change_log WHERE version = "
    assert await store.rows(transactions + "1") == [(2, 9)]
    assert await store.rows(transactions + "2") == [(1, 9)]


@pytest.mark.rule("F-11")
async def test_a_batch_that_met_a_deadlock_is_stored_in_another_try(database: Database) -> None:
    store, left = Store(database), [2]

    async def collide(*_: Any) -> None:
        if left[0]:
            left[0] -= 1
            raise asyncpg.DeadlockDetectedError("deadlock detected")

    pushes = [store.batches.store(put(f"L{n}"), collide) for n in range(3)]
    assert await asyncio.gather(*pushes, return_exceptions=True) == [1, 1, 1]
    assert (await store.versions(), left) == ({f"L{n}": [1] for n in range(3)}, [0])


@pytest.mark.parametrize("at_once", [1, 2])
async def test_who_pushes_again_as_soon_as_he_is_answered_is_not_forgotten(database: Database, at_once: int) -> None:
    store = Store(database, at_once=at_once)

    async def keep_pushing(id: str) -> list[int | None]:
        return [await store.batches.store(put(id)) for _ in range(10)]

    assert await asyncio.gather(*map(keep_pushing, "AB"[:at_once])) == [list(range(1, 11))] * at_once


@pytest.mark.promise("N-6")
async def test_pushes_of_one_object_keep_their_order_within_and_across_batches(database: Database) -> None:
    store = Store(database, at_once=3, most=4)
    pushes = [put("ABC"[n % 3], number=n) for n in range(60)]
    assert await store.together(*pushes) == [1 + n // 3 for n in range(60)]
    bodies = await store.rows("SELECT body FROM kept_object ORDER BY key_folded")
    assert [json.decode(body)["number"] for (body,) in bodies] == [57, 58, 59]
    assert await store.versions() == {key: list(range(1, 21)) for key in "ABC"}


@pytest.mark.rule("Q-06", "Q-07", "U-33", "U-34")
async def test_the_newest_wins_within_a_batch(database: Database) -> None:
    store = Store(database)
    await store.together(put("L1"))
    pushes = [
        put("L1", name="same time"),
        put("L1", "11:59:59", name="older"),
        put("L1", "13:00:00", name="newer", city="X"),
        patch("L1", "12:30:00", name="late"),
        replace(patch("L1", "14:00:00", name="last"), correlation_id="corr-9"),
    ]
    assert await store.together(*pushes) == [2, None, 3, None, 4]
    assert (await store.versions())["L1"] == [1, 2, 3, 4]
    [(version, body, correlation)] = await store.rows("SELECT version, body, correlation_id FROM kept_object")
    assert (version, correlation) == (4, "corr-9")
    document = json.decode(body)
    assert (document["name"], document["city"], document["last_updated"]) == ("last", "X", "2026-03-01T14:00:00Z")


@pytest.mark.rule("U-33")
async def test_the_owner_wins_over_what_the_hub_said_within_a_batch(database: Database) -> None:
    store = Store(database)
    removed = put("L1", evses=[{"uid": "E1", "status": "AVAILABLE"}])
    await store.together(removed)
    async with database.transaction() as connection:
        assert await store.objects.remove(connection, removed.key) == 2
    assert await store.together(put("L1", "11:00:00"), put("L1", "12:00:00"), put("L1", "11:59:59")) == [None, 3, None]
    assert await store.rows("SELECT owner_last_updated, last_updated FROM kept_object") == [
        (None, datetime(2026, 3, 1, 12, tzinfo=UTC))
    ]


@pytest.mark.rule("L-20")
async def test_an_evse_is_merged_within_a_batch_though_its_location_is_newer(database: Database) -> None:
    store = Store(database)
    location = put("L1", evses=[{"uid": "E1", "status": "AVAILABLE", "last_updated": "2026-03-01T10:00:00Z"}])
    await store.together(location)
    said = datetime(2026, 3, 1, 11, tzinfo=UTC)
    evse = patch("L1", "11:00:00", status="BLOCKED")
    evse = replace(evse, variables={"evse_uid": "E1"}, last_updated=said)
    assert await store.together(evse, put("L2")) == [2, 1]
    [(body, last_updated)] = await store.rows("SELECT body, last_updated FROM kept_object WHERE key_folded = 'L1'")
    assert json.decode(body)["evses"][0]["status"] == "BLOCKED"
    assert last_updated == said.replace(hour=12)


async def test_one_bad_push_fails_alone(database: Database) -> None:
    store = Store(database)
    await store.together(put("L1"), put("L2"))
    broken, unstorable = patch("L2", "13:00:00"), put("L1\0")
    broken = replace(broken, body=b'{"last_updated":7}')
    first, unknown, second, none, third = await store.together(
        put("L1"), patch("L9", "13:00:00"), put("L2"), broken, put("L3")
    )
    assert (first, second, third) == (2, 2, 1)
    assert isinstance(unknown, UnknownLocation)
    assert isinstance(none, Exception)
    first, failed, second = await store.together(put("L1"), unstorable, put("L4"))
    assert (first, second) == (3, 1)
    assert isinstance(failed, Exception)
    assert await store.versions() == {"L1": [1, 2, 3], "L2": [1, 2], "L3": [1], "L4": [1]}


@pytest.mark.rule("Q-04")
@pytest.mark.parametrize("seeded", [("L1", "L2", "L3"), ("L1",), ()], ids=["living", "mixed", "new"])
async def test_a_batch_whose_commit_fails_acknowledges_nobody(database: Database, seeded: tuple[str, ...]) -> None:
    store = Store(database, FailingCommit)
    await store.together(*map(put, seeded))
    store.door.away = True
    outcomes = await store.together(*(put(f"L{n}", name="lost") for n in range(1, 4)))
    assert [(type(error), error.headers) for error in outcomes] == [(NotAvailable, {"Retry-After": "5"})] * 3
    assert await store.versions() == {key: [1] for key in seeded}
    store.door.away = False
    again = await store.together(*(put(f"L{n}", name="repeated") for n in range(1, 4)))
    assert again == [2 if f"L{n}" in seeded else 1 for n in range(1, 4)]


@pytest.mark.rule("T-03")
async def test_a_delete_between_puts_of_the_same_object_keeps_its_place(database: Database) -> None:
    store = Store(database)
    await store.together(tariff("T1"), tariff("T2"))
    pushes = (tariff("T1"), delete("T1"), tariff("T1", name="again"), delete("T2"), delete("T2"), delete("T3"))
    assert await store.together(*pushes) == [2, 3, 4, 2, None, None]
    rows = await store.rows("SELECT key_folded, deleted, version FROM kept_object ORDER BY 1")
    assert rows == [("T1", False, 4), ("T2", True, 2)]
    assert await store.together(tariff("T2"), tariff("T1")) == [3, 5]
    assert await store.rows("SELECT key_folded FROM kept_object WHERE deleted") == []
    await assert_exact(database, listing.PAGE_MAP_STEP)


@pytest.mark.promise("N-10")
async def test_what_nobody_knew_is_added_by_as_many_statements_as_one(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "PAGE_MAP_STEP", 3)
    statements: list[str] = []
    store = Store(database, wrap=lambda inner: Listening(inner, statements), most=100)
    counts = []
    for length in (1, 40):  # with the first the driver learns the types
        for _ in range(2):
            statements.clear()
            pushes = [put(f"L{len(counts)}-{n}") for n in range(length)]
            others = [push_of(OWNERS[1], f"L{len(counts)}-{n}", (n % 2 and EMSP) or "*") for n in range(length - 1)]
            assert await store.together(*pushes, *others) == [1] * (2 * length - 1)
            counts.append([statement.split()[0] for statement in statements])
    assert counts[1] == ["WITH", "INSERT", "WITH", "WITH"]
    assert counts[3] == [*counts[1][:1], "SELECT", *counts[1][1:], "INSERT"]
    await assert_exact(database, 3)
    assert (await store.rows("SELECT count(DISTINCT xid) FROM change_log")) == [(4,)]


async def test_an_object_that_comes_for_everybody_and_for_one_at_once_is_listed_once(database: Database) -> None:
    store = Store(database)
    both = [push_of(CPO, "L1", audience) for audience in ("*", EMSP)]
    assert await store.together(*both, put("L2")) == [1, 1, 1]
    rows = await store.rows("SELECT key_folded, audience, listed FROM kept_object ORDER BY 1, 2")
    assert rows == [("L1", "*", True), ("L1", str(EMSP), False), ("L2", "*", True)]
    await assert_exact(database, listing.PAGE_MAP_STEP)


@pytest.mark.promise("Q-09")
async def test_a_full_queue_is_told_at_once(database: Database) -> None:
    store = Store(database, limit=3, at_once=1)
    store.door.open.clear()
    first = asyncio.create_task(store.batches.store(put("L0")))
    await eventually(lambda: store.door.begun == 1)
    waiting = [asyncio.create_task(store.batches.store(put(f"L{n}"))) for n in range(1, 4)]
    await asyncio.sleep(0)
    with pytest.raises(NotAvailable, match="too much") as refused:
        await store.batches.store(put("L4"))
    assert refused.value.headers == {"Retry-After": "5"}
    store.door.open.set()
    assert await asyncio.gather(first, *waiting) == [1] * 4
    assert await store.batches.store(put("L4")) == 1


async def test_a_caller_that_goes_takes_nobody_along(database: Database) -> None:
    store = Store(database, at_once=1)
    store.door.open.clear()
    begun = asyncio.create_task(store.batches.store(put("L0")))
    await eventually(lambda: store.door.begun == 1)
    waiting, staying = (asyncio.create_task(store.batches.store(put(id))) for id in ("L1", "L2"))
    await asyncio.sleep(0)
    for gone in (begun, waiting):
        gone.cancel()
    store.door.open.set()
    assert await staying == 1
    assert await store.versions() == {"L0": [1], "L2": [1]}
    assert await store.together(put("L0"), put("L1")) == [2, 1]


@pytest.mark.rule("Q-04")
async def test_nobody_waits_for_ever(database: Database) -> None:
    store = Store(database, within=timedelta(milliseconds=50))
    store.door.open.clear()
    outcomes = await store.together(put("L1"), put("L2"))
    assert [type(error) for error in outcomes] == [NotAvailable] * 2
    store.door.open.set()


@pytest.mark.rule("F-11")
async def test_eight_writers_over_two_processes_leave_exact_counters_pages_and_versions(
    hub_database: FreshDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broadcasts in batches beside pushes to one party, which go alone."""
    monkeypatch.setattr(listing, "PAGE_MAP_STEP", 3)
    answered: dict[str, list[int]] = defaultdict(list)
    async with AsyncExitStack() as stack:
        stores = [Store(await stack.enter_async_context(opened(hub_database.app_dsn)), most=8) for _ in range(2)]
        await stores[0].objects.prepare()

        async def write(chance: random.Random, store: Store, *, alone: bool) -> None:
            for number in range(12):
                pushes = [_any_push(chance, number, "*" if not alone else str(EMSP)) for _ in range(1 if alone else 6)]
                if alone:
                    await keep(store.database, store.objects, *pushes)
                    continue
                outcomes = await store.together(*pushes)
                for push, outcome in zip(pushes, outcomes, strict=True):
                    assert outcome is None or isinstance(outcome, int), outcome
                    answered["".join(push.key.columns)] += [] if outcome is None else [outcome]

        with capture_logs() as logged:
            await asyncio.gather(*(write(random.Random(n), stores[n % 2], alone=n > 5) for n in range(8)))
        assert logged == []
        await assert_exact(stores[0].database, 3)
        rows = await stores[0].rows(
            "SELECT owner || module || key_folded || audience, version, (SELECT array_agg(version ORDER BY version) "
            "FROM change_log AS log WHERE (log.owner, log.key_folded, log.audience) = (kept.owner, kept.key_folded, "
            "kept.audience)) FROM kept_object AS kept"
        )
        for key, version, logged_versions in rows:
            assert logged_versions == list(range(1, version + 1))
            assert "DE*MSP" in key or sorted(answered[key]) == logged_versions


def _any_push(chance: random.Random, number: int, audience: str) -> Push:
    owner, id = chance.choice(OWNERS), f"T{chance.randrange(20)}"
    method = Method.DELETE if chance.random() < 0.3 else Method.PUT
    body = body_of(owner, id, f"2026-03-01T12:{number:02}:00Z")
    return push_of(owner, id, audience, module=ModuleID.tariffs, method=method, body=body)


async def test_a_batch_is_planned_once_however_long_it_is(hub_database: FreshDatabase, database: Database) -> None:
    async with opened(hub_database.app_dsn) as other:
        await Store(other).together(*(put(f"LOC{number}") for number in range(500)))
    store = Store(database)
    owner = await asyncpg.connect(hub_database.owner_dsn)
    await owner.execute("ANALYZE kept_object")  # with few objects there is but one plan to choose
    await owner.close()
    for turn, length in enumerate([1, 2, 3, 4] * 4):
        await store.together(*(put(f"NEW{turn}-{number}") for number in range(length)))
        await store.together(*(put(f"LOC{number}") for number in range(length)))
        await store.together(*(patch(f"LOC{number}", "12:00:00", name="x") for number in range(length)))
    plans = await store.rows(
        "SELECT generic_plans, custom_plans FROM pg_prepared_statements "
        "WHERE statement LIKE '%unnest%' AND statement LIKE '%kept_object%' AND statement NOT LIKE '%pg_prepared%'"
    )
    assert len(plans) == 4
    assert all(generic > custom for generic, custom in plans), plans
