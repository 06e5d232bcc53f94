"""Databases and roles of an embedded server (contracts section 3, Roles): an owner for migrations, a plain member to run as."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import asyncpg

from hub.db.postgres_binaries import EmbeddedPostgresError

T = TypeVar("T")
SECONDS = 30.0
ENSURE_LOCK = 7_142_221_001  # any number, the same in every program


def ensure_database(dsn: str, name: str, member_of: str, owner: str, app: str) -> None:
    """Make database and roles where missing, over a superuser's connection. Callable with or without a running loop."""
    try:
        run_apart(lambda: _ensure(dsn, name, member_of, owner, app))
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise EmbeddedPostgresError(f"The database {name} cannot be made: {error}") from error


def run_apart(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine to its end in a thread and loop of its own, so that sync code may wait for it anywhere."""
    outcome: list[T] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(asyncio.run(work()))
        except BaseException as error:  # handed to the caller below
            failure.append(error)

    thread = threading.Thread(target=run, name="database")
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return outcome[0]


async def _ensure(dsn: str, name: str, member_of: str, owner: str, app: str) -> None:
    async with asyncio.timeout(SECONDS):
        connection = await asyncpg.connect(dsn)
        try:
            await connection.execute("SELECT pg_advisory_lock($1)", ENSURE_LOCK)
            await _ensure_role(connection, member_of, "NOLOGIN")
            await _ensure_role(connection, owner, "LOGIN")
            await _ensure_role(connection, app, "LOGIN")
            await _ensure_grants(connection, member_of, owner, app)
            if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
                await _create(connection, name, owner)
            await connection.execute(f"REVOKE ALL ON DATABASE {quoted(name)} FROM PUBLIC")
            await connection.execute(f"GRANT CONNECT ON DATABASE {quoted(name)} TO {quoted(member_of)}, {quoted(app)}")
        finally:
            connection.terminate()


async def _ensure_role(connection: Any, role: str, login: str) -> None:
    if await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role):
        return
    try:
        await connection.execute(f"CREATE ROLE {quoted(role)} {login} NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS")
        await connection.execute(f"ALTER ROLE {quoted(role)} SET idle_in_transaction_session_timeout = '60s'")
    except (asyncpg.DuplicateObjectError, asyncpg.UniqueViolationError):
        return  # made by somebody else meanwhile


async def _ensure_grants(connection: Any, member_of: str, owner: str, app: str) -> None:
    await connection.execute(f"GRANT {quoted(member_of)} TO {quoted(app)}")
    await connection.execute(f"ALTER ROLE {quoted(owner)} SET statement_timeout = '0'")


async def _create(connection: Any, name: str, owner: str) -> None:
    try:
        await connection.execute(f"CREATE DATABASE {quoted(name)} OWNER {quoted(owner)}")
    except (asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError):
        return


def quoted(name: str) -> str:
    """An SQL identifier."""
    return '"' + name.replace('"', '""') + '"'
