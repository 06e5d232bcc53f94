"""Writes that could not be made because PostgreSQL was away, tried again from memory in their order.

Only for what was answered already: a message that reached its receiver is answered whatever happens here. Bounded; what does not
fit is told to the operator and comes back with the next push of the same object. What waits when the process ends is tried once
more; what waits when the hub begins anew on another database goes over to that one (Q-04). So a write names objects, parties and
attempts, which mean the same there, and carries no version, position or transaction id, and nothing it learned of the database.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import structlog

from hub.db.engine import Collided, Database, DatabaseAway

Write = Callable[[Any], Awaitable[None]]

FLUSH_SECONDS = 3.0
TRIES_AGAIN = 3
_log = structlog.get_logger("hub.objects")


@dataclass
class Carried:
    """What one hub of a process leaves to the next: writes of objects and CDRs, and notes for open routing."""

    writes: deque[Write] = field(default_factory=deque)
    notes: deque[Write] = field(default_factory=deque)

    def drop(self) -> None:
        """No hub comes after: say so."""
        if number := len(self.writes) + len(self.notes):
            _log.error("writes dropped", waiting=number)


class LaterWrites:
    """`pause` lies between two tries; `limit` how many writes are remembered.

    `waiting` are those that wait already, and where those are that wait at the end. Once `moved` is set they are left there,
    for another database; before that, those that cannot be made at the end of the process are dropped.
    """

    def __init__(
        self,
        database: Database,
        *,
        limit: int = 10_000,
        pause: timedelta = timedelta(seconds=1),
        waiting: deque[Write] | None = None,
        moved: asyncio.Event | None = None,
    ) -> None:
        self._database = database
        self._limit = limit
        self._pause = pause
        self._writes: deque[Write] = deque() if waiting is None else waiting
        self._moved = moved or asyncio.Event()
        self._added = asyncio.Event()
        if self._writes:
            self._added.set()

    def __len__(self) -> int:
        return len(self._writes)

    def add(self, write: Write) -> None:
        """Remember a write; it gets a connection inside its own transaction."""
        if len(self._writes) >= self._limit:
            _log.error("write dropped", waiting=len(self._writes))
            return
        self._writes.append(write)
        self._added.set()

    async def run(self) -> None:
        """Work for ever; cancelled at shutdown, and then `flush` what is left."""
        try:
            while True:
                await self._added.wait()
                if await self.work_off():
                    self._added.clear()
                else:
                    await asyncio.sleep(self._pause.total_seconds())
        finally:
            await self.flush()

    async def flush(self) -> None:
        """Write what is there, as far as PostgreSQL takes it in FLUSH_SECONDS. Never raises for PostgreSQL."""
        if self._moved.is_set():
            return
        # In a task that was cancelled asyncio.timeout of 3.11.2 raises no TimeoutError.
        work = asyncio.create_task(self.work_off())
        await asyncio.wait([work], timeout=FLUSH_SECONDS)
        work.cancel()
        if self._writes and not self._moved.is_set():
            _log.error("writes dropped", waiting=len(self._writes))
            self._writes.clear()

    async def work_off(self) -> bool:
        """Make the writes that wait; False when PostgreSQL is still away."""
        while self._writes:
            try:
                await self._make(self._writes[0])
            except Exception as error:
                if isinstance(error, DatabaseAway) and not isinstance(error, Collided):
                    return False
                _log.error("write failed", reason=type(error).__name__)
            self._writes.popleft()
        return True

    async def _make(self, write: Write) -> None:
        """Writers in each other's way try again (F-11). Raises DatabaseAway, and what the write raises."""
        for left in range(TRIES_AGAIN, -1, -1):
            try:
                async with self._database.transaction() as connection:
                    await write(connection)
                return
            except Collided:
                if not left:
                    raise
