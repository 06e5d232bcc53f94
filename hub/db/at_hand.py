"""Connections at hand: between a pool, which is careful, and its uses, which are short and many."""

import asyncio
from typing import Any

import asyncpg

RELEASE_SECONDS = 1.0
KEPT_SECONDS = 1.0
AWAY = (
    OSError,  # with it TimeoutError and ConnectionError
    asyncpg.PostgresConnectionError,  # class 08, with it ConnectionDoesNotExistError
    asyncpg.OperatorInterventionError,  # class 57: shut down, crashed, starting, statement_timeout
    asyncpg.InsufficientResourcesError,  # class 53: too many connections, disk full, out of memory
    asyncpg.IdleInTransactionSessionTimeoutError,
)
PROTOCOL = (asyncpg.InterfaceError, asyncpg.InternalClientError)


class AtHand:
    """Takes connections from a pool and keeps those that come back at hand for a moment: asyncpg's own way of giving one back
    and taking it again is half the work of reading a row.

    They go back to the pool within KEPT_SECONDS, which then minds how long they are idle and how much they were used. At most
    `share` of the pool's connections are taken, at hand or in use.
    """

    def __init__(self, pool: asyncpg.Pool, share: int) -> None:
        self._pool = pool
        self._turns = asyncio.Semaphore(share)
        self._idle: list[Any] = []
        self._upkeep: asyncio.TimerHandle | None = None
        self._going_back: asyncio.Task[None] | None = None

    async def take(self) -> Any:
        await self._turns.acquire()
        try:
            while self._idle:
                connection = self._idle.pop()
                if not is_lost(connection):
                    return connection
                await self._to_the_pool(connection)
            return await self._pool.acquire()
        except BaseException:
            self._turns.release()
            raise

    async def give_back(self, connection: Any, *, in_order: bool) -> None:
        """`in_order`: the block it was used in ended well."""
        try:
            if not in_order or self._pool.is_closing() or is_lost(connection) or connection.is_in_transaction():
                await self._to_the_pool(connection)
            else:
                self._keep(connection)
        finally:
            self._turns.release()

    def _keep(self, connection: Any) -> None:
        self._idle.append(connection)
        if self._upkeep is None:
            self._upkeep = asyncio.get_running_loop().call_later(KEPT_SECONDS, self._begin_to_go_back)

    async def go_back(self) -> None:
        """Give the pool what is at hand."""
        if self._upkeep is not None:
            self._upkeep.cancel()
            self._upkeep = None
        while self._idle:
            await self._to_the_pool(self._idle.pop())

    async def _to_the_pool(self, connection: Any) -> None:
        """It rolls back what is open and replaces a connection that is lost."""
        try:
            await self._pool.release(connection, timeout=RELEASE_SECONDS)
        except (*AWAY, *PROTOCOL):
            return  # asyncpg has terminated the connection

    def _begin_to_go_back(self) -> None:
        self._going_back = asyncio.get_running_loop().create_task(self.go_back())


def is_lost(connection: Any) -> bool:
    try:
        return bool(connection.is_closed())
    except asyncpg.InterfaceError:
        return True  # the pool has taken it back already
