"""Change the tables: alembic's revisions, run by the owner role, by one process at a time.

alembic and SQLAlchemy take a third of a second to import, so they are imported where a revision is looked up or applied:
a start on tables that are up to date (`is_current`) does without.
"""

import asyncio
import hashlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg

from hub.db.databases import quoted, run_apart

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection

MIGRATIONS = Path(__file__).parent / "migrations"
SCHEMA_TABLE = "hub_schema_version"
OLDEST_PROGRAM = "0006_delivery"
"""The newest revision of the oldest program that may go on working beside this one (Q-16): tables are first expanded, and
contracted a release later. A migration that takes away what older programs need raises this."""
CONNECT_SECONDS = 10.0
LOCK_SECONDS = 120.0
ONE_AT_A_TIME = threading.Lock()  # alembic keeps its context in modules, so two threads would share it


class MigrationError(Exception):
    """The tables could not be brought up to date. The message is for people."""


def upgrade(dsn_owner: str, script_location: Path = MIGRATIONS, schema_table: str = SCHEMA_TABLE) -> None:
    """Apply all missing revisions. Callable from any thread, also inside a running loop; a second call does nothing.

    Another process that upgrades the same database is waited for. Raises MigrationError; what a failed revision did is
    rolled back, earlier ones stay.
    """
    from alembic.script.revision import RevisionError
    from alembic.util import CommandError
    from sqlalchemy.exc import DBAPIError

    try:
        with ONE_AT_A_TIME:
            run_apart(lambda: _upgrade(dsn_owner, script_location, schema_table))
    except (OSError, DBAPIError, CommandError, RevisionError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        reason = error.orig if isinstance(error, DBAPIError) else error
        raise MigrationError(f"The tables could not be brought up to date: {reason or type(error).__name__}") from error


def pending(dsn: str, script_location: Path = MIGRATIONS, schema_table: str = SCHEMA_TABLE) -> list[str]:
    """The revisions this program knows and the database lacks, oldest first; any role that may connect can ask.

    Raises MigrationError, also if the database is newer than this program.
    """
    from alembic.script import ScriptDirectory
    from alembic.script.revision import RevisionError
    from alembic.util import CommandError

    applied = applied_revisions(dsn, schema_table)
    try:
        script = ScriptDirectory(str(script_location))
        missing = [revision.revision for revision in script.iterate_revisions("heads", applied or "base")]
    except (CommandError, RevisionError) as error:
        raise MigrationError(f"The database is newer than this program ({error}): run the newer program.") from error
    return missing[::-1]


def is_current(dsn: str) -> bool:
    """Whether this program can work with the tables: they are its own, or newer and still fit it. Raises MigrationError.

    Asked without alembic.
    """
    newest = newest_revision()
    return newest in applied_revisions(dsn) or newest in applied_revisions(dsn, program_table(SCHEMA_TABLE))


def program_table(schema_table: str) -> str:
    """The table that lists which programs, each by its newest revision, fit the tables."""
    return f"{schema_table}_program"


def newest_revision() -> str:
    """The hub's last revision; its file is named as it is."""
    return max(path.stem for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def applied_revisions(dsn: str, schema_table: str = SCHEMA_TABLE) -> tuple[str, ...]:
    """What the database says of itself; nothing when it was never migrated. Raises MigrationError."""
    try:
        return run_apart(lambda: _applied(dsn, schema_table))
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise MigrationError(
            f"The database cannot be asked for its version: {error or type(error).__name__}"
        ) from error


async def _applied(dsn: str, schema_table: str) -> tuple[str, ...]:
    connection = await asyncpg.connect(dsn, timeout=CONNECT_SECONDS, command_timeout=CONNECT_SECONDS)
    try:
        rows = await connection.fetch(f"SELECT version_num FROM {quoted(schema_table)}")  # noqa: S608
        return tuple(row["version_num"] for row in rows)
    except asyncpg.UndefinedTableError:
        return ()
    finally:
        connection.terminate()


async def _upgrade(dsn: str, script_location: Path, schema_table: str) -> None:
    from sqlalchemy import make_url
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.pool import NullPool

    url = make_url(dsn).set(drivername="postgresql+asyncpg")
    engine = create_async_engine(url, poolclass=NullPool, connect_args={"timeout": CONNECT_SECONDS})
    try:
        async with engine.connect() as connection:
            await _lock(connection, schema_table)
            try:
                await connection.run_sync(_run_alembic(script_location, schema_table))
                if schema_table == SCHEMA_TABLE:
                    await _list_programs(connection, script_location, program_table(schema_table))
                await connection.commit()
            finally:
                await _show_version(connection, schema_table)
                await _show_version(connection, program_table(schema_table))
    finally:
        await engine.dispose()


async def _list_programs(connection: "AsyncConnection", script_location: Path, table: str) -> None:
    """Write down which programs fit the tables as they are now."""
    from sqlalchemy import text

    names = sorted(path.stem for path in (script_location / "versions").glob("[0-9]*.py"))
    fitting = [{"name": name} for name in names if name >= OLDEST_PROGRAM]
    await connection.execute(text(f"CREATE TABLE IF NOT EXISTS {quoted(table)} (version_num text PRIMARY KEY)"))
    await connection.execute(text(f"DELETE FROM {quoted(table)}"))  # noqa: S608
    if fitting:
        await connection.execute(text(f"INSERT INTO {quoted(table)} VALUES (:name)"), fitting)  # noqa: S608


async def _show_version(connection: "AsyncConnection", schema_table: str) -> None:
    """Let every role read how far the database is, also after a failed revision."""
    from sqlalchemy import text

    await connection.rollback()
    if await connection.scalar(text("SELECT to_regclass(:name)"), {"name": quoted(schema_table)}):
        await connection.execute(text(f"GRANT SELECT ON {quoted(schema_table)} TO PUBLIC"))
    await connection.commit()


async def _lock(connection: "AsyncConnection", schema_table: str) -> None:
    """Hold the session's advisory lock until the connection closes. Asked for again and again: who waits in a statement
    keeps a snapshot, for which CREATE INDEX CONCURRENTLY of the other would wait in turn."""
    from sqlalchemy import text

    number = int.from_bytes(hashlib.sha256(schema_table.encode()).digest()[:8], "big", signed=True)
    deadline = time.monotonic() + LOCK_SECONDS
    while not await connection.scalar(text("SELECT pg_try_advisory_lock(:number)"), {"number": number}):
        await connection.commit()
        if time.monotonic() > deadline:
            raise TimeoutError(
                "another process has been upgrading this database for too long; look at pg_stat_activity"
            )
        await asyncio.sleep(0.1)
    await connection.commit()


def _run_alembic(script_location: Path, schema_table: str) -> "Callable[[Connection], None]":
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(script_location).replace("%", "%%"))
    config.attributes["schema_table"] = schema_table

    def run(connection: "Connection") -> None:
        config.attributes["connection"] = connection
        command.upgrade(config, "heads")

    return run
