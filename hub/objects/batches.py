"""Pushes to be stored before they are answered, several in one transaction (group commit, N-10).

Nobody is made to wait for company: a batch is what came while the one before it was being committed. Objects that are replaced
whole are written by one statement for all, without a look at them; what is changed of others that live is read and written by
one statement each; objects that nobody knew are added by one statement for all; what else adds or removes an object follows in
a transaction of its own, one after the other; what keeps the others from being stored is tried again by itself. All pushes of
one object go the same way, or the later ones a later way.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any

import asyncpg
import structlog

from hub.db.engine import Collided, Database, DatabaseAway
from hub.objects import batch_repository, together
from hub.objects.batch_repository import Replacement
from hub.objects.keep import KeptObjects, Push, Then, is_whole
from hub.objects.listed_repository import lock_owners
from hub.objects.together import Outcome, Outcomes, Whole
from ocpi_modules import headers as names
from ocpi_modules.status import NotAvailable, OcpiError

TRIES = 3
RETRY_AFTER = {names.RETRY_AFTER: "5"}
_COLLISIONS = (Collided, asyncpg.UniqueViolationError)
_log = structlog.get_logger("hub.objects")


class _Member:
    """A push, what is written with it, and who waits for it."""

    __slots__ = ("answer", "push", "then")

    def __init__(self, push: Push, then: Then | None, answer: asyncio.Future[int | None]) -> None:
        self.push = push
        self.then = then
        self.answer = answer

    @property
    def given_up(self) -> bool:
        """Whether its caller was told so, and may have written it down elsewhere: nothing more is begun for it."""
        return self.answer.done() and not self.answer.cancelled()

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
Opened = Callable[[], AbstractAsyncContextManager[Any]]
WriteWholes = Callable[[Any, Sequence[Replacement]], Awaitable[dict[int, int]]]
"""The last versions by their places; those that are missing are not for this."""


class Batches:
    """One per process. Pushes of one object are stored in the order they came.

    `limit`: how many may wait, `delivered_limit` together with those that were delivered already; `most`: how many are stored at
    once; `at_once`: in how many transactions; `within`: how long a caller waits for its answer.
    """

    def __init__(
        self,
        *,
        database: Database,
        objects: KeptObjects,
        limit: int = 1000,
        delivered_limit: int = 10_000,
        most: int = 64,
        at_once: int = 2,
        within: timedelta = timedelta(seconds=10),
    ) -> None:
        self._database = database
        self._objects = objects
        self._limit = limit
        self._delivered_limit = delivered_limit
        self._most = most
        self._at_once = at_once
        self._seconds = within.total_seconds()
        self._waiting: deque[_Member] = deque()
        self._busy: set[Any] = set()
        self._working = 0
        self._workers: set[asyncio.Task[None]] = set()

    async def store(self, push: Push, then: Then | None = None, *, delivered: bool = False) -> int | None:
        """The object's new version, committed together with `then`; None when what is stored is newer.

        Raises OcpiError as `KeptObjects.apply` does, and NotAvailable (503) where there are too many already (Q-09) or it
        cannot be stored now; it may be stored all the same, so that the pusher repeats it.
        """
        if len(self._waiting) >= (self._delivered_limit if delivered else self._limit):
            raise NotAvailable("The hub has too much to store at the moment; push it again.", headers=RETRY_AFTER)
        loop = asyncio.get_running_loop()
        member = _Member(push, then, loop.create_future())
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
            for way in (self._replace, self._change_living, self._add, self._add_and_remove):
                batch = [member for member in await way(batch) if not member.given_up]
            for member in batch:
                await self._alone(member)
        except DatabaseAway as away:
            _log.warning("pushes_not_stored", reason=str(away))
        except Exception:
            _log.exception("pushes_not_stored")

    async def _replace(self, batch: Batch) -> Batch:
        """Objects that are replaced whole; what is left. One statement is its own transaction, where it is all."""
        alone = not any(member.then for member in batch)
        opened = self._database.connection if alone else self._database.transaction
        return await self._wholes(opened, self._objects.replace, together.to_replace(_pushes(batch)), batch)

    async def _add(self, batch: Batch) -> Batch:
        """Objects that nobody knew; what is left."""
        return await self._wholes(self._database.transaction, self._objects.add, together.to_add(_pushes(batch)), batch)

    async def _wholes(self, opened: Opened, write: WriteWholes, wholes: Sequence[Whole], batch: Batch) -> Batch:
        if not wholes:
            return batch

        async def written(connection: Any) -> Outcomes:
            versions = await write(connection, [whole.replacement for whole in wholes])
            return {at: it for place, last in versions.items() for at, it in wholes[place].versions(last).items()}

        return await self._together(opened, written, batch)

    async def _change_living(self, batch: Batch) -> Batch:
        """Objects that live and are changed; what is left."""
        pushes = _pushes(batch)
        keys = together.to_change(pushes)
        if not keys or (len(batch) < 2 and is_whole(pushes[0])):
            return batch

        async def change(connection: Any) -> Outcomes:
            done = together.change(pushes, await batch_repository.lock_living_objects(connection, keys))
            if done.changes:
                await self._objects.change(connection, list(done.objects.values()), done.changes)
            if done.stale:
                await batch_repository.mark_objects_stale(connection, list(done.stale))
            return done.outcomes

        return await self._together(self._database.transaction, change, batch)

    async def _add_and_remove(self, batch: Batch) -> Batch:
        """Under the locks of the owners, which come before those of objects; both in the order everybody takes them in."""
        if len(batch) < 2:
            return batch
        pushes = _pushes(batch)

        async def add_and_remove(connection: Any) -> Outcomes:
            if owners := {push.key.columns[:2] for push in pushes if not push.unfit}:
                await lock_owners(connection, owners)
            await batch_repository.lock_living_objects(connection, {push.key: False for push in pushes})
            outcomes: dict[int, Outcome] = {}
            for place, push in enumerate(pushes):
                try:
                    outcomes[place] = await self._objects.apply(connection, push)
                except OcpiError as error:
                    outcomes[place] = error
            return outcomes

        return await self._together(self._database.transaction, add_and_remove, batch)

    async def _together(self, opened: Opened, write: Callable[[Any], Awaitable[Outcomes]], batch: Batch) -> Batch:
        """What this did not store; the whole batch where one of it spoiled it. Raises DatabaseAway."""
        try:
            async with opened() as connection:
                if any(member.given_up for member in batch):  # while a connection was waited for
                    return batch
                outcomes = await write(connection)
                for place, outcome in outcomes.items():
                    member = batch[place]
                    if member.then is not None and isinstance(outcome, int):
                        await member.then(connection, member.push.key, outcome)
        except Exception as error:
            if isinstance(error, DatabaseAway) and not isinstance(error, Collided):
                raise
            _log.warning("batch_not_stored", pushes=len(batch), reason=type(error).__name__)
            return batch
        for place, outcome in outcomes.items():
            batch[place].settle(outcome)
        return [member for place, member in enumerate(batch) if place not in outcomes]

    async def _alone(self, member: _Member) -> None:
        """Writers in each other's way try again (F-11). Raises DatabaseAway."""
        for _ in range(TRIES):
            if member.given_up:
                return
            try:
                async with self._database.transaction() as connection:
                    if member.given_up:
                        return
                    version = await self._objects.apply(connection, member.push, member.then)
            except _COLLISIONS:
                continue
            except DatabaseAway:
                raise
            except Exception as error:
                member.settle(error)
                return
            member.settle(version)
            return
        member.give_up()


def _pushes(batch: Batch) -> list[Push]:
    return [member.push for member in batch]
