"""What delivery remembers, as a port and as PostgreSQL. Every call is a short transaction of its own; all raise DatabaseAway.

The worker knows nothing but `Store`, so that a simulation can put something else in its place.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol
from uuid import UUID

from hub.db.engine import Database
from hub.delivery import repository, walks
from hub.delivery.destinations import Destination, Pending, Place
from hub.delivery.messages import State
from hub.objects import changelog
from hub.objects.changelog import BEGINNING, Position, Window
from hub.objects.repository import ObjectKey
from ocpi_modules.message import PartyId
from ocpi_modules.spec import ModuleID

LEASE_SECONDS = 5.0
FORGOTTEN_SECONDS = 60.0
PAUSE_DAYS = 5.0
MOST_OWED = 500
MOST_OWING = 10_000
WALK_OBJECTS = 500


@dataclass(frozen=True)
class Standing:
    """A destination after its lease was renewed: what others changed about it."""

    paused: bool
    failures: int


@dataclass(frozen=True)
class Lease:
    """A destination taken over. `same_cluster` False: the cursor means the transactions of another database cluster."""

    destination: Destination
    same_cluster: bool
    wait_seconds: float | None


class Store(Protocol):
    """Everything the worker asks of its memory."""

    lease_seconds: float

    async def beat(self, worker: UUID) -> list[UUID]: ...

    async def leave(self, worker: UUID) -> None: ...

    async def free(self) -> list[str]: ...

    async def take(self, worker: UUID, parties: Collection[str]) -> list[Lease]: ...

    async def renew(self, destinations: Sequence[Destination]) -> dict[PartyId, Standing]: ...

    async def release(self, destinations: Sequence[Destination]) -> None: ...

    async def restart(self, destination: Destination, *, walk: bool) -> Position | None: ...

    async def changes(self, after: Position, upto: Position | None, most: int) -> Window: ...

    async def revoked(self, after: Position) -> Window: ...

    async def walk(self, place: Place) -> tuple[list[Pending], Place | None]: ...

    async def state(self, key: ObjectKey) -> State | None: ...

    async def owed(self, parties: Mapping[PartyId, bool]) -> list[tuple[PartyId, Pending]]: ...

    async def owing(self, destination: Destination) -> set[ObjectKey]: ...

    async def attempts(self, destination: Destination, pending: Pending) -> int: ...

    async def owe(
        self, destination: Destination, pending: Pending, attempts: int, seconds: float | None, reason: str
    ) -> bool: ...

    async def settle(self, destination: Destination, key: ObjectKey, version: int) -> bool: ...

    async def failed(self, destination: Destination, failures: int, seconds: float, reason: str) -> bool: ...

    async def pause_absent(self, destinations: Sequence[Destination], reason: str) -> list[PartyId]: ...

    async def seconds_failing(self, destination: Destination) -> float: ...

    async def succeeded(self, destination: Destination) -> None: ...

    async def clear_backoff(self, platforms: Collection[UUID]) -> None: ...


class PostgresStore:
    """`lease_seconds` is how long a destination stays with a worker that says nothing more.

    `open_to_all`: the worker asks for no agreement.
    """

    def __init__(self, database: Database, *, lease_seconds: float = LEASE_SECONDS, open_to_all: bool = False) -> None:
        self._database = database
        self._open_to_all = open_to_all
        self.lease_seconds = lease_seconds

    async def beat(self, worker: UUID) -> list[UUID]:
        """Say that this worker lives; make and drop destinations; the workers that live."""
        async with self._database.transaction() as connection:
            await repository.beat(connection, worker, open_to_all=self._open_to_all)
            await repository.forget_workers(connection, FORGOTTEN_SECONDS)
        async with self._database.transaction() as connection:
            await repository.drop_destinations(connection)
            await repository.add_destinations(connection)
            return await repository.live_workers(connection, self.lease_seconds)

    async def leave(self, worker: UUID) -> None:
        async with self._database.transaction() as connection:
            await repository.leave(connection, worker)

    async def free(self) -> list[str]:
        async with self._database.connection() as connection:
            return await repository.free_destinations(connection)

    async def take(self, worker: UUID, parties: Collection[str]) -> list[Lease]:
        async with self._database.transaction() as connection:
            rows = await repository.take_leases(connection, worker, parties, self.lease_seconds)
        return [_lease(row) for row in rows]

    async def renew(self, destinations: Sequence[Destination]) -> dict[PartyId, Standing]:
        """Store the cursors and keep the leases; a destination that is missing in the answer is lost."""
        async with self._database.transaction() as connection:
            rows = await repository.renew_leases(
                connection,
                [str(one.party) for one in destinations],
                [one.epoch for one in destinations],
                [str(one.cursor.xid) for one in destinations],
                [one.cursor.seq for one in destinations],
                [None if one.walk is None else "\n".join(one.walk) for one in destinations],
                [None if one.ahead <= one.cursor else "\n".join(map(str, one.ahead)) for one in destinations],
                self.lease_seconds,
            )
        return {PartyId.read(row["party"]): Standing(row["state"] == "PAUSED", row["failures"]) for row in rows}

    async def release(self, destinations: Sequence[Destination]) -> None:
        """Store the cursors and give the leases back."""
        await self.renew(destinations)
        async with self._database.transaction() as connection:
            await repository.end_leases(
                connection, [str(one.party) for one in destinations], [one.epoch for one in destinations]
            )

    async def restart(self, destination: Destination, *, walk: bool) -> Position | None:
        """Begin again at the end of the log, with a walk through all objects or owing nothing; None: the lease is lost."""
        async with self._database.transaction() as connection:
            row = await repository.restart_cursor(connection, str(destination.party), destination.epoch, walk=walk)
            if row is not None and not walk:
                await repository.forgive(connection, str(destination.party))
        return Position(int(row["cursor_xid"]), row["cursor_seq"]) if row is not None else None

    async def changes(self, after: Position, upto: Position | None, most: int) -> Window:
        """At most `most` changes; that the log still reaches back so far is asked after it was read."""
        async with self._database.transaction() as connection:
            window = await changelog.read(connection, after, upto, most)
            return replace(window, gap=after < await changelog.floor(connection))

    async def revoked(self, after: Position) -> Window:
        """The revoked Tokens of the next stretch of the log, which is long."""
        async with self._database.transaction() as connection:
            return await changelog.read_revoked(connection, after)

    async def walk(self, place: Place) -> tuple[list[Pending], Place | None]:
        """The next objects for everybody and the place after them, None at the end."""
        stretch, key = walks.opened(place)
        async with self._database.connection() as connection:
            rows = await repository.objects_after(connection, stretch, key, WALK_OBJECTS)
        last = rows[-1] if len(rows) == WALK_OBJECTS else None
        after = (last["owner"], last["module"], last["key_folded"]) if last else None
        urgent = stretch == walks.REVOKED
        return [Pending(_key(row), row["version"], urgent=urgent) for row in rows], walks.after(stretch, after)

    async def state(self, key: ObjectKey) -> State | None:
        async with self._database.connection() as connection:
            row = await repository.current_object(connection, key)
        return State(key, row["version"], row["body"], row["deleted"], row["correlation_id"]) if row else None

    async def owed(self, parties: Mapping[PartyId, bool]) -> list[tuple[PartyId, Pending]]:
        """What is due; True for a party: all of it, False: only what is revoked."""
        only_revoked = [not everything for everything in parties.values()]
        async with self._database.connection() as connection:
            rows = await repository.owed(connection, [str(party) for party in parties], only_revoked, MOST_OWED)
        return [
            (PartyId.read(row["party"]), Pending(_key(row), row["version"], owed=True, urgent=row["revoked"]))
            for row in rows
        ]

    async def owing(self, destination: Destination) -> set[ObjectKey]:
        """Objects a debt stands of, at most MOST_OWING."""
        async with self._database.connection() as connection:
            rows = await repository.owing(connection, str(destination.party), MOST_OWING)
        return {_key(row) for row in rows}

    async def attempts(self, destination: Destination, pending: Pending) -> int:
        async with self._database.connection() as connection:
            return await repository.attempts_of(connection, str(destination.party), pending.key, pending.version)

    async def owe(
        self, destination: Destination, pending: Pending, attempts: int, seconds: float | None, reason: str
    ) -> bool:
        """False: the lease is lost."""
        party, epoch = str(destination.party), destination.epoch
        async with self._database.transaction() as connection:
            return await repository.owe(
                connection, party, epoch, pending.key, pending.version, attempts, seconds, reason
            )

    async def settle(self, destination: Destination, key: ObjectKey, version: int) -> bool:
        """Whether nothing is owed of this object any more, now that the receiver has `version`."""
        async with self._database.transaction() as connection:
            return await repository.settle(connection, str(destination.party), key, version)

    async def failed(self, destination: Destination, failures: int, seconds: float, reason: str) -> bool:
        """Store the back-off; True when the destination is PAUSED from now on."""
        async with self._database.transaction() as connection:
            state = await repository.note_failure(
                connection, str(destination.party), destination.epoch, failures, seconds, reason, PAUSE_DAYS
            )
        return state == "PAUSED"

    async def pause_absent(self, destinations: Sequence[Destination], reason: str) -> list[PartyId]:
        """Pause those whose platform is OFFLINE and was not heard of for PAUSE_DAYS; those it paused just now."""
        parties, epochs = [str(one.party) for one in destinations], [one.epoch for one in destinations]
        async with self._database.transaction() as connection:
            paused = await repository.pause_absent(connection, parties, epochs, PAUSE_DAYS, reason)
        return [PartyId.read(party) for party in paused]

    async def seconds_failing(self, destination: Destination) -> float:
        async with self._database.connection() as connection:
            return await repository.seconds_failing(connection, str(destination.party))

    async def succeeded(self, destination: Destination) -> None:
        async with self._database.transaction() as connection:
            await repository.note_success(connection, str(destination.party), destination.epoch)

    async def clear_backoff(self, platforms: Collection[UUID]) -> None:
        async with self._database.transaction() as connection:
            await repository.clear_backoff(connection, platforms)


def _lease(row: Any) -> Lease:
    walk, ahead = row["walk_after"], row["ahead"]
    destination = Destination(
        party=PartyId.read(row["party"]),
        platform_id=row["platform_id"],
        epoch=row["epoch"],
        cursor=Position(int(row["cursor_xid"]), row["cursor_seq"]),
        walk=None if walk is None else tuple(walk),
        ahead=Position(int(ahead[0]), int(ahead[1])) if ahead else BEGINNING,
        failures=row["failures"],
        noted=row["noted"],
        paused=row["state"] == "PAUSED",
    )
    return Lease(destination, row["same_cluster"], row["wait_seconds"])


def _key(row: Any) -> ObjectKey:
    return ObjectKey(PartyId.read(row["owner"]), ModuleID(row["module"]), row["key_folded"], row["audience"])
