"""Connections to PostgreSQL at run time: every wait has a deadline, and whatever keeps us from it is one exception."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import asyncpg

DEADLINE_SECONDS = 5.0
CONNECT_SECONDS = 3.0
RELEASE_SECONDS = 1.0
AWAY = (
    OSError,  # with it TimeoutError and ConnectionError
    asyncpg.PostgresConnectionError,  # class 08, with it ConnectionDoesNotExistError
    asyncpg.OperatorInterventionError,  # class 57: shut down, crashed, starting, statement_timeout
    asyncpg.InsufficientResourcesError,  # class 53: too many connections, disk full, out of memory
    asyncpg.IdleInTransactionSessionTimeoutError,
)
PROTOCOL = (asyncpg.InterfaceError, asyncpg.InternalClientError)


class DatabaseAway(Exception):
    """PostgreSQL is away or too slow: answer 503. If it was raised at the end of a transaction, it may be committed."""


async def open_pool(dsn: str, *, max_size: int = 10, application_name: str, role: str | None = None) -> asyncpg.Pool:
    """A pool without a reset query (measured: a third of a single-row write), so nothing may SET beyond its transaction.

    `role` is taken on at once, whoever logs in: an owner or superuser gets no more rights than the application has.
    One connection is opened now; the pool keeps none up by itself: its upkeep fails aloud while PostgreSQL is away.
    The statement and idle timeouts are the server's, for the case that we freeze. Raises DatabaseAway.
    """
    milliseconds = str(int(DEADLINE_SECONDS * 1000))
    settings = {
        "application_name": application_name,
        "statement_timeout": milliseconds,
        "idle_in_transaction_session_timeout": str(2 * int(milliseconds)),
    }
    if role is not None:
        settings["role"] = role
    pool = asyncpg.create_pool(
        dsn, min_size=0, init_size=1, max_size=max_size, timeout=CONNECT_SECONDS, command_timeout=DEADLINE_SECONDS,
        reset=_keep_as_it_is, server_settings=settings,
    )  # fmt: skip
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            return await pool
    except (*AWAY, *PROTOCOL) as error:
        pool.terminate()
        raise DatabaseAway(f"PostgreSQL cannot be reached: {error or type(error).__name__}") from error


class Database:
    """The one way to PostgreSQL for repositories' callers. After an outage it goes on by itself with new connections."""

    def __init__(self, pool: asyncpg.Pool, *, deadline: float = DEADLINE_SECONDS) -> None:
        self._pool = pool
        self._deadline = deadline

    @contextlib.asynccontextmanager
    async def connection(self, deadline: float | None = None) -> AsyncIterator[Any]:
        """A connection outside a transaction. The whole block, with the wait for a connection, must end in `deadline` seconds.

        Raises DatabaseAway. Nothing but the database may be waited for inside: a TimeoutError is taken for its own.
        """
        connection: Any = None
        try:
            async with asyncio.timeout(self._deadline if deadline is None else deadline):
                connection = await self._pool.acquire()
                yield connection
        except (*AWAY, *PROTOCOL, asyncio.CancelledError) as error:
            lost = connection is None or _is_lost(connection)
            if isinstance(error, PROTOCOL) and not lost:
                raise  # a mistake of the caller, such as a wrong number of arguments
            if not lost:
                connection.terminate()  # its state is unknown, and to ask a frozen server would wait again
            if isinstance(error, asyncio.CancelledError):
                raise
            raise DatabaseAway(f"PostgreSQL is away or too slow: {str(error) or type(error).__name__}") from error
        finally:
            if connection is not None:
                await self._release(connection)

    @contextlib.asynccontextmanager
    async def transaction(self, deadline: float | None = None) -> AsyncIterator[Any]:
        """A connection inside a transaction: committed at the end of the block, rolled back by any exception.

        Raises DatabaseAway; raised at the end of the block, it leaves open whether the commit was done: repeat only
        what may be done twice.
        """
        async with self.connection(deadline) as connection:
            transaction = connection.transaction()
            await transaction.start()
            try:
                yield connection
            except (*AWAY, asyncio.CancelledError):
                raise  # the connection is given up, and with it the transaction
            except BaseException:
                if not _is_lost(connection):
                    await transaction.rollback()
                raise
            await transaction.commit()

    async def close(self) -> None:
        """Close the pool; connections that do not go in time are cut."""
        try:
            async with asyncio.timeout(self._deadline):
                await self._pool.close()
        except (*AWAY, *PROTOCOL):
            self._pool.terminate()

    async def _release(self, connection: Any) -> None:
        try:
            await self._pool.release(connection, timeout=RELEASE_SECONDS)
        except (*AWAY, *PROTOCOL):
            return  # asyncpg has terminated the connection


def _is_lost(connection: Any) -> bool:
    try:
        return bool(connection.is_closed())
    except asyncpg.InterfaceError:
        return True  # the pool has taken it back already


async def _keep_as_it_is(_: Any) -> None:
    """Instead of the reset query."""
