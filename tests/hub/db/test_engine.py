"""Connections at run time: deadlines, outages, and going on afterwards. The server is a real one, of its own."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import asyncpg
import pytest

from hub.db import at_hand, postmaster, same_database
from hub.db.embedded import EmbeddedPostgres, open_embedded
from hub.db.engine import Collided, Database, DatabaseAway, open_pool
from tests.support.family import standing_still
from tests.support.postgres import FAST, FreshDatabase


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A server that these tests may stop, freeze and crash; it keeps what it acknowledged."""
    durable = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "deadlock_timeout": "10ms"}
    with open_embedded(tmp_path_factory.mktemp("frail"), {**FAST, **durable}) as frail:
        frail.ensure_database("hub", member_of="ocpi_hub_app")
        yield frail


@pytest.fixture
async def database(server: EmbeddedPostgres) -> AsyncIterator[Database]:
    pool = await open_pool(server.owner_dsn(), max_size=4, application_name="test")
    database = Database(pool)
    async with database.transaction() as connection:
        await connection.execute("DROP TABLE IF EXISTS kept")
        await connection.execute("CREATE TABLE kept (number int PRIMARY KEY)")
    yield database
    await database.close()


async def ask(database: Database) -> int:
    async with database.connection() as connection:
        return await connection.fetchval("SELECT 1")


async def recovered(database: Database, seconds: float = 5.0) -> None:
    """Wait until the database answers again."""
    async with asyncio.timeout(seconds):
        while True:
            try:
                assert await ask(database) == 1
                return
            except DatabaseAway:
                await asyncio.sleep(0.01)


async def keep(database: Database, number: int) -> None:
    async with database.transaction() as connection:
        await connection.execute("INSERT INTO kept VALUES ($1) ON CONFLICT DO NOTHING", number)


async def keep_then_fail(database: Database, number: int) -> None:
    async with database.transaction() as connection:
        await connection.execute("INSERT INTO kept VALUES ($1)", number)
        raise KeyError("of the caller")


async def kept(database: Database) -> set[int]:
    async with database.connection() as connection:
        return {row["number"] for row in await connection.fetch("SELECT number FROM kept")}


async def test_a_transaction_is_committed_at_its_end_and_rolled_back_by_an_error(database: Database) -> None:
    await keep(database, 1)
    with pytest.raises(KeyError):
        await keep_then_fail(database, 2)
    assert await kept(database) == {1}


async def test_a_mistake_in_a_statement_is_not_taken_for_an_outage(database: Database) -> None:
    with pytest.raises(asyncpg.UndefinedTableError):
        async with database.transaction() as connection:
            await connection.execute("SELECT * FROM nowhere")
    with pytest.raises(asyncpg.InterfaceError):
        async with database.connection() as connection:
            await connection.fetchval("SELECT $1::int")
    assert await ask(database) == 1


async def test_no_statement_is_sent_besides_the_callers_own(server: EmbeddedPostgres) -> None:
    pool = await open_pool(server.owner_dsn(), max_size=1, application_name="no_reset")
    database = Database(pool)
    assert await ask(database) == 1
    admin = await asyncpg.connect(server.dsn("hub"))
    last = await admin.fetchval("SELECT query FROM pg_stat_activity WHERE application_name = 'no_reset'")
    await admin.close()
    await database.close()
    assert last == "SELECT 1"


async def test_the_server_ends_statements_and_idle_transactions_by_itself(database: Database) -> None:
    async with database.connection() as connection:
        assert await connection.fetchval("SHOW statement_timeout") == "5s"
        assert await connection.fetchval("SHOW idle_in_transaction_session_timeout") == "10s"


async def test_a_slow_statement_is_away_after_the_deadline_and_the_pool_goes_on(database: Database) -> None:
    began = time.monotonic()
    with pytest.raises(DatabaseAway, match=r"too slow: \w"):
        async with database.transaction(deadline=0.3) as connection:
            await connection.execute("SELECT pg_sleep(30)")
    assert time.monotonic() - began < 2
    assert await asyncio.gather(*(ask(database) for _ in range(8))) == [1] * 8


async def test_waiting_for_a_connection_ends_at_the_deadline(server: EmbeddedPostgres) -> None:
    pool = await open_pool(server.owner_dsn(), max_size=1, application_name="full")
    database = Database(pool, deadline=0.2)
    async with database.connection(deadline=5):
        with pytest.raises(DatabaseAway):
            await ask(database)
    assert await ask(database) == 1
    await database.close()


async def test_a_cancelled_caller_gives_its_connection_back(server: EmbeddedPostgres) -> None:
    pool = await open_pool(server.owner_dsn(), max_size=1, application_name="cancelled")
    database = Database(pool)
    began = asyncio.Event()

    async def sleep() -> None:
        async with database.transaction() as connection:
            began.set()
            await connection.execute("SELECT pg_sleep(30)")

    task = asyncio.create_task(sleep())
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await ask(database) == 1
    await database.close()


async def test_nobody_waits_for_a_connection_that_is_at_hand(
    server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(at_hand, "KEPT_SECONDS", 3600)
    database = Database(await open_pool(server.owner_dsn(), max_size=2, application_name="at_hand"))
    assert await asyncio.gather(*(ask(database) for _ in range(40))) == [1] * 40
    began = time.monotonic()
    await database.close()
    assert time.monotonic() - began < 2


@pytest.mark.promise("Q-09")
async def test_reserved_connections_are_there_while_all_others_are_taken(
    server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(at_hand, "KEPT_SECONDS", 3600)
    pool = await open_pool(server.owner_dsn(), max_size=3, application_name="reserved")
    database = Database(pool, deadline=0.3, reserved=1)
    assert await asyncio.gather(*(ask(part) for part in (database, database.prompt) for _ in range(20))) == [1] * 40
    async with AsyncExitStack() as taken:
        for _ in range(2):
            await taken.enter_async_context(database.connection(5))
        assert await asyncio.gather(*(ask(database.prompt) for _ in range(20))) == [1] * 20
        with pytest.raises(DatabaseAway):
            await ask(database)
    assert database.prompt.prompt is database.prompt
    assert database.prompt.moved is database.moved
    began = time.monotonic()
    await database.close()
    assert time.monotonic() - began < 2
    assert pool.get_size() == 0


async def test_connections_at_hand_go_back_to_the_pool(
    server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(at_hand, "KEPT_SECONDS", 0.01)
    pool = await open_pool(server.owner_dsn(), max_size=2, application_name="at_hand")
    database = Database(pool)
    assert await asyncio.gather(ask(database), ask(database)) == [1, 1]
    async with asyncio.timeout(5):
        while pool.get_idle_size() < 2:
            await asyncio.sleep(0.001)
    assert await ask(database) == 1
    await database.close()


async def test_a_connection_that_was_cut_at_hand_is_replaced_unnoticed(
    server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(at_hand, "KEPT_SECONDS", 3600)
    pool = await open_pool(server.owner_dsn(), max_size=1, application_name="at_hand")
    database = Database(pool)
    async with database.connection() as connection:
        pid = await connection.fetchval("SELECT pg_backend_pid()")
    admin = await asyncpg.connect(server.dsn("hub"))
    await admin.execute("SELECT pg_terminate_backend($1)", pid)
    await admin.close()
    async with asyncio.timeout(5):
        while pool.get_size():
            await asyncio.sleep(0.001)
    assert await ask(database) == 1
    await database.close()


async def test_a_transaction_that_a_block_left_open_is_rolled_back(server: EmbeddedPostgres) -> None:
    database = Database(await open_pool(server.owner_dsn(), max_size=1, application_name="at_hand"))
    async with database.connection() as connection:
        await connection.execute("BEGIN")
    async with database.connection() as connection:
        assert not connection.is_in_transaction()
    await database.close()


@pytest.mark.rule("F-09")
async def test_killed_backends_are_away_and_a_repeated_transaction_has_its_effect_once(
    server: EmbeddedPostgres, database: Database
) -> None:
    admin = await asyncpg.connect(server.dsn("hub"))
    lost = asyncio.Event()
    written = asyncio.Semaphore(0)

    async def write(number: int) -> None:
        while True:
            try:
                await keep(database, number)
                return written.release()
            except DatabaseAway:
                lost.set()

    async def kill() -> None:
        """Once more after each few that were written: how fast this machine is decides how often, not whether it ends."""
        while not writers.done():
            await admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'test'"
            )
            for _ in range(3):
                await asyncio.wait(
                    [writers, waiting := asyncio.ensure_future(written.acquire())], return_when=asyncio.FIRST_COMPLETED
                )
                waiting.cancel()

    writers = asyncio.gather(*(write(number) for number in range(300)))
    await asyncio.gather(writers, kill())
    await admin.close()
    assert lost.is_set()
    await recovered(database)
    assert await kept(database) == set(range(300))


@pytest.mark.rule("F-07", "Q-04")
async def test_a_crashed_server_is_away_keeps_what_was_acknowledged_and_comes_back_under_the_open_pool(
    server: EmbeddedPostgres, database: Database
) -> None:
    acknowledged: set[int] = set()
    for crash in range(3):
        going = asyncio.Event()

        async def write(first: int, going: asyncio.Event) -> None:
            for number in range(first, first + 100_000):
                await keep(database, number)
                acknowledged.add(number)
                going.set()

        writers = [asyncio.create_task(write((crash * 4 + at) * 100_000, going)) for at in range(4)]
        async with asyncio.timeout(10):
            await going.wait()
        await asyncio.to_thread(server.stop, immediate=True)
        ends = await asyncio.wait_for(asyncio.gather(*writers, return_exceptions=True), 10)
        assert {type(end) for end in ends} == {DatabaseAway}
        began = time.monotonic()
        with pytest.raises(DatabaseAway):
            await ask(database)
        assert time.monotonic() - began < 9
        await asyncio.to_thread(server.start)
        await recovered(database)
    assert acknowledged
    assert acknowledged <= await kept(database)


@pytest.mark.rule("F-08")
@pytest.mark.parametrize("whole_tree", [True, False], ids=["with its backends", "the postmaster alone"])
async def test_a_frozen_server_is_away_within_the_deadline_and_nothing_piles_up(
    server: EmbeddedPostgres, whole_tree: bool
) -> None:
    pool = await open_pool(server.owner_dsn(), max_size=3, application_name="frozen")
    database = Database(pool)
    with standing_still(server.pid, with_children=whole_tree):
        began = time.monotonic()
        if not whole_tree:
            await pool.expire_connections()  # new ones must be made, which a frozen postmaster never does
        answers = await asyncio.gather(*(ask(database) for _ in range(20)), return_exceptions=True)
        assert {type(answer) for answer in answers} == {DatabaseAway}
        assert time.monotonic() - began < 9  # one after the other they would take half a minute
    await recovered(database)
    assert len(asyncio.all_tasks()) == 1
    await database.close()


async def test_a_pool_that_finds_no_server_says_so_at_once(server: EmbeddedPostgres) -> None:
    await asyncio.to_thread(server.stop)
    try:
        assert postmaster.find_running(server.data) is None
        with pytest.raises(DatabaseAway, match="cannot be reached"):
            await open_pool(server.owner_dsn(), max_size=2, application_name="early")
    finally:
        await asyncio.to_thread(server.start)


async def test_the_runtime_role_is_neither_superuser_nor_owner(hub_database: FreshDatabase) -> None:
    database = Database(await open_pool(hub_database.app_dsn, max_size=1, application_name="app"))
    async with database.connection() as connection:
        plain = "SELECT NOT (rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls) FROM pg_roles WHERE rolname = current_user"
        assert await connection.fetchval(plain)
        assert await connection.fetchval("SELECT pg_has_role('ocpi_hub_app', 'member')")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("CREATE TABLE of_the_app (id int)")
    await database.close()


async def test_each_test_has_a_fresh_database_of_the_adapter_too(adapter_database: FreshDatabase) -> None:
    connection = await asyncpg.connect(adapter_database.app_dsn)
    assert await connection.fetchval("SELECT current_user") == "adapter_app"
    await connection.close()


async def test_the_adapters_role_cannot_enter_the_hubs_database(
    hub_database: FreshDatabase, adapter_database: FreshDatabase
) -> None:
    intruder = hub_database.app_dsn.replace("hub_app@", "adapter_app@")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await asyncpg.connect(intruder)


async def test_a_commit_is_waited_for_whatever_the_servers_default_is(hub_database: FreshDatabase) -> None:
    admin = await asyncpg.connect(hub_database.admin_dsn)
    settings = "SHOW synchronous_commit"
    try:
        for default, wanted in (("off", "on"), ("remote_apply", "remote_apply")):
            await admin.execute(
                f"ALTER ROLE hub_app IN DATABASE {hub_database.name} SET synchronous_commit = '{default}'"
            )
            database = Database(await open_pool(hub_database.app_dsn, max_size=1, application_name="durable"))
            async with database.connection() as connection:
                assert await connection.fetchval(settings) == wanted
            await database.close()
    finally:
        await admin.close()


async def test_a_server_that_tells_nobody_its_timeline_can_be_used(hub_database: FreshDatabase) -> None:
    admin = await asyncpg.connect(hub_database.admin_dsn)
    await admin.execute("REVOKE EXECUTE ON FUNCTION pg_walfile_name(pg_lsn) FROM PUBLIC")
    await admin.close()
    database = Database(await open_pool(hub_database.app_dsn, max_size=2, application_name="hosted"))
    async with database.connection() as one, database.connection() as other:
        assert [await connection.fetchval("SELECT 1") for connection in (one, other)] == [1, 1]
    await database.close()


@pytest.mark.rule("F-11")
async def test_of_two_that_wait_for_each_other_one_is_told_to_come_again(database: Database) -> None:
    """As if PostgreSQL was away: whoever calls answers 503 with Retry-After. The connection stays good."""
    for number in (1, 2):
        await keep(database, number)
    both = asyncio.Barrier(2)

    async def take(*numbers: int) -> None:
        async with database.transaction() as connection:
            for number in numbers:
                await connection.execute("UPDATE kept SET number = number WHERE number = $1", number)
                if number == numbers[0]:
                    await both.wait()

    ends = await asyncio.gather(take(1, 2), take(2, 1), return_exceptions=True)
    assert [type(end) for end in ends if end is not None] == [Collided]
    assert isinstance(next(end for end in ends if end is not None), DatabaseAway)
    assert await kept(database) == {1, 2}


@pytest.mark.rule("F-11")
@pytest.mark.parametrize("alone", [True, False], ids=["a statement", "a transaction"])
async def test_who_comes_too_late_to_a_row_is_told_to_come_again(database: Database, alone: bool) -> None:
    await keep(database, 1)
    with pytest.raises(Collided, match="could not serialize"):
        async with database.connection() if alone else database.transaction() as connection:
            await connection.execute(
                "DO $$ BEGIN RAISE serialization_failure USING MESSAGE = 'could not serialize access'; END $$"
            )
    assert await ask(database) == 1


@pytest.mark.rule("Q-04")
async def test_who_is_cancelled_while_its_connection_leads_elsewhere_ends(
    server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    timelines = iter(["one", "another"])

    async def timeline(connection: object) -> str:
        return next(timelines)

    monkeypatch.setattr(same_database, "_timeline", timeline)
    loops: list[asyncio.Task[None]] = []
    pool = await open_pool(
        server.owner_dsn(),
        max_size=4,
        application_name="test",
        moved=lambda: [loop.cancel() for loop in loops] and None,
    )
    database = Database(pool)

    async def loop() -> None:
        with contextlib.suppress(DatabaseAway):
            async with database.connection():
                pass
        await asyncio.Event().wait()

    async with database.connection(60):  # the one there is
        loops.append(asyncio.create_task(loop()))
        await asyncio.wait(loops, timeout=20)
    assert loops[0].cancelled()
    await database.close()
