"""What passed to one party is kept together with what else is stored, and nobody who was answered loses by it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from structlog.testing import capture_logs

from hub.db.engine import Database
from hub.delivery.store import PostgresStore
from hub.objects.batches import Batches
from hub.objects.keep import KeptObjects
from hub.objects.later import LaterWrites
from hub.objects.passed import PassedObjects
from hub.objects.repository import ObjectKey
from ocpi_modules import json, registry
from ocpi_modules.message import OcpiRequest
from ocpi_modules.spec import InterfaceRole, Method, ModuleID
from tests.hub.network import CPO, EMSP, FailingCommit, Outage, eventually
from tests.hub.objects.seeds import body_of
from tests.hub.objects.test_batches import Door
from tests.hub.support import opened
from tests.support.postgres import FreshDatabase

NOW = datetime(2026, 3, 1, 18, 30, tzinfo=UTC)
SESSIONS = registry.MODULES[ModuleID.sessions]


class Keeping:
    """A process that keeps."""

    def __init__(self, database: Database, wrap: Any = Door, **options: Any) -> None:
        self.database = database
        self.door: Any = wrap(database)
        objects = KeptObjects(database=database, clock=lambda: NOW)
        self.later = LaterWrites(self.door)
        batches = Batches(database=self.door, objects=objects, **options)
        self.passed = PassedObjects(batches=batches, objects=objects, later=self.later, clock=lambda: NOW)

    async def keep(self, *requests: OcpiRequest, then: Any = None) -> None:
        """All at once."""
        await asyncio.gather(*(self.passed.keep(request, SESSIONS, CPO, EMSP, then) for request in requests))

    async def mark_stale(self, request: OcpiRequest) -> None:
        await self.passed.mark_stale(request, SESSIONS, CPO, EMSP)

    async def rows(self, query: str) -> list[tuple[Any, ...]]:
        async with self.database.connection() as connection:
            return [tuple(row) for row in await connection.fetch(query)]

    async def kept(self) -> dict[str, tuple[int, bool]]:
        """The version of each session, and whether its copy is stale."""
        rows = await self.rows("SELECT key_folded, version, stale FROM kept_object ORDER BY 1")
        return {key: (version, stale) for key, version, stale in rows}


@pytest.fixture
async def database(hub_database: FreshDatabase) -> AsyncIterator[Database]:
    async with opened(hub_database.app_dsn) as built:
        yield built


def pushed(id: str, method: Method = Method.PUT, body: bytes | None = None, **fields: Any) -> OcpiRequest:
    endpoint = next(
        one for one in SESSIONS.endpoints if one.interface is InterfaceRole.RECEIVER and one.method is method
    )
    return OcpiRequest(
        method,
        ModuleID.sessions,
        endpoint,
        variables={"country_code": "NL", "party_id": "CPO", "session_id": id},
        body=body_of(CPO, id, **fields) if body is None else body,
        correlation_id=f"corr-{id}",
    )


def patched(id: str, minute: int = 30, **fields: Any) -> OcpiRequest:
    body = json.encode({**fields, "last_updated": f"2026-03-01T12:{minute:02}:00Z"})
    return pushed(id, Method.PATCH, body)


@pytest.mark.promise("N-10")
async def test_what_waits_at_once_is_one_transaction_and_a_lonely_push_waits_for_nobody(database: Database) -> None:
    keeping = Keeping(database, at_once=1)
    await keeping.keep(pushed("S0"))
    await keeping.keep(*(pushed(f"S{n}") for n in range(9)))
    keeping.door.begun = 0
    await keeping.keep(pushed("S0"))
    assert keeping.door.begun == 1
    await keeping.keep(*(pushed(f"S{n}") for n in range(9)))
    await keeping.keep(*(patched(f"S{n}", kwh=n) for n in range(9)))
    changes = "SELECT count(DISTINCT xid), count(*) FROM change_log WHERE key_folded = 'S8' OR key_folded = 'S7'"
    assert await keeping.rows(changes) == [(3, 6)]
    assert await keeping.kept() == {"S0": (5, False)} | {f"S{n}": (3, False) for n in range(1, 9)}


@pytest.mark.rule("Q-04")
@pytest.mark.parametrize("wrap", [Outage, FailingCommit])
async def test_what_cannot_be_stored_now_is_stored_later_in_its_order(database: Database, wrap: Any) -> None:
    keeping = Keeping(database, wrap)
    await keeping.keep(pushed("S1"), pushed("S2"))
    keeping.door.away = True
    await keeping.keep(pushed("S1", last_updated="2026-03-01T12:10:00Z", kwh=1), pushed("S2"))
    await keeping.keep(patched("S1", 20, kwh=2))
    await keeping.mark_stale(patched("S2"))
    assert (len(keeping.later), await keeping.kept()) == (4, {"S1": (1, False), "S2": (1, False)})
    assert not await keeping.later.work_off()
    keeping.door.away = False
    assert await keeping.later.work_off()
    assert await keeping.kept() == {"S1": (3, False), "S2": (2, True)}
    [(body,)] = await keeping.rows("SELECT body FROM kept_object WHERE key_folded = 'S1'")
    assert json.decode(body)["kwh"] == 2


@pytest.mark.promise("Q-06")
async def test_what_is_dated_days_ahead_is_not_kept_and_wins_against_nothing(database: Database) -> None:
    keeping = Keeping(database)
    ahead = (NOW + timedelta(hours=25)).strftime("%Y-%m-%dT%H:%M:%SZ")
    await keeping.keep(pushed("S1"), pushed("S2", last_updated=ahead))
    await keeping.keep(pushed("S1", Method.PATCH, json.encode({"kwh": 1, "last_updated": ahead})))
    assert await keeping.kept() == {"S1": (1, True)}
    await keeping.keep(pushed("S1"), pushed("S2"))
    assert await keeping.kept() == {"S1": (2, False), "S2": (1, False)}


@pytest.mark.promise("Q-01")
async def test_a_copy_that_is_older_than_what_the_receiver_has_is_not_sent(database: Database) -> None:
    keeping, store = Keeping(database), PostgresStore(database)
    key = ObjectKey(CPO, ModuleID.sessions, "S1", str(EMSP))
    await keeping.keep(pushed("S1"))
    known = await store.state(key)
    assert known is not None
    await keeping.mark_stale(patched("S1"))
    assert await store.state(key) is None
    await keeping.keep(patched("S1", kwh=2))
    assert await store.state(key) is None  # what it adds to is not what the receiver has
    await keeping.keep(patched("S1", kwh=3), pushed("S1", last_updated="2026-03-01T12:40:00Z"), patched("S1", 41))
    assert (await store.state(key)).version == known.version + 4  # type: ignore[union-attr]


@pytest.mark.promise("Q-06")
async def test_what_is_older_than_the_copy_makes_it_no_older(database: Database) -> None:
    keeping = Keeping(database)
    await keeping.keep(pushed("S1", last_updated="2026-03-01T12:30:00Z"), pushed("S2"))
    await keeping.mark_stale(patched("S1", 29))
    older, broken = patched("S1", 29), pushed("S2", Method.PATCH, b'{"last_updated":7}')
    await asyncio.gather(*(keeping.mark_stale(request) for request in (older, broken)))
    assert await keeping.kept() == {"S1": (1, False), "S2": (1, True)}


async def test_a_full_queue_is_no_reason_to_lose_what_was_delivered(database: Database) -> None:
    keeping = Keeping(database, at_once=1, limit=0, delivered_limit=2)
    keeping.door.open.clear()
    first = asyncio.create_task(keeping.keep(pushed("S0")))
    await eventually(lambda: keeping.door.begun == 1)
    others = asyncio.create_task(keeping.keep(*(pushed(f"S{n}") for n in range(1, 5))))
    await eventually(lambda: len(keeping.later) == 2)
    keeping.door.open.set()
    await asyncio.gather(first, others)
    assert await keeping.later.work_off()
    assert await keeping.kept() == {f"S{n}": (1, False) for n in range(5)}


@pytest.mark.promise("Q-09")
async def test_nobody_waits_for_ever_and_what_was_given_up_is_stored_once(database: Database) -> None:
    keeping = Keeping(database, at_once=1, within=timedelta(milliseconds=50))
    keeping.door.open.clear()
    async with asyncio.TaskGroup() as group:
        group.create_task(keeping.keep(pushed("S0")))
        await eventually(lambda: keeping.door.begun == 1)
        group.create_task(keeping.keep(patched("S0", kwh=1)))
    assert len(keeping.later) == 2
    keeping.door.open.set()
    assert await keeping.later.work_off()
    assert await keeping.kept() == {"S0": (2, False)}


@pytest.mark.rule("Q-07")
async def test_what_cannot_be_kept_leaves_a_stale_copy_and_is_told(database: Database) -> None:
    keeping = Keeping(database)
    await keeping.keep(pushed("S1"), pushed("S2"))
    with capture_logs() as logged:
        broken = pushed("S1", Method.PATCH, b'{"last_updated":7}')
        await keeping.keep(broken, pushed("S2"), patched("S9"), pushed("S2", body=b"{}"))
    assert await keeping.kept() == {"S1": (1, True), "S2": (2, True)}
    assert sorted((entry["event"], entry["log_level"]) for entry in logged) == [
        ("not kept", "error"),
        ("not kept", "error"),
        ("not kept", "info"),
    ]
    await keeping.keep(pushed("S1"), pushed("S2"))
    assert await keeping.kept() == {"S1": (2, False), "S2": (3, False)}


async def test_a_stale_mark_keeps_its_place_among_the_pushes_of_its_object(database: Database) -> None:
    keeping = Keeping(database)
    await keeping.keep(pushed("S1"), pushed("S2"))
    keep, stale = keeping.passed.keep, keeping.passed.mark_stale
    calls = [(stale, "S1"), (keep, "S1"), (keep, "S2"), (stale, "S2"), (stale, "S3"), (keep, "S4"), (stale, "S4")]
    await asyncio.gather(*(call(pushed(id), SESSIONS, CPO, EMSP) for call, id in calls))
    assert await keeping.kept() == {"S1": (2, False), "S2": (2, True), "S4": (1, True)}


@pytest.mark.rule("S-10")
@pytest.mark.parametrize("seeded", [True, False], ids=["living", "new"])
async def test_what_is_written_with_a_change_is_committed_with_it_or_not_at_all(
    database: Database, seeded: bool
) -> None:
    keeping = Keeping(database)
    if seeded:
        await keeping.keep(*(pushed(id) for id in ("S1", "S2", "S3")))
    said: list[tuple[str, int]] = []

    async def owe(connection: Any, key: ObjectKey, version: int) -> None:
        if key.key_folded == "S2":
            raise ValueError
        said.append((key.key_folded, version))
        await connection.execute("UPDATE kept_object SET correlation_id = 'owed' WHERE key_folded = $1", key.key_folded)

    with capture_logs() as logged:
        await asyncio.gather(
            keeping.keep(pushed("S1"), pushed("S2"), pushed("S1", last_updated="2026-03-01T11:00:00Z"), then=owe),
            keeping.keep(pushed("S3")),
        )
    assert ("S1", 1 + seeded) in said
    rows = await keeping.rows("SELECT key_folded, version, correlation_id FROM kept_object ORDER BY 1")
    expected = [("S1", 1 + seeded, "owed"), ("S2", 1, "corr-S2"), ("S3", 1 + seeded, "corr-S3")]
    assert rows == (expected if seeded else [row for row in expected if row[0] != "S2"])
    assert "not kept" in [entry["event"] for entry in logged]


@pytest.mark.promise("Q-04", "F-51")
async def test_what_waits_is_stored_also_in_a_database_that_lacks_what_this_process_made_in_the_former(
    hub_database: FreshDatabase, database: Database
) -> None:
    keeping = Keeping(database, Outage)
    await keeping.keep(pushed("S0"))  # with it, the day's partition of the change log
    keeping.door.away = True
    await keeping.keep(pushed("S1"))
    owner = await asyncpg.connect(hub_database.owner_dsn)
    try:
        await owner.execute(f"DROP TABLE change_log_{NOW:%Y_%m_%d}")
    finally:
        await owner.close()
    keeping.door.away = False
    assert await keeping.later.work_off()
    assert set(await keeping.kept()) == {"S0", "S1"}
