"""Pushes to be stored before they are answered, several in one transaction (group commit, N-10).

Nobody is made to wait for company: a batch is what came while the one before it was being committed. What is changed of objects
that live is read, changed and written by one statement each; what adds or removes an object follows in a second transaction,
one after the other; what keeps the others from being stored is tried again by itself.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import asyncpg
import structlog

from hub.db.engine import Database, DatabaseAway
from hub.objects import batch_repository, together
from hub.objects.keep import KeptObjects, Push
from hub.objects.listed_repository import lock_owner
from hub.objects.together import Outcome
from ocpi_modules import headers as names
from ocpi_modules.status import NotAvailable, OcpiError

TRIES = 3
RETRY_AFTER = {names.RETRY_AFTER: "5"}
_COLLISIONS = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError, asyncpg.UniqueViolationError)
_log = structlog.get_logger("hub.objects")


class _Member:
    """A push and who waits for it."""

    __slots__ = ("answer", "push")

    def __init__(self, push: Push, answer: asyncio.Future[int | None]) -> None:
        self.push = push
        self.answer = answer

    def settle(self, outcome: Outcome) -> None:
        """Unless whoever waited has gone."""
        if self.answer.done():
            return
        if isinstance(outcome, Exception):
            self.answer.set_exception(outcome)
        else:
            self.answer.set_result(outcome)

    def give_up(self) -> None:
        """It could not be stored, or nobody knows whether it was."""
        if not self.answer.done():
            text = "The hub cannot store this at the moment; push it again."
            self.answer.set_exception(NotAvailable(text, headers=RETRY_AFTER))


Batch = Sequence[_Member]


class Batches:
    """One per process. Pushes of one object are stored in the order they came.

    `limit`: how many may wait; `most`: how many are stored at once; `at_once`: in how many transactions; `within`: how long a
    caller waits for its answer.
    """

    def __init__(
        self,
        *,
        database: Database,
        objects: KeptObjects,
        limit: int = 1000,
        most: int = 64,
        at_once: int = 2,
        within: timedelta = timedelta(seconds=10),
    ) -> None:
        self._database = database
        self._objects = objects
        self._limit = limit
        self._most = most
        self._at_once = at_once
        self._seconds = within.total_seconds()
        self._waiting: deque[_Member] = deque()
        self._busy: set[Any] = set()
        self._working = 0
        self._workers: set[asyncio.Task[None]] = set()

    async def store(self, push: Push) -> int | None:
        """The object's new version, committed; None when what is stored is newer.

        Raises OcpiError as `KeptObjects.apply` does, and NotAvailable (503) where there are too many already (Q-09) or it
        cannot be stored now; it may be stored all the same, so that the pusher repeats it.
        """
        if len(self._waiting) >= self._limit:
            raise NotAvailable("The hub has too much to store at the moment; push it again.", headers=RETRY_AFTER)
        loop = asyncio.get_running_loop()
        member = _Member(push, loop.create_future())
        self._waiting.append(member)
        if self._working < self._at_once:
            self._working += 1
            worker = loop.create_task(self._work(), name="store pushes")
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)
        deadline = loop.call_later(self._seconds, member.give_up)
        try:
            return await member.answer
        finally:
            deadline.cancel()

    async def _work(self) -> None:
        try:
            while batch := self._taken():
                await self._store_alone_of_their_objects(batch)
        finally:
            self._working -= 1  # at once, not when the task is found done: who comes in between starts another

    async def _store_alone_of_their_objects(self, batch: Batch) -> None:
        keys = {member.push.key for member in batch}
        self._busy |= keys
        try:
            await self._store(batch)
        finally:
            self._busy -= keys
            for member in batch:
                member.give_up()

    def _taken(self) -> Batch:
        """The next that wait; what is of an object of another batch stays, as does all that follows of it."""
        taken: list[_Member] = []
        left: list[_Member] = []
        while self._waiting and len(taken) < self._most:
            member = self._waiting.popleft()
            if not member.answer.done():
                (left if member.push.key in self._busy else taken).append(member)
        self._waiting.extendleft(reversed(left))
        return taken

    async def _store(self, batch: Batch) -> None:
        try:
            await self._objects.prepare()
            for way in (self._change_living, self._add_and_remove):
                batch = await self._together(way, batch)
            for member in batch:
                await self._alone(member)
        except DatabaseAway as away:
            _log.warning("pushes_not_stored", reason=str(away))
        except Exception:
            _log.exception("pushes_not_stored")

    async def _together(
        self, way: Callable[[Any, Sequence[Push]], Awaitable[Mapping[int, Outcome]]], batch: Batch
    ) -> Batch:
        """Store what this way can; the rest of the batch, or the whole batch where one of it spoiled it. Raises DatabaseAway."""
        if len(batch) < 2:
            return batch
        try:
            async with self._database.transaction() as connection:
                outcomes = await way(connection, [member.push for member in batch])
        except DatabaseAway:
            raise
        except Exception as error:
            _log.warning("batch_not_stored", pushes=len(batch), reason=type(error).__name__)
            return batch
        for place, outcome in outcomes.items():
            batch[place].settle(outcome)
        return [member for place, member in enumerate(batch) if place not in outcomes]

    async def _change_living(self, connection: Any, pushes: Sequence[Push]) -> Mapping[int, Outcome]:
        keys = together.to_change(pushes)
        living = await batch_repository.lock_living_objects(connection, keys) if keys else {}
        done = together.change(pushes, living)
        if done.changes:
            await batch_repository.update_objects(connection, list(done.objects.values()))
            await self._objects.log_changes(connection, done.changes)
        return done.outcomes

    async def _add_and_remove(self, connection: Any, pushes: Sequence[Push]) -> Mapping[int, Outcome]:
        """Under the locks of the owners, which come before those of objects; both in the order everybody takes them in."""
        for owner, module in sorted({push.key.columns[:2] for push in pushes}):
            await lock_owner(connection, owner, module)
        await batch_repository.lock_living_objects(connection, {push.key: False for push in pushes})
        outcomes: dict[int, Outcome] = {}
        for place, push in enumerate(pushes):
            try:
                outcomes[place] = await self._objects.apply(connection, push)
            except OcpiError as error:
                outcomes[place] = error
        return outcomes

    async def _alone(self, member: _Member) -> None:
        """Writers in each other's way try again (F-11). Raises DatabaseAway."""
        for _ in range(TRIES):
            try:
                async with self._database.transaction() as connection:
                    version = await self._objects.apply(connection, member.push)
            except DatabaseAway:
                raise
            except _COLLISIONS:
                continue
            except Exception as error:
                member.settle(error)
                return
            member.settle(version)
            return
        member.give_up()
