"""Makes the partitions of the coming days and drops what is past its time, in one process of all that share a database.

    what                                kept for                  how it goes
    traces                              HUB_TRACE_DAYS            a day's partition
    change log                          14 days (Q-01)            a day's partition; `change_log_floor` says from where it is read
    bodies of CDRs                      HUB_CDR_YEARS             a month's partition; their identities stay for ever
    tickets, notes of open routing      until they expire         in portions
    tombstones                          400 days                  in portions: a CDR may still be priced with a deleted Tariff

Each step is a short transaction; one that finds a lock taken lets go at once and is tried again later.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import structlog

from hub.clearing import repository as clearing
from hub.db.engine import Collided, Database, DatabaseAway, allow_long_statements
from hub.objects import repository as objects
from hub.retention import repository
from hub.routing import repository as routing
from hub.traces import repository as traces
from ocpi_modules.message import Clock

NAME = "retention"
LOOK_SECONDS = 60.0
EVERY_SECONDS = 3600.0
AGAIN_SECONDS = 300.0
LEASE_SECONDS = 1200.0
STEP_SECONDS = 600.0
"""The longest a partition may take; a month of CDRs is counted before it goes. Less than the lease."""
LOCK_MILLISECONDS = 200
AHEAD_DAYS = 7
CHANGE_LOG_DAYS = 14
TOMBSTONE_DAYS = 400
PORTION = 5_000
_GRACE = timedelta(minutes=5)
"""Of the database's clock, which has the last word on what is old enough."""
Step = Callable[[Any], Awaitable[int]]
_log = structlog.get_logger("hub.retention")


class LeaseLost(Exception):
    """Another process goes on with it."""


class Retention:
    """One per process; `id` tells them apart."""

    def __init__(self, database: Database, clock: Clock, *, trace_days: int, cdr_years: int) -> None:
        self.id: UUID = uuid4()
        self._database = database
        self._clock = clock
        self._kept = {
            "trace": timedelta(days=max(trace_days, 1)),
            "change_log": timedelta(days=CHANGE_LOG_DAYS),
            "cdr": timedelta(days=366 * cdr_years),
        }

    async def run(self) -> None:
        """Look every minute, for ever, whether it is due and nobody has it."""
        while True:
            try:
                await self.once()
            except DatabaseAway as away:
                _log.warning("retention put off", reason=str(away))
            await asyncio.sleep(LOOK_SECONDS)

    async def once(self) -> bool:
        """Do it all if it is due and free; False when it is not. Raises DatabaseAway."""
        async with self._database.transaction() as connection:
            if not await repository.take(connection, NAME, self.id, LEASE_SECONDS):
                return False
        done = False
        try:
            done = await self._do()
        except LeaseLost:
            _log.warning("retention lost its lease")
            return True
        finally:
            async with self._database.transaction() as connection:
                seconds = EVERY_SECONDS if done else AGAIN_SECONDS
                await repository.end(connection, NAME, self.id, seconds, done=done)
        return True

    async def _do(self) -> bool:
        """False when something is to be tried again soon."""
        done = True
        now = self._clock()
        for step in self._ahead(now):
            done &= await self._step(step) is not None
        for table, kept in self._kept.items():
            done &= await self._drop(table, now - kept - _GRACE)
        for step in self._portions(now):
            done &= await self._until_empty(step)
        return done

    def _ahead(self, now: datetime) -> Iterator[Step]:
        async def make(connection: Any, day: datetime) -> int:
            await traces.ensure_partition(connection, day)
            await objects.ensure_change_partition(connection, day)
            await clearing.ensure_partition(connection, day)
            return 0

        for ahead in range(AHEAD_DAYS + 1):
            yield lambda connection, day=now + timedelta(days=ahead): make(connection, day)  # type: ignore[misc]

    def _portions(self, now: datetime) -> Iterator[Step]:
        buried_before = now - timedelta(days=TOMBSTONE_DAYS)
        gaps_before = now - self._kept["trace"]

        async def forget_gaps(connection: Any) -> int:
            await traces.delete_gaps(connection, gaps_before)
            return 0

        yield lambda connection: routing.delete_expired_tickets(connection, now, PORTION)
        yield lambda connection: routing.delete_expired_routes(connection, now, PORTION)
        yield lambda connection: objects.date_tombstones(connection, PORTION)
        yield lambda connection: objects.delete_tombstones(connection, buried_before, PORTION)
        yield forget_gaps

    async def _until_empty(self, step: Step) -> bool:
        number: int | None = PORTION
        while number is not None and number >= PORTION:
            number = await self._step(step)
        return number is not None

    async def _drop(self, table: str, before: datetime) -> bool:
        async def drop(connection: Any) -> int:
            await allow_long_statements(connection, STEP_SECONDS)
            name = await repository.drop_oldest_partition(connection, table, before, STEP_SECONDS)
            if name is not None:
                _log.info("partition dropped", partition=name)
            return int(name is not None)

        number: int | None = 1
        while number:
            number = await self._step(drop, STEP_SECONDS)
        return number is not None

    async def _step(self, step: Step, seconds: float | None = None) -> int | None:
        """What the step says; None when something was in its way. Raises LeaseLost, DatabaseAway."""
        async with self._database.transaction() as connection:
            if not await repository.renew(connection, NAME, self.id, LEASE_SECONDS):
                raise LeaseLost
        try:
            async with self._database.transaction(seconds) as connection:
                await repository.never_wait_for_locks(connection, LOCK_MILLISECONDS)
                return await step(connection)
        except (asyncpg.PostgresError, Collided) as error:
            _log.warning("retention tries again later", reason=str(error))
            return None
