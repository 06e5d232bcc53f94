"""Brings what routing said into the database, in batches, behind everything else, and has it counted.

Two loops: one takes entries apart twice a second, so that no body is held for long; the other writes the rows. While PostgreSQL
is away the rows wait, a bounded number of them; the oldest are dropped, and how many is written down when it is back.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import islice
from time import perf_counter_ns
from uuid import uuid4

import asyncpg
import structlog

from hub.db.engine import Database, DatabaseAway
from hub.traces import repository
from hub.traces.record import Entry, Traces
from hub.traces.rows import Rows, TraceRow
from ocpi_modules.message import Clock

PAUSE_SECONDS = 0.5
BATCH = 500
SLICE = 50
MOST_ROWS = 20_000
UNANSWERED_SECONDS = 60
_REFUSED = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, ValueError, OverflowError)
_log = structlog.get_logger("hub.traces")


class TraceWriter:
    """One per process; `run` until cancelled, and then `flush` what is left. No rows are written where `most_rows` is 0."""

    def __init__(
        self,
        *,
        traces: Traces,
        database: Database,
        key: bytes,
        clock: Clock,
        most_rows: int = MOST_ROWS,
        counted: Callable[[Sequence[Entry]], None] = lambda _: None,
    ) -> None:
        self._traces = traces
        self._database = database
        self._clock = clock
        self._most_rows = most_rows
        self._counted = counted
        self._rows = Rows(key)
        self._waiting: deque[TraceRow] = deque()
        self._days: set[tuple[int, int, int]] = set()
        self._dropped = 0
        self._gap_began: datetime | None = None
        self._ready = asyncio.Event()

    @property
    def waiting(self) -> int:
        """How many rows wait for PostgreSQL."""
        return len(self._waiting)

    @property
    def dropped(self) -> int:
        """How many traces were dropped and not written down as dropped yet."""
        return self._dropped + self._traces.dropped

    async def run(self) -> None:
        """Work for ever."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._take_apart_for_ever())
                group.create_task(self._write_for_ever())
        finally:
            await self.flush()

    async def flush(self) -> None:
        """Write what is there, as far as PostgreSQL takes it now. Never raises for PostgreSQL."""
        try:
            await self._take_apart()
            await self._write()
        except DatabaseAway:
            return

    async def _take_apart_for_ever(self) -> None:
        while True:
            await asyncio.sleep(PAUSE_SECONDS)
            await self._take_apart()
            if self._waiting or self.dropped:
                self._ready.set()

    async def _write_for_ever(self) -> None:
        while True:
            await self._ready.wait()
            self._ready.clear()
            try:
                await self._write()
            except DatabaseAway as away:
                _log.warning("traces not written", reason=str(away), waiting=len(self._waiting))
                await asyncio.sleep(PAUSE_SECONDS)

    async def _take_apart(self) -> None:
        """In slices, so that requests are answered between them."""
        entries = self._traces.entries
        now, ticks = self._clock(), perf_counter_ns()
        while entries:
            taken = [entries.popleft() for _ in range(min(SLICE, len(entries)))]
            self._counted(taken)
            if self._most_rows:
                self._keep(self._rows.of(taken, now, ticks))
            await asyncio.sleep(0)
        self._keep(self._rows.forgotten(ticks - UNANSWERED_SECONDS * 1_000_000_000, now, ticks))

    def _keep(self, rows: Sequence[TraceRow]) -> None:
        self._waiting.extend(rows)
        while len(self._waiting) > self._most_rows:
            self._drop(self._waiting.popleft())

    def _drop(self, row: TraceRow) -> None:
        self._dropped += 1
        self._gap_began = self._gap_began or row.traced_at

    async def _write(self) -> None:
        while self._waiting:
            batch = list(islice(self._waiting, BATCH))
            await self._insert(batch)
            self._forget(batch)
        await self._write_gap()

    async def _insert(self, rows: list[TraceRow]) -> None:
        """All of them; what PostgreSQL will not have is looked for and dropped. Raises DatabaseAway."""
        try:
            await self._ensure_partitions(rows)
            async with self._database.transaction() as connection:
                await repository.copy_traces(connection, TraceRow._fields, rows)
        except _REFUSED as error:
            if len(rows) == 1:
                self._drop(rows[0])
                _log.error("trace not written", reason=type(error).__name__)
                return
            middle = len(rows) // 2
            await self._insert(rows[:middle])
            await self._insert(rows[middle:])

    def _forget(self, batch: list[TraceRow]) -> None:
        """Rows may have been dropped in front while these were written."""
        written = set(map(id, batch))
        while self._waiting and id(self._waiting[0]) in written:
            self._waiting.popleft()

    async def _ensure_partitions(self, rows: list[TraceRow]) -> None:
        """Apart from the rows, which another try may have to write again."""
        for moment in {
            (row.traced_at.year, row.traced_at.month, row.traced_at.day): row.traced_at for row in rows
        }.values():
            day = (moment.year, moment.month, moment.day)
            if day not in self._days:
                async with self._database.transaction() as connection:
                    await repository.ensure_partition(connection, moment)
                self._days.add(day)

    async def _write_gap(self) -> None:
        before, here = self._traces.dropped, self._dropped
        if not before + here:
            return
        now = self._clock()
        async with self._database.transaction() as connection:
            await repository.add_gap(connection, uuid4(), self._gap_began or now, now, before + here)
        self._traces.dropped -= before
        self._dropped -= here
        self._gap_began = None
