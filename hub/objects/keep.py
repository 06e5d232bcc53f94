"""Keeps a copy of every client owned object that passed: object, counter and change log in one transaction.

A PUT replaces, a PATCH and a push of an EVSE or Connector are merged into the kept copy, a DELETE leaves a tombstone. The newest
`last_updated` wins; what is older than the copy changes nothing. Unknown fields, number spelling and member order stay.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from hub.db.engine import Database
from hub.objects import batch_repository, listing, repository, spelling
from hub.objects.listed_repository import lock_owners
from hub.objects.removal import evses_removed
from hub.objects.repository import Kept, ObjectKey
from ocpi_modules import patch
from ocpi_modules.message import Clock, OcpiRequest, PartyId
from ocpi_modules.spec import Method, ModuleID, ModuleSpec
from ocpi_modules.types import folded as folded
from ocpi_modules.types import format_datetime, parse_datetime

EVERYBODY = "*"

Then = Callable[[Any, ObjectKey, int], Awaitable[None]]
"""What else is written in the transaction in which an object became a version."""


@dataclass(slots=True)
class Push:
    """A push that was delivered or is to be, reduced to what keeping it needs. Never changed.

    `last_updated` is that of the body, where whoever pushes has read it already. An `unfit` one is not kept; the copy is marked
    stale, unless it is the newer one.
    """

    key: ObjectKey
    module: ModuleSpec
    method: Method
    variables: Mapping[str, str]
    body: bytes
    correlation_id: str = ""
    last_updated: datetime | None = None
    unfit: bool = False

    @classmethod
    def of(
        cls,
        request: OcpiRequest,
        module: ModuleSpec,
        owner: PartyId,
        audience: str,
        last_updated: datetime | None = None,
        *,
        unfit: bool = False,
    ) -> "Push":
        key = ObjectKey(owner, module.id, key_folded(request, module), audience)
        return cls(
            key, module, request.method, request.variables, request.body, request.correlation_id, last_updated, unfit
        )


class KeptObjects:
    """One per process; it writes in the transactions of its callers."""

    def __init__(self, *, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._days: set[date] = set()

    def for_later(self) -> "KeptObjects":
        """The same without memory, for writes that may be made in another database than this (Q-04)."""
        return KeptObjects(database=self._database, clock=self._clock)

    async def prepare(self) -> None:
        """Make the day's partition of the change log, apart from what may be rolled back. Raises DatabaseAway."""
        now = self._clock()
        if now.date() not in self._days:
            async with self._database.transaction() as connection:
                await repository.ensure_change_partition(connection, now)
            self._days.add(now.date())

    async def apply(self, connection: Any, push: Push, then: Then | None = None) -> int | None:
        """The object's new version, None when nothing changed; the caller owns the transaction. `then` follows a change.

        Raises NotFound or UnknownLocation (404) when there is nothing to merge into (X-76); an OcpiError before it has changed
        anything, so that the transaction may go on.
        """
        version = await self._apply(connection, push)
        if then is not None and version is not None:
            await then(connection, push.key, version)
        return version

    async def _apply(self, connection: Any, push: Push) -> int | None:
        if push.unfit:
            await repository.mark_object_stale(connection, push.key, push.last_updated)
            return None
        if push.method is not Method.DELETE:
            kept = await repository.lock_living_object(connection, push.key)
            if kept is not None:
                return await self._store(connection, push, kept)
        await lock_owners(connection, [push.key.columns[:2]])
        kept = await repository.lock_object(connection, push.key)
        if push.method is Method.DELETE:
            return await self._bury(connection, push.key, push.correlation_id)
        version = await self._store(connection, push, kept)
        if version is not None and (kept is None or kept.deleted):
            await listing.appeared(connection, push.key)
        return version

    async def remove(self, connection: Any, key: ObjectKey) -> int | None:
        """Mark what vanished from its owner's list: a Location's EVSEs REMOVED, a tombstone for a Tariff; its new version.

        None when nothing changed. Nobody but the hub can date a vanished Location: it gets the hub's time, and yields to
        whatever its owner says next. The caller owns the transaction.
        """
        if key.module is not ModuleID.locations:
            await lock_owners(connection, [key.columns[:2]])
            return await self._bury(connection, key)
        kept = await repository.lock_living_object(connection, key)
        if kept is None:
            return None
        when = format_datetime(max(self._clock(), kept.last_updated))
        body = evses_removed(kept.body, when)
        if body is None:
            return None
        version = await repository.rewrite_object(connection, key, body, parse_datetime(when))
        await self._log(connection, key, version)
        return version

    async def _store(self, connection: Any, push: Push, kept: Kept | None) -> int | None:
        body = merged(push, kept)
        if body is None:
            return None
        version = await repository.upsert_object(
            connection,
            push.key,
            body,
            last_updated_of(push, body),
            push.correlation_id,
            stale=kept is not None and stays_stale(push, kept),
        )
        await self._log(connection, push.key, version)
        return version

    async def _bury(self, connection: Any, key: ObjectKey, correlation_id: str = "") -> int | None:
        version = await repository.bury_object(connection, key, correlation_id)
        if version is not None:
            await listing.vanished(connection, key)
        await self._log(connection, key, version)
        return version

    async def _log(self, connection: Any, key: ObjectKey, version: int | None) -> None:
        if version is None:
            return
        await repository.log_change(connection, key, version, await self._moment(connection))

    async def replace(self, connection: Any, pushes: Sequence[batch_repository.Replacement]) -> dict[int, int]:
        """The new versions of those that live and are not newer, by their place in `pushes`; each its rows of the change log."""
        return await batch_repository.replace_objects(connection, pushes, await self._moment(connection))

    async def add(self, connection: Any, pushes: Sequence[batch_repository.Replacement]) -> dict[int, int]:
        """The versions of those that nobody knew, by their place in `pushes`; each its rows of the change log.

        Adding and removing is one at a time for an owner: everybody else waits until the transaction ends.
        """
        await lock_owners(connection, {push.key.columns[:2] for push in pushes})
        added = await batch_repository.add_objects(connection, pushes, await self._moment(connection))
        if added:
            await listing.appeared_together(connection, [(pushes[place].key, seq) for place, seq in added.items()])
        return {place: pushes[place].times for place in added}

    async def change(
        self, connection: Any, objects: Sequence[batch_repository.Version], changes: Sequence[tuple[ObjectKey, int]]
    ) -> None:
        """What living objects, locked by the caller, became; each of `changes` its own row of the change log, in this order."""
        await batch_repository.update_objects(connection, objects, changes, await self._moment(connection))

    async def _moment(self, connection: Any) -> datetime:
        """Now, with a partition of the change log for it."""
        now = self._clock()
        if now.date() not in self._days:
            await repository.ensure_change_partition(connection, now)
        return now


def key_folded(request: OcpiRequest, module: ModuleSpec) -> str:
    """The key after the owner, CiStrings folded; of a Token `<uid>|<type>`, the type of a PUT from its body (K-05)."""
    parts = [request.variables[request.endpoint.names[2]]]
    for name, default in module.query_key.items():
        given = request.document.get(name) if request.method is Method.PUT else None
        parts.append(given if isinstance(given, str) else request.params.get(name, default))
    return folded("|".join(parts))


def is_whole(push: Push) -> bool:
    """Whether it is a PUT of the object itself, which looks at nothing that is kept."""
    return push.method is Method.PUT and not push.unfit and not patch.levels_of(push.module, push.variables)


def stays_stale(push: Push, kept: Kept) -> bool:
    """Whether the copy is merged with something else than what its receiver has; only a whole object mends that."""
    return kept.stale and not kept.deleted and not is_whole(push)


def merged(push: Push, kept: Kept | None) -> bytes | None:
    """The whole object after the push, or None when what is kept is newer."""
    if is_whole(push):
        return push.body
    levels = patch.levels_of(push.module, push.variables)
    arrays, texts = _opened(push.module)
    pushed = spelling.read(push.body, arrays, texts)
    known = spelling.read(kept.body, arrays, texts) if kept and not kept.deleted else None
    before = patch.child(known, levels) if known is not None else None
    if before is not None and _instant(pushed) < _instant(before):
        return None
    return spelling.write(patch.changed(push.module, known, push.method, push.variables, pushed))


def _opened(module: ModuleSpec) -> tuple[frozenset[str], frozenset[str]]:
    """The arrays that hold what has a URL of its own, and the strings a merge looks at."""
    return (
        frozenset(array for _, array, _ in module.nested),
        frozenset({"last_updated", *(id_field for _, _, id_field in module.nested)}),
    )


def last_updated_of(push: Push, body: bytes) -> datetime:
    """When what came of a push was last updated."""
    if push.last_updated is not None and body is push.body:
        return push.last_updated
    return _instant(spelling.read(body, (), ("last_updated",)))


def _instant(fields: Mapping[str, Any]) -> datetime:
    return parse_datetime(str(fields.get("last_updated", "")))
