"""Writes that could not be made because PostgreSQL was away, tried again from memory in their order.

Only for what was answered already: a message that reached its receiver is answered whatever happens here. Bounded; what does not
fit is told to the operator and comes back with the next push of the same object.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import structlog

from hub.db.engine import Database, DatabaseAway

Write = Callable[[Any], Awaitable[None]]

_log = structlog.get_logger("hub.objects")


class LaterWrites:
    """`pause` lies between two tries; `limit` how many writes are remembered."""

    def __init__(self, database: Database, *, limit: int = 10_000, pause: timedelta = timedelta(seconds=1)) -> None:
        self._database = database
        self._limit = limit
        self._pause = pause
        self._writes: deque[Write] = deque()
        self._added = asyncio.Event()

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
        """Work for ever; cancelled at shutdown."""
        while True:
            await self._added.wait()
            if await self.work_off():
                self._added.clear()
            else:
                await asyncio.sleep(self._pause.total_seconds())

    async def work_off(self) -> bool:
        """Make the writes that wait; False when PostgreSQL is still away."""
        while self._writes:
            try:
                async with self._database.transaction() as connection:
                    await self._writes[0](connection)
            except DatabaseAway:
                return False
            except Exception as error:
                _log.error("write failed", reason=type(error).__name__)
            self._writes.popleft()
        return True
