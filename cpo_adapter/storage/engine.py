"""Connections to PostgreSQL: every wait has a deadline, and whatever keeps us from it is one exception."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, TypeAlias

import asyncpg

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
Row: TypeAlias = asyncpg.Record

DEADLINE_SECONDS = 5.0
CONNECT_SECONDS = 3.0
AWAY = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.IdleInTransactionSessionTimeoutError,
)
PROTOCOL = (asyncpg.InterfaceError, asyncpg.InternalClientError)


class DatabaseAway(Exception):
    """PostgreSQL is away or too slow. Raised at the end of a transaction, it may be committed all the same."""


class Database:
    """The one way to PostgreSQL. After an outage it goes on by itself with new connections."""

    def __init__(self, pool: asyncpg.Pool, deadline: float = DEADLINE_SECONDS) -> None:
        self._pool = pool
        self._deadline = deadline

    @classmethod
    async def open(cls, dsn: str, *, max_size: int = 10) -> "Database":
        """Raises DatabaseAway."""
        milliseconds = int(DEADLINE_SECONDS * 1000)
        settings = {
            "application_name": "cpo-adapter",
            "statement_timeout": str(milliseconds),
            "idle_in_transaction_session_timeout": str(2 * milliseconds),
        }
        pool = asyncpg.create_pool(
            dsn, min_size=0, init_size=1, max_size=max_size, timeout=CONNECT_SECONDS, command_timeout=DEADLINE_SECONDS,
            reset=_keep_as_it_is, server_settings=settings,
        )  # fmt: skip
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                return cls(await pool)
        except (*AWAY, *PROTOCOL, asyncpg.InvalidAuthorizationSpecificationError) as error:
            pool.terminate()
            raise DatabaseAway(f"PostgreSQL cannot be reached: {error or type(error).__name__}.") from error
        except (asyncpg.InvalidCatalogNameError, ValueError) as error:
            pool.terminate()
            raise DatabaseAway(f"PostgreSQL cannot be used: {error}.") from error

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        """A connection outside a transaction, for a block that waits for nothing but the database. Raises DatabaseAway."""
        connection = None
        try:
            async with asyncio.timeout(self._deadline):
                connection = await self._pool.acquire()
                yield connection
        except (*AWAY, *PROTOCOL, asyncio.CancelledError) as error:
            if connection is not None:
                with contextlib.suppress(*PROTOCOL):
                    connection.terminate()  # the pool may have taken a dead one back already
            if isinstance(error, asyncio.CancelledError):
                raise
            raise DatabaseAway(f"PostgreSQL is away or too slow: {error or type(error).__name__}.") from error
        finally:
            if connection is not None:
                with contextlib.suppress(*AWAY, *PROTOCOL):
                    await self._pool.release(connection, timeout=1)

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        """A connection inside a transaction: committed at the end of the block, rolled back by any exception."""
        async with self.connection() as connection, connection.transaction():
            yield connection

    async def close(self) -> None:
        """Close the pool; connections that do not go in time are cut."""
        try:
            async with asyncio.timeout(self._deadline):
                await self._pool.close()
        except (*AWAY, *PROTOCOL):
            self._pool.terminate()


async def _keep_as_it_is(_: Any) -> None:
    """Instead of the reset query, which costs a round trip; nothing here may SET beyond its transaction."""
