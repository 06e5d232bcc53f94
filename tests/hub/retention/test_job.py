"""What is dropped and what stays, by whom, and what becomes known of it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from hub.clearing.pages import CdrShelves
from hub.db.engine import Database
from hub.objects import changelog
from hub.objects.changelog import Position
from hub.objects.pages import Asking, Found, Pages
from hub.retention import job
from hub.retention.job import Retention
from ocpi_modules.paging import PageRequest
from ocpi_modules.spec import ModuleID
from tests.hub.network import EMSP
from tests.hub.support import opened
from tests.support.postgres import FreshDatabase

CHANGE = (
    "INSERT INTO change_log (changed_at, owner, module, key_folded, audience, version) "
    "VALUES ($1, 'NL*CPO', 'locations', $2, '*', 1)"
)


def now() -> datetime:
    return datetime.now(UTC)


def ago(**given: int) -> datetime:
    return now() - timedelta(**given)


@pytest.fixture
async def database(hub_database: FreshDatabase) -> AsyncIterator[Database]:
    async with opened(hub_database.app_dsn) as built:
        yield built


def retention(database: Database, **options: int) -> Retention:
    return Retention(database, now, **{"trace_days": 30, "cdr_years": 10} | options)


async def fetch(database: Database, query: str, *arguments: Any) -> list[Any]:
    async with database.connection() as connection:
        return [tuple(row) for row in await connection.fetch(query, *arguments)]


async def partitions(database: Database, table: str) -> set[str]:
    query = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = $1::text::regclass"
    return {row[0].removeprefix(f"{table}_") for row in await fetch(database, query, table)}


async def changed(database: Database, moment: datetime, key: str) -> Position:
    await fetch(database, "SELECT ensure_change_log_partition($1)", moment)
    ((xid, seq),) = await fetch(database, f"{CHANGE} RETURNING xid::text, seq", moment, key)
    return Position(int(xid), seq)


async def due(owner_dsn: str) -> None:
    connection = await asyncpg.connect(owner_dsn)
    await connection.execute("UPDATE job SET due_at = now(), ran_at = now() - interval '2 days'")
    await connection.close()


def day(moment: datetime) -> str:
    return f"{moment:%Y_%m_%d}"


async def test_partitions_of_the_next_days_are_made(database: Database, hub_database: FreshDatabase) -> None:
    tomorrow = day(now() + timedelta(days=1))
    connection = await asyncpg.connect(hub_database.owner_dsn)
    await connection.execute(f"DROP TABLE trace_{tomorrow}, change_log_{tomorrow}")
    await connection.close()
    assert await retention(database).once()
    for table in ("trace", "change_log"):
        assert {day(now() + timedelta(days=ahead)) for ahead in range(8)} <= await partitions(database, table)
    assert f"{now():%Y_%m}" in await partitions(database, "cdr")


@pytest.mark.promise("Q-01")
async def test_the_change_log_says_from_where_it_can_still_be_read(database: Database) -> None:
    async with database.connection() as connection:
        assert await changelog.floor(connection) == Position(0, 0)
    first = await changed(database, ago(days=17), "A")
    last = await changed(database, ago(days=16), "B")
    kept = await changed(database, ago(days=13), "C")
    assert await retention(database).once()
    assert [key for (key,) in await fetch(database, "SELECT key_folded FROM change_log")] == ["C"]
    async with database.connection() as connection:
        floor = await changelog.floor(connection)
    assert first < floor == last < kept


@pytest.mark.promise("Q-01")
async def test_a_floor_of_another_cluster_means_nothing_here(database: Database, hub_database: FreshDatabase) -> None:
    await changed(database, ago(days=16), "A")
    assert await retention(database).once()
    connection = await asyncpg.connect(hub_database.owner_dsn)
    await connection.execute("UPDATE change_log_floor SET system_identifier = 1, xid = '999999999'")
    assert await changelog.floor(connection) == Position(0, 0)
    await due(hub_database.owner_dsn)
    position = await changed(database, ago(days=18), "B")
    assert await retention(database).once()
    assert await changelog.floor(connection) == position
    await connection.close()


@pytest.mark.promise("F-51", "Q-01")
async def test_dropped_rows_of_a_backups_own_cluster_set_no_floor_that_nobody_here_reaches(
    database: Database, hub_database: FreshDatabase
) -> None:
    ours = await changed(database, ago(days=16), "A")
    connection = await asyncpg.connect(hub_database.owner_dsn)
    for id, days in (("B", 16), ("C", 17)):
        await changed(database, ago(days=days), id)
        await connection.execute("UPDATE change_log SET xid = '900000000000' WHERE key_folded = $1", id)
    assert await retention(database).once()
    assert await connection.fetchval("SELECT count(*) FROM change_log") == 0
    assert await changelog.floor(connection) == ours
    await connection.close()


@pytest.mark.rule("U-38")
async def test_traces_are_kept_as_long_as_is_set(database: Database) -> None:
    for moment in (ago(days=4), ago(days=2)):
        await fetch(database, "SELECT ensure_trace_partition($1)", moment)
    assert await retention(database, trace_days=3).once()
    found = await partitions(database, "trace")
    assert (day(ago(days=4)) in found, day(ago(days=2)) in found) == (False, True)


CDR = (
    "WITH identity AS (INSERT INTO cdr_identity VALUES ('NL*CPO', $1, 'h', 1, $2)) INSERT INTO cdr (owner, id_folded, "
    "received_at, receiver, last_updated, body, owner_place, receiver_place) VALUES ('NL*CPO', $1, $2, 'DE*MSP', $2, '', $3, $3)"
)
COUNTS = (
    "INSERT INTO object_count (owner, module, audience, count, listed) "
    "VALUES ('NL*CPO', 'cdrs', '=', 2, 2), ('NL*CPO', 'cdrs', 'DE*MSP', 2, 2)"
)


@pytest.mark.rule("U-38")
async def test_the_identity_of_a_cdr_outlives_its_body_and_lists_count_what_is_left(database: Database) -> None:
    await fetch(database, COUNTS)
    for id, moment, place in (("OLD", ago(days=366 * 2 + 60), 1), ("NEW", ago(days=366), 2)):
        await fetch(database, "SELECT ensure_cdr_partition($1)", moment)
        await fetch(database, CDR, id, moment, place)
    assert await retention(database, cdr_years=2).once()
    assert await fetch(database, "SELECT id_folded FROM cdr") == [("NEW",)]
    assert sorted(await fetch(database, "SELECT id_folded FROM cdr_identity")) == [("NEW",), ("OLD",)]
    assert await fetch(database, "SELECT DISTINCT count, listed FROM object_count") == [(1, 2)]


@pytest.mark.rule("U-38")
async def test_tombstones_and_expired_tickets_go_and_younger_ones_stay(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "PORTION", 1)
    for id, buried in (("OLD", ago(days=401)), ("OLDER", ago(days=500)), ("NEW", ago(days=399)), ("UNDATED", None)):
        await fetch(
            database,
            "INSERT INTO kept_object (owner, module, key_folded, audience, created_seq, version, last_updated, body, deleted, "
            "buried_at) VALUES ('NL*CPO', 'tariffs', $1, '*', 1, 1, '2020-01-01Z', '', true, $2)",
            id,
            buried,
        )
    for reference, until in (("GONE", ago(days=1)), ("GONE2", ago(days=1)), ("ALIVE", ago(days=-1))):
        await fetch(
            database,
            "INSERT INTO ticket (reference, kind, module, url, asker, addressee, expires_at) "
            "VALUES ($1, 'LINK', 'tokens', 'x', 'a', 'b', $2)",
            reference,
            until,
        )
        await fetch(
            database,
            "INSERT INTO known_route (owner, kind, reference_folded, partner, noted_at, expires_at) "
            "VALUES ('a', 'SESSION', $1, 'b', $2, $2)",
            reference,
            until,
        )
    assert await retention(database).once()
    left = "SELECT key_folded, buried_at IS NULL FROM kept_object ORDER BY key_folded"
    assert await fetch(database, left) == [("NEW", False), ("UNDATED", False)]
    assert await fetch(database, "SELECT reference FROM ticket") == [("ALIVE",)]
    assert await fetch(database, "SELECT reference_folded FROM known_route") == [("ALIVE",)]


async def test_of_two_processes_one_does_it(
    database: Database, hub_database: FreshDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[Any] = []
    do = Retention._do

    async def counted(self: Retention) -> bool:
        done.append(self.id)
        return await do(self)

    monkeypatch.setattr(Retention, "_do", counted)
    async with opened(hub_database.app_dsn) as other:
        one, two = retention(database), retention(other)
        assert sorted(await asyncio.gather(one.once(), two.once())) == [False, True]
        assert not await one.once()
        assert not await two.once()
    assert len(done) == 1


async def test_who_died_in_it_is_followed_by_another_and_does_not_go_on(
    database: Database, hub_database: FreshDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "LEASE_SECONDS", 0.0)
    frozen, other = retention(database), retention(database)
    reached, free = asyncio.Event(), asyncio.Event()
    steps: list[int] = []

    async def went_on(connection: Any) -> int:
        steps.append(1)
        return 0

    async def freeze() -> bool:
        reached.set()
        await free.wait()
        return await frozen._step(went_on) is not None

    monkeypatch.setattr(frozen, "_do", freeze)
    running = asyncio.create_task(frozen.once())
    await reached.wait()
    assert await other.once()
    free.set()
    assert await running
    ((holder, fresh),) = await fetch(database, "SELECT holder, ran_at > now() - interval '1 minute' FROM job")
    assert (holder, fresh, steps) == (None, True, [])


async def test_a_lock_in_the_way_puts_it_off_and_it_is_tried_again(
    database: Database, hub_database: FreshDatabase
) -> None:
    await changed(database, ago(days=16), "A")
    await due(hub_database.owner_dsn)
    writer = await asyncpg.connect(hub_database.app_dsn)
    transaction = writer.transaction()
    await transaction.start()
    await writer.execute(CHANGE, now(), "B")
    assert await retention(database).once()
    ((late, soon),) = await fetch(
        database, "SELECT ran_at < now() - interval '1 day', due_at < now() + interval '10 minutes' FROM job"
    )
    assert (late, soon) == (True, True)
    await transaction.commit()
    await writer.close()
    await due(hub_database.owner_dsn)
    assert await retention(database).once()
    assert [key for (key,) in await fetch(database, "SELECT key_folded FROM change_log")] == ["B"]


@pytest.mark.parametrize(
    ("table", "before", "words"),
    [
        ("cdr_identity", ago(days=9999), "never dropped"),
        ("kept_object", ago(days=9999), "never dropped"),
        ("platform", ago(days=9999), "never dropped"),
        ("trace", ago(hours=23), "kept for 1 day"),
        ("change_log", ago(days=13), "kept for 14 days"),
        ("cdr", ago(days=365), "kept for 366 days"),
        ("cdr", None, "kept for 366 days"),
    ],
)
async def test_the_owners_function_drops_nothing_else_and_nothing_young(
    database: Database, table: str, before: datetime | None, words: str
) -> None:
    with pytest.raises(asyncpg.RaiseError, match=words):
        await fetch(database, "SELECT drop_oldest_partition($1, $2)", table, before)


async def test_the_application_cannot_drop_by_itself(database: Database) -> None:
    name = f"change_log_{day(now())}"
    for statement in (
        f"DROP TABLE {name}",
        "DELETE FROM change_log",
        "UPDATE change_log_floor SET seq = 0",
        "DELETE FROM trace",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await fetch(database, statement)


async def test_lists_of_cdrs_begin_behind_those_whose_time_is_over(database: Database) -> None:
    """With an offset too, and also where two were taken in the other order at the turn of a month."""
    await fetch(database, COUNTS.replace("2, 2", "5, 5"))
    old, young = ago(days=366 * 2 + 60), ago(days=366)
    for id, moment, place in (("A", old, 1), ("B", young, 2), ("C", old, 3), ("D", young, 4), ("E", young, 5)):
        await fetch(database, "SELECT ensure_cdr_partition($1)", moment)
        await fetch(database, CDR.replace("$2, '', $3", "$2, convert_to(upper($1), 'UTF8'), $3"), id, moment, place)
    assert await retention(database, cdr_years=2).once()
    pages = Pages(database, CdrShelves())

    async def page(offset: int) -> Found:
        asked = Asking(
            ModuleID.cdrs, EMSP, PageRequest(cap=9, offset=offset, limit=2), lambda owner: True, others=True, own=False
        )
        return await pages.read(asked)

    assert [(found.bodies, found.total) for found in [await page(0), await page(1)]] == [(b"B,D", 3), (b"D,E", 3)]
    assert {b for offset in range(3) for b in (await page(offset)).bodies.split(b",")} == {b"B", b"D", b"E"}


@pytest.mark.rule("U-38")
@pytest.mark.promise("Q-01")
@pytest.mark.parametrize(
    ("state", "guaranteed", "stays"),
    [("RECEIVED", True, True), ("UNDELIVERED", True, True), ("IN_DOUBT", True, True), ("DELIVERED", True, False),
     ("UNDELIVERED", False, False)],
)  # fmt: skip
async def test_a_month_that_holds_what_is_still_to_be_delivered_stays_and_younger_ones_go(
    database: Database, hub_database: FreshDatabase, state: str, guaranteed: bool, stays: bool
) -> None:
    """Lists miss nothing of what is left, also by offset."""
    await fetch(database, COUNTS.replace("2, 2", "4, 4"))
    oldest, old, young = ago(days=366 * 2 + 120), ago(days=366 * 2 + 60), ago(days=366)
    for id, moment, place in (("A", oldest, 1), ("B", oldest, 2), ("C", old, 3), ("D", young, 4)):
        await fetch(database, "SELECT ensure_cdr_partition($1)", moment)
        await fetch(database, CDR.replace("$2, '', $3", "$2, convert_to(upper($1), 'UTF8'), $3"), id, moment, place)
    await fetch(
        database,
        "INSERT INTO cdr_delivery (owner, id_folded, receiver, state, reference, guaranteed, attempts, changed_at) "
        "VALUES ('NL*CPO', 'A', 'DE*MSP', $1, 'r', $2, 0, now())",
        state,
        guaranteed,
    )
    assert await retention(database, cdr_years=2).once()
    left = {"A", "B", "D"} if stays else {"D"}
    assert {id for (id,) in await fetch(database, "SELECT id_folded FROM cdr")} == left
    pages = Pages(database, CdrShelves())
    seen = set()
    for offset in range(len(left)):
        page = PageRequest(cap=9, offset=offset, limit=1)
        asked = Asking(ModuleID.cdrs, EMSP, page, lambda owner: True, others=True, own=False)
        found = await pages.read(asked)
        assert found.total == len(left)
        seen.add(found.bodies.decode())
    assert seen == left
    await fetch(database, "UPDATE cdr_delivery SET state = 'DELIVERED'")
    await due(hub_database.owner_dsn)
    assert await retention(database, cdr_years=2).once()
    assert await fetch(database, "SELECT id_folded FROM cdr") == [("D",)]
