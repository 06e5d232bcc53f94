"""The migrations runner, on revisions made for the test and on the hub's own."""

import asyncio
import concurrent.futures
import shutil
from pathlib import Path

import asyncpg
import pytest

from hub.db.migrate import MIGRATIONS, MigrationError, pending, upgrade
from tests.support.postgres import FreshDatabase

TABLE = "other_schema_version"
REVISION = '''"""A revision."""
from alembic import op
revision = "{name}"
down_revision = {after!r}
def upgrade():
    {body}
'''


@pytest.fixture
def revisions(tmp_path: Path) -> Path:
    """A folder of two revisions, in a path with a space and a percent sign."""
    folder = tmp_path / "a 100% folder"
    (folder / "versions").mkdir(parents=True)
    shutil.copy(MIGRATIONS / "env.py", folder)
    add(folder, "0001", None, "op.execute('CREATE TABLE one (id int)'); op.execute('SELECT pg_sleep(0.2)')")
    add(folder, "0002", "0001", "op.execute('CREATE TABLE two (id int)')")
    return folder


def add(folder: Path, name: str, after: str | None, body: str) -> None:
    (folder / "versions" / f"{name}.py").write_text(REVISION.format(name=name, after=after, body=body))


async def tables(dsn: str) -> set[str]:
    connection = await asyncpg.connect(dsn)
    try:
        return {row[0] for row in await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}
    finally:
        await connection.close()


async def test_missing_revisions_are_named_then_applied_once_inside_a_running_loop(
    hub_database: FreshDatabase, revisions: Path
) -> None:
    assert pending(hub_database.app_dsn, revisions, TABLE) == ["0001", "0002"]
    upgrade(hub_database.owner_dsn, revisions, TABLE)
    assert {"one", "two", TABLE} <= await tables(hub_database.owner_dsn)
    assert pending(hub_database.app_dsn, revisions, TABLE) == []
    upgrade(hub_database.owner_dsn, revisions, TABLE)
    add(revisions, "0003", "0002", "op.execute('CREATE TABLE three (id int)')")
    assert pending(hub_database.app_dsn, revisions, TABLE) == ["0003"]


async def test_two_processes_at_once_do_not_collide(hub_database: FreshDatabase, revisions: Path) -> None:
    loop = asyncio.get_running_loop()
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=_spawn()) as processes:
        calls = [loop.run_in_executor(processes, upgrade, hub_database.owner_dsn, revisions, TABLE) for _ in range(2)]
        await asyncio.wait_for(asyncio.gather(*calls), 60)
    assert {"one", "two"} <= await tables(hub_database.owner_dsn)


async def test_a_failed_revision_leaves_nothing_and_is_told_in_a_sentence(
    hub_database: FreshDatabase, revisions: Path
) -> None:
    add(revisions, "0003", "0002", "op.execute('CREATE TABLE three (id int)'); op.execute('SELECT nonsense')")
    with pytest.raises(MigrationError, match="nonsense"):
        upgrade(hub_database.owner_dsn, revisions, TABLE)
    assert "three" not in await tables(hub_database.owner_dsn)
    assert pending(hub_database.app_dsn, revisions, TABLE) == ["0003"]


async def test_an_index_may_be_built_outside_a_transaction(hub_database: FreshDatabase, revisions: Path) -> None:
    body = "c = op.get_context().autocommit_block(); c.__enter__()"
    body += "; op.execute('CREATE INDEX CONCURRENTLY one_id ON one (id)'); c.__exit__(None, None, None)"
    add(revisions, "0003", "0002", body)
    upgrade(hub_database.owner_dsn, revisions, TABLE)
    assert pending(hub_database.app_dsn, revisions, TABLE) == []


async def test_a_database_newer_than_the_program_is_said_to_be_newer(
    hub_database: FreshDatabase, revisions: Path
) -> None:
    upgrade(hub_database.owner_dsn, revisions, TABLE)
    (revisions / "versions" / "0002.py").unlink()
    with pytest.raises(MigrationError, match="newer than this program"):
        pending(hub_database.app_dsn, revisions, TABLE)


async def test_a_server_that_is_not_there_is_told_in_a_sentence(tmp_path: Path) -> None:
    nowhere = f"postgresql://hub_owner@/hub?host={tmp_path}"
    for asked in (upgrade, pending):
        with pytest.raises(MigrationError):
            asked(nowhere)


async def test_the_hubs_own_revisions_are_all_in_the_template(hub_database: FreshDatabase) -> None:
    assert pending(hub_database.app_dsn) == []


def _spawn():
    import multiprocessing

    return multiprocessing.get_context("spawn")
