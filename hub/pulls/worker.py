"""Reads the lists that are due or asked for, two at a time, while this process lives; a long one gives its place up in turns.

Every process of the hub looks for work each second; a lease decides who gets it, and its epoch keeps out who lost it. A process
that ends gives its leases back; one that was killed leaves them, and another goes on at the stored page when they are over.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import structlog

from hub.db.engine import Database, DatabaseAway
from hub.delivery.destinations import Fresh
from hub.parties.directory import Directory
from hub.pulls import repository
from hub.pulls.crawl import Crawl
from hub.pulls.runs import Run
from hub.pulls.schedule import MODULES, OVERLAP, forbidden, is_due, is_whole
from hub.pulls.storing import LeaseLost
from ocpi_modules.message import Clock, PartyId
from ocpi_modules.spec import ModuleID

AT_ONCE = 2
LEASE_SECONDS = 10.0
LOOK_SECONDS = 0.5
PLAN_SECONDS = 60.0
OLDEST = timedelta(days=1)
"""A run that was left this long ago begins anew."""

_log = structlog.get_logger("hub.pulls")


class PullWorker:
    """One per process. `run` works until it is cancelled; then it gives its leases back."""

    def __init__(
        self,
        *,
        database: Database,
        directory: Directory,
        crawl: Crawl,
        clock: Clock,
        lease_seconds: float = LEASE_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.id: UUID = uuid4()
        self._database = database
        self._directory = directory
        self._crawl = crawl
        self._clock = clock
        self._lease_seconds = lease_seconds
        self._monotonic = monotonic
        self._tasks: dict[asyncio.Task[None], Run] = {}
        self._pushed: set[tuple[str, str]] = set()
        self._planned: float | None = None

    def told(self, fresh: Fresh) -> None:
        """This process stored a push: its owner is one that pushes. Never waits."""
        if fresh.key.module in MODULES:
            self._pushed.add((str(fresh.key.owner), str(fresh.key.module)))

    async def run(self) -> None:
        """Work for ever."""
        try:
            while True:
                try:
                    await self.beat()
                except DatabaseAway as away:
                    _log.warning("pulls_not_looked_at", reason=str(away))
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            await self._stop()

    async def beat(self) -> None:
        """Note who pushed, keep the leases, plan now and then, begin what there is to do. Raises DatabaseAway."""
        await self._note_pushes()
        await self._renew()
        now = self._monotonic()
        if self._planned is None or now - self._planned >= PLAN_SECONDS:
            await self.plan()
            self._planned = now
        await self._begin()

    async def plan(self) -> None:
        """Want what is due."""
        lists = self._lists()
        async with self._database.transaction() as connection:
            await repository.know(connection, *_columns(lists), self._clock())
        async with self._database.connection() as connection:
            standings = await repository.standings(connection)
        now = self._clock()
        due: dict[bool, list[tuple[str, str]]] = {True: [], False: []}
        for standing in standings:
            switch = lists.get((standing["party"], standing["module"]))
            if switch is not None and is_due(standing, switch, now):
                due[is_whole(standing, now)].append((standing["party"], standing["module"]))
        for whole, wanted in due.items():
            if wanted:
                async with self._database.transaction() as connection:
                    await repository.want(connection, *_columns(wanted), now, whole=whole)

    def _lists(self) -> dict[tuple[str, str], str]:
        """What may be read at all, with the switch of its platform."""
        return {
            (str(party), str(module)): platform.switches.pull
            for platform in self._directory.platforms()
            for party in platform.party_ids
            for module in MODULES
            if forbidden(platform, party, module) is None
        }

    async def _note_pushes(self) -> None:
        pushed, self._pushed = self._pushed, set()
        if not pushed:
            return
        try:
            async with self._database.transaction() as connection:
                await repository.note_pushes(connection, *_columns(pushed), self._clock())
        except DatabaseAway:
            self._pushed |= pushed
            raise

    async def _renew(self) -> None:
        held = [run.key for run in self._tasks.values()]
        if not held:
            return
        async with self._database.transaction() as connection:
            still = await repository.renew(connection, held, self._lease_seconds)
        for task, run in self._tasks.items():
            if run.key not in still:
                task.cancel()

    async def _begin(self) -> None:
        if len(self._tasks) >= AT_ONCE:
            return
        async with self._database.connection() as connection:
            waiting = await repository.open_lists(connection)
        for second_of_a_platform in (False, True):
            for party, module in waiting:
                if len(self._tasks) >= AT_ONCE:
                    return
                if second_of_a_platform or not self._is_read(PartyId.read(party)):
                    await self._begin_one(party, module)

    def _is_read(self, party: PartyId) -> bool:
        """Whether a list of its platform is being read: another platform's comes before a second of it."""
        owner = self._directory.known_platform_of(party)
        read = [self._directory.known_platform_of(run.party) for run in self._tasks.values()]
        return owner is not None and owner in read

    async def _begin_one(self, party: str, module: str) -> None:
        if await self._may_begin(PartyId.read(party), ModuleID(module)):
            run = await self._take(party, module)
            if run is not None:
                self._start(run)

    async def _may_begin(self, party: PartyId, module: ModuleID) -> bool:
        """Not while the party is away. What is forbidden is begun, and ends at once with the reason."""
        if forbidden(self._directory.known_platform_of(party), party, module) is not None:
            await self._directory.refresh()
        platform = self._directory.known_platform_of(party)
        return platform is None or platform.connected or forbidden(platform, party, module) is not None

    async def _take(self, party: str, module: str) -> Run | None:
        """The run another process left, or a new one; None when somebody was quicker."""
        now = self._clock()
        async with self._database.transaction() as connection:
            row: Any = await repository.take(connection, self.id, party, module, self._lease_seconds)
            if row is None:
                return None
            if row["goes_on"] and row["began_at"] > now - OLDEST:
                return Run.of(row)
            left = row["state"] == "RUNNING"
            whole = row["wanted_whole"] or is_whole(row, now) or (left and row["whole"])
            await repository.forget_seen(connection, party, module)
            begun = await repository.begin(
                connection,
                party,
                module,
                row["epoch"],
                now,
                whole=whole,
                by_hand=row["wanted_by_hand"] or (left and row["by_hand"]),
                date_from=None if whole else row["succeeded_at"] - OVERLAP,
            )
            return Run.of(begun)

    def _start(self, run: Run) -> None:
        task = asyncio.create_task(self._work(run))
        self._tasks[task] = run
        task.add_done_callback(self._tasks.pop)

    async def _work(self, run: Run) -> None:
        try:
            await self._crawl.go_on(run)
        except LeaseLost:
            return
        except DatabaseAway as error:
            _log.warning("pull_interrupted", party=str(run.party), module=str(run.module), reason=str(error))
            return  # it goes on when the lease is over
        except Exception:
            _log.exception("pull_broke", party=str(run.party), module=str(run.module))
            async with self._database.transaction() as connection:
                said = "The hub stumbled over this list; its log says how."
                await repository.fail(connection, *run.key, self._clock(), said)

    async def _stop(self) -> None:
        tasks = dict(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(DatabaseAway):
            for run in tasks.values():
                async with self._database.connection() as connection:
                    await repository.release(connection, *run.key)


def _columns(lists: Any) -> tuple[list[str], list[str]]:
    return [party for party, _ in lists], [module for _, module in lists]
