"""Connections to PostgreSQL at run time: every wait has a deadline, and whatever keeps us from it is one exception."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncpg

from hub.db.at_hand import AWAY, PROTOCOL, AtHand, is_lost
from hub.db.same_database import SameDatabase

DEADLINE_SECONDS = 5.0
CONNECT_SECONDS = 3.0


class DatabaseAway(Exception):
    """PostgreSQL is away or too slow: answer 503. If it was raised at the end of a transaction, it may be committed."""


class Collided(DatabaseAway):
    """Two writers were in each other's way (a deadlock, a failed serialization) and this one gave in: nothing of it was done."""


_COLLISIONS = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)


async def open_pool(
    dsn: str,
    *,
    max_size: int = 10,
    application_name: str,
    role: str | None = None,
    moved: Callable[[], None] = lambda: None,
) -> asyncpg.Pool:
    """A pool without a reset query (measured: a third of a single-row write), so nothing may SET beyond its transaction.

    `role` is taken on at once, whoever logs in: an owner or superuser gets no more rights than the application has.
    One connection is opened now; the pool keeps none up by itself: its upkeep fails aloud while PostgreSQL is away.
    The statement and idle timeouts are the server's, for the case that we freeze. A standby, and another database than that of
    the first connection, are away; of the latter `moved` hears. Raises DatabaseAway.
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
        reset=_keep_as_it_is, init=SameDatabase(moved).check, server_settings=settings,
    )  # fmt: skip
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            return await pool
    except (*AWAY, *PROTOCOL) as error:
        pool.terminate()
        raise DatabaseAway(f"PostgreSQL cannot be reached: {error or type(error).__name__}") from error


async def allow_long_statements(connection: Any, seconds: float) -> None:
    """For the rest of the transaction, instead of what `open_pool` sets."""
    await connection.execute("SELECT set_config('statement_timeout', $1, true)", str(int(seconds * 1000)))


class Database:
    """The one way to PostgreSQL for repositories' callers. After an outage it goes on by itself with new connections.

    `moved` is set by who opened the pool: nothing this process remembers holds any more, and nothing is read or written.
    `reserved` of the pool's connections are taken through `prompt` only.
    """

    def __init__(
        self,
        pool: asyncpg.Pool,
        *,
        deadline: float = DEADLINE_SECONDS,
        moved: asyncio.Event | None = None,
        reserved: int = 0,
    ) -> None:
        self.moved = moved or asyncio.Event()
        self._pool = pool
        self._connections = AtHand(pool, pool.get_max_size() - reserved)
        self._deadline = deadline
        self._prompt = _Reserved(self, reserved) if reserved else self

    @property
    def prompt(self) -> "Database":
        """For what a driver waits for at a charger (authorize, commands, charging profiles) and what admits it: no flood of
        anything else takes its connections (Q-09)."""
        return self._prompt

    def connection(self, deadline: float | None = None) -> contextlib.AbstractAsyncContextManager[Any]:
        """A connection outside a transaction. The whole block, with the wait for a connection, must end in `deadline` seconds.

        Raises DatabaseAway. Nothing but the database may be waited for inside: a TimeoutError is taken for its own.
        """
        return _Borrowed(self._connections, self._deadline if deadline is None else deadline)

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
                if not is_lost(connection):
                    await transaction.rollback()
                raise
            await transaction.commit()

    async def close(self) -> None:
        """Close the pool; connections that do not go in time are cut."""
        try:
            async with asyncio.timeout(self._deadline):
                await self._connections.go_back()
                await self._prompt._connections.go_back()
                await self._pool.close()
        except (*AWAY, *PROTOCOL):
            self._pool.terminate()


class _Reserved(Database):
    """The reserved connections of a Database; they close with it."""

    def __init__(self, whole: Database, share: int) -> None:
        self.moved = whole.moved
        self._pool = whole._pool
        self._connections = AtHand(whole._pool, share)
        self._deadline = whole._deadline
        self._prompt = self


class _Borrowed:
    """A connection for one block. When its time is up the task is cancelled, as by asyncio.timeout."""

    __slots__ = ("_cancelling", "_connection", "_connections", "_late", "_seconds", "_task", "_timer")

    def __init__(self, connections: AtHand, seconds: float) -> None:
        self._connections = connections
        self._connection: Any = None
        self._seconds = seconds
        self._late = False

    async def __aenter__(self) -> Any:
        task = asyncio.current_task()
        assert task is not None
        self._task, self._cancelling = task, task.cancelling()
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._end)
        try:
            self._connection = await self._connections.take()
        except BaseException as error:
            self._timer.cancel()
            self._look_into(error)
            raise
        return self._connection

    async def __aexit__(self, _: object, error: BaseException | None, trace: object) -> None:
        self._timer.cancel()
        if error is None and not self._late:
            await self._connections.give_back(self._connection, in_order=True)
            return
        try:
            self._look_into(error)
        finally:
            await self._connections.give_back(self._connection, in_order=False)

    def _end(self) -> None:
        self._late = True
        self._task.cancel()

    def _look_into(self, error: BaseException | None) -> None:
        """Give up a connection whose state is unknown. Raises DatabaseAway where that is what happened, or Collided."""
        late = self._late and self._task.uncancel() <= self._cancelling and isinstance(error, asyncio.CancelledError)
        if isinstance(error, _COLLISIONS):
            raise Collided(f"Another writer was in the way: {error}") from error
        if not isinstance(error, (*AWAY, *PROTOCOL, asyncio.CancelledError)):
            return
        connection = self._connection
        lost = connection is None or is_lost(connection)
        if isinstance(error, PROTOCOL) and not lost:
            return  # a mistake of the caller, such as a wrong number of arguments
        if not lost:
            connection.terminate()  # to ask a frozen server would wait again
        if late:
            raise DatabaseAway("PostgreSQL is away or too slow: TimeoutError") from error
        if not isinstance(error, asyncio.CancelledError):
            raise DatabaseAway(f"PostgreSQL is away or too slow: {str(error) or type(error).__name__}") from error


async def _keep_as_it_is(_: Any) -> None:
    """Instead of the reset query."""
