"""Change the tables: alembic's revisions, run by the owner role, by one process at a time."""

import asyncio
import hashlib
from pathlib import Path

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

MIGRATIONS = Path(__file__).parent / "migrations"
SCHEMA_TABLE = "adapter_schema_version"
CONNECT_SECONDS = 10.0
LOCK_NUMBER = int.from_bytes(hashlib.sha256(SCHEMA_TABLE.encode()).digest()[:8], "big", signed=True)


class MigrationError(Exception):
    """The tables could not be brought up to date. The message is for people."""


async def upgrade(dsn: str) -> None:
    """Apply all missing revisions; another process that upgrades the same database is waited for. Raises MigrationError."""
    try:
        url = make_url(dsn).set(drivername="postgresql+asyncpg")
        engine = create_async_engine(url, poolclass=NullPool, connect_args={"timeout": CONNECT_SECONDS})
        try:
            async with engine.connect() as connection:
                await connection.execute(text("SELECT pg_advisory_lock(:number)"), {"number": LOCK_NUMBER})
                await connection.commit()
                await connection.run_sync(_run_alembic)
                await connection.execute(text(f"GRANT SELECT ON {SCHEMA_TABLE} TO PUBLIC"))
                await connection.commit()
        finally:
            await engine.dispose()
    except (OSError, ArgumentError, DBAPIError, CommandError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        reason = error.orig if isinstance(error, DBAPIError) else error
        raise MigrationError(
            f"The tables could not be brought up to date: {reason or type(error).__name__}."
        ) from error


async def pending(dsn: str) -> list[str]:
    """The revisions this program knows and the database lacks, oldest first. Raises MigrationError."""
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            applied = await _applied(dsn)
        script = ScriptDirectory(str(MIGRATIONS))
        return [revision.revision for revision in script.iterate_revisions("heads", applied or "base")][::-1]
    except CommandError as error:
        raise MigrationError(f"The database is newer than this program ({error}): run the newer program.") from error
    except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise MigrationError(
            f"The database cannot be asked for its version: {error or type(error).__name__}."
        ) from error


async def _applied(dsn: str) -> tuple[str, ...]:
    connection = await asyncpg.connect(dsn, timeout=CONNECT_SECONDS, command_timeout=CONNECT_SECONDS)
    try:
        rows = await connection.fetch("SELECT version_num FROM adapter_schema_version")
        return tuple(row["version_num"] for row in rows)
    except asyncpg.UndefinedTableError:
        return ()
    finally:
        connection.terminate()


def _run_alembic(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["schema_table"] = SCHEMA_TABLE
    config.attributes["connection"] = connection
    command.upgrade(config, "heads")
