"""A database in memory that treats transactions, leases and cursors as PostgreSQL does; the same contract tests hold both.

Transaction ids are handed out when a transaction begins and sequence numbers when it writes, so rows appear out of order, and a
reader sees only what is below the oldest transaction that still runs.
"""

from bisect import bisect_right, insort
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeVar
from uuid import UUID

from hub.delivery import store, walks
from hub.delivery.destinations import Destination, Pending, Place
from hub.delivery.messages import State
from hub.delivery.store import LEASE_SECONDS, PAUSE_DAYS, Lease, Standing
from hub.objects.changelog import Change, Position, Window
from hub.objects.repository import ObjectKey
from ocpi_modules.message import PartyId
from ocpi_modules.spec import ModuleID

Around = Callable[[bool], Awaitable[None]]
Result = TypeVar("Result")


class Row(NamedTuple):
    """A row of the change log."""

    position: Position
    key: ObjectKey
    version: int


class Given(NamedTuple):
    """What a worker says of a destination when it renews its lease."""

    party: PartyId
    epoch: int
    cursor: Position
    walk: Place | None
    ahead: Position


@dataclass
class Transaction:
    """Its rows are seen once it is committed; the objects it wrote are locked until then."""

    xid: int
    rows: list[Row] = field(default_factory=list)
    states: dict[ObjectKey, tuple[State, bool]] = field(default_factory=dict)
    then: list[Callable[[], None]] = field(default_factory=list)


@dataclass
class Held:
    """A row of `destination`."""

    party: PartyId
    platform_id: UUID
    cursor: Position
    system: int
    walk: Place | None = None
    ahead: tuple[int, Position] = (0, Position(0, 0))
    """How far revoked Tokens were told, in which system."""
    epoch: int = 0
    holder: UUID | None = None
    lease_until: float = 0.0
    paused: bool = False
    failures: int = 0
    failing_since: float | None = None
    next_attempt: float | None = None
    offline_since: float | None = None
    """When its platform was last seen; None while it is CONNECTED."""


@dataclass
class Debt:
    """A row of `undelivered`."""

    version: int
    attempts: int
    due: float | None
    reason: str


class Backup(NamedTuple):
    """What of a database can be brought back."""

    objects: dict[ObjectKey, tuple[State, bool]]
    log: list[Row]
    destinations: dict[PartyId, Held]
    debts: dict[tuple[PartyId, ObjectKey], Debt]
    next_seq: int


class MemoryDatabase:
    """`clock` is the database's own, in seconds. The caps of a window are small, so that few rows fill one."""

    def __init__(self, clock: Callable[[], float], *, window_rows: int = 400_000, window_changes: int = 20_000) -> None:
        self.clock = clock
        self.window_rows, self.window_changes = window_rows, window_changes
        self.system = 1
        self.floor = Position(0, 0)
        self.objects: dict[ObjectKey, tuple[State, bool]] = {}
        self.log: list[Row] = []
        self.running: dict[int, Transaction] = {}
        self.locked: set[ObjectKey] = set()
        self.next_xid, self.next_seq = 100, 1
        self.destinations: dict[PartyId, Held] = {}
        self.debts: dict[tuple[PartyId, ObjectKey], Debt] = {}
        self.workers: dict[UUID, float] = {}

    # What writers do

    def begin(self) -> Transaction:
        transaction = self.running[self.next_xid] = Transaction(self.next_xid)
        self.next_xid += 1
        return transaction

    def write(
        self,
        own: Transaction,
        key: ObjectKey,
        body: Callable[[int], bytes],
        *,
        deleted: bool = False,
        revoked: bool = False,
    ) -> int | None:
        """The new version; None when another transaction holds the object, where PostgreSQL would wait."""
        if key in self.locked and key not in own.states:
            return None
        self.locked.add(key)
        known = own.states.get(key) or self.objects.get(key)
        version = known[0].version + 1 if known else 1
        own.states[key] = State(key, version, body(version), deleted), revoked
        own.rows.append(Row(Position(own.xid, self.next_seq), key, version))
        self.next_seq += 1
        return version

    def commit(self, own: Transaction) -> None:
        self._end(own)
        self.objects.update(own.states)
        for row in own.rows:
            insort(self.log, row)
        for effect in own.then:
            effect()

    def rollback(self, own: Transaction) -> None:
        self._end(own)

    def _end(self, own: Transaction) -> None:
        del self.running[own.xid]
        self.locked.difference_update(own.states)

    @property
    def oldest_running(self) -> int:
        return min(self.running, default=self.next_xid)

    def backup(self) -> "Backup":
        """What is committed now."""
        held = {party: replace(one) for party, one in self.destinations.items()}
        debts = {names: replace(debt) for names, debt in self.debts.items()}
        return Backup(dict(self.objects), list(self.log), held, debts, self.next_seq)

    def restore(self, backup: "Backup", next_xid: int) -> None:
        """Into a new cluster, which counts its transactions anew; what was under way is gone (F-51)."""
        self.objects, self.log = dict(backup.objects), list(backup.log)
        self.floor = Position(0, 0)  # that of another cluster means nothing
        self.destinations = {party: replace(one) for party, one in backup.destinations.items()}
        self.debts = {names: replace(debt) for names, debt in backup.debts.items()}
        self.next_xid, self.next_seq = next_xid, backup.next_seq
        self.running, self.locked, self.workers = {}, set(), {}
        self.system += 1

    # What a worker asks

    def rows_after(self, after: Position, upto: Position | None, most: int) -> list[Row]:
        end = Position(self.oldest_running, 0) if upto is None else min(upto, Position(self.oldest_running, 0))
        first = bisect_right(self.log, after, key=lambda row: row.position)
        last = bisect_right(self.log, end, key=lambda row: row.position)
        return self.log[first : min(last, first + most)]

    def changes(self, after: Position, upto: Position | None, most: int) -> Window:
        most = min(most, self.window_changes)
        rows = self.rows_after(after, upto, self.window_rows)
        if not rows:
            return Window((), upto or after, full=False, gap=after < self.floor)
        end, full = rows[-1].position, len(rows) >= self.window_rows
        newest: dict[ObjectKey, Row] = {}
        for row in rows:
            if row.key.audience == "*" and (row.key not in newest or newest[row.key].version < row.version):
                newest[row.key] = row
        wanted = [self._change(row) for row in sorted(newest.values())]
        if full or upto is not None:
            wanted = [one for one in wanted if self.objects[one.key][0].version == one.version]
        if len(wanted) >= most:
            return Window(tuple(wanted[:most]), wanted[most - 1].position, full=True, gap=after < self.floor)
        end = end if full or upto is None else max(end, upto)
        return Window(tuple(wanted), end, full, gap=after < self.floor)

    def _change(self, row: Row) -> Change:
        return Change(row.position, row.key, row.version, self.objects[row.key][1])

    def revoked(self, after: Position) -> Window:
        log = self.rows_after(after, None, len(self.log))
        rows = [row for row in log if row.key.module is ModuleID.tokens and row.key.audience == "*"]
        full = len(rows) >= self.window_rows
        end = rows[self.window_rows - 1].position if full else Position(self.oldest_running, 0)
        shown = [
            self._change(row) for row in rows[: self.window_rows] if self.objects[row.key][0].version == row.version
        ]
        return Window(tuple(one for one in shown if one.revoked), max(end, after), full)

    def walk(self, place: Place, most: int) -> tuple[list[Pending], Place | None]:
        stretch, begin = walks.opened(place)

        def name(key: ObjectKey) -> tuple[str, str, str]:
            return str(key.owner), str(key.module), key.key_folded

        def belongs(key: ObjectKey) -> bool:
            mine = "0" if self.objects[key][1] else "1" if key.module is ModuleID.tariffs else "2"
            return key.audience == "*" and name(key) > begin and stretch in (mine, walks.ALL)

        keys = sorted(filter(belongs, self.objects), key=name)[:most]
        found = [Pending(key, self.objects[key][0].version, urgent=stretch == walks.REVOKED) for key in keys]
        return found, walks.after(stretch, name(keys[-1]) if len(keys) == most else None)

    def take(self, worker: UUID, parties: Iterable[str], seconds: float) -> list[Lease]:
        now, leases = self.clock(), []
        for held in self._named(parties):
            if held.holder is None or held.lease_until < now:
                held.holder, held.lease_until, held.epoch = worker, now + seconds, held.epoch + 1
                leases.append(self._lease(held, now))
        self.next_xid += 1
        return leases

    def _lease(self, held: Held, now: float) -> Lease:
        destination = Destination(
            held.party,
            held.platform_id,
            held.epoch,
            held.cursor,
            walk=held.walk,
            ahead=held.ahead[1] if held.ahead[0] == self.system else Position(0, 0),
            failures=held.failures,
            noted=held.failing_since is not None,
            paused=held.paused,
        )
        wait = None if held.next_attempt is None else held.next_attempt - now
        return Lease(destination, held.system == self.system, wait)

    def leave(self, party: PartyId) -> None:
        """What DELETE credentials does."""
        self.destinations.pop(party, None)
        self.debts = {names: debt for names, debt in self.debts.items() if names[0] != party}

    def join(self, party: PartyId, platform_id: UUID, cursor: Position) -> None:
        """What a registration leads to, in a transaction of its own."""
        self.destinations[party] = Held(party, platform_id, cursor, self.system, epoch=self.next_xid)
        self.next_xid += 1

    def under_lease(self, destination: Destination | Given) -> Held | None:
        held = self.destinations.get(destination.party)
        return held if held is not None and held.epoch == destination.epoch else None

    def renew(self, destinations: Sequence[Given], seconds: float) -> dict[PartyId, Standing]:
        standings = {}
        for one in destinations:
            held = self.under_lease(one)
            if held is not None:
                held.lease_until = self.clock() + seconds
                if one.cursor >= held.cursor:  # else a restart came in between
                    held.cursor, held.walk, held.ahead = one.cursor, one.walk, (held.system, one.ahead)
                standings[one.party] = Standing(held.paused, held.failures)
        return standings

    def release(self, destinations: Sequence[Destination]) -> None:
        for one in destinations:
            held = self.under_lease(one)
            if held is not None:
                held.holder = None

    def restart(self, destination: Destination, *, walk: bool) -> Position | None:
        held = self.under_lease(destination)
        if held is None:
            return None
        held.system, held.cursor = self.system, Position(self.oldest_running, 0)
        held.walk, held.ahead = () if walk else None, (0, Position(0, 0))
        if not walk:
            self.debts = {names: debt for names, debt in self.debts.items() if names[0] != destination.party}
        return held.cursor

    def owe(
        self, destination: Destination, pending: Pending, attempts: int, seconds: float | None, reason: str
    ) -> bool:
        if self.under_lease(destination) is None:
            return False
        due = None if seconds is None else self.clock() + seconds
        self.debts[destination.party, pending.key] = Debt(pending.version, attempts, due, reason)
        return True

    def settle(self, destination: Destination, key: ObjectKey, version: int) -> bool:
        known = self.objects.get(key)
        if known is None or known[0].version <= version:
            self.debts.pop((destination.party, key), None)
        return (destination.party, key) not in self.debts

    def owed(self, parties: Mapping[PartyId, bool], most: int) -> list[tuple[PartyId, Pending]]:
        now = self.clock()
        due = [
            (debt.due, party, Pending(key, debt.version, owed=True, urgent=self._is_revoked(key)))
            for (party, key), debt in self.debts.items()
            if party in parties and debt.due is not None and debt.due <= now
        ]
        wanted = [one for one in due if parties[one[1]] or one[2].urgent]
        turns: Counter[PartyId] = Counter()
        taken = []
        for _, party, pending in sorted(wanted, key=lambda one: (not one[2].urgent, one[0])):
            taken.append((turns[party], party, pending))
            turns[party] += 1
        return [(party, pending) for _, party, pending in sorted(taken, key=lambda one: one[0])[:most]]

    def _is_revoked(self, key: ObjectKey) -> bool:
        return key in self.objects and self.objects[key][1]

    def failed(self, destination: Destination, failures: int, seconds: float) -> bool:
        held, now = self.under_lease(destination), self.clock()
        if held is None:
            return False
        held.paused = held.paused or (held.failing_since is not None and held.failing_since < now - PAUSE_DAYS * 86_400)
        held.failing_since = now if held.failing_since is None else held.failing_since
        held.failures, held.next_attempt = failures, now + seconds
        return held.paused

    def pause_absent(self, destinations: Sequence[Destination]) -> list[PartyId]:
        paused, now = [], self.clock()
        for held in filter(None, map(self.under_lease, destinations)):
            if not held.paused and held.offline_since is not None and held.offline_since < now - PAUSE_DAYS * 86_400:
                held.paused = True
                paused.append(held.party)
        return paused

    def succeeded(self, destination: Destination) -> None:
        held = self.under_lease(destination)
        if held is not None:
            held.failures, held.failing_since, held.next_attempt = 0, None, None

    def clear_backoff(self, platforms: Collection[UUID]) -> None:
        for held in self.destinations.values():
            if held.platform_id in platforms and held.next_attempt is not None:
                held.failures, held.next_attempt = 0, None

    def retry(self, party: PartyId) -> None:
        """What `ocpi-hub delivery retry` does."""
        for (of, _), debt in self.debts.items():
            if of == party:
                debt.due, debt.attempts = self.clock(), 0

    def walk_again(self, party: PartyId) -> None:
        """What follows when a receiver hears more than before."""
        held = self.destinations[party]
        held.epoch += 1
        held.system, held.cursor, held.walk = self.system, Position(self.oldest_running, 0), ()
        held.ahead = (0, Position(0, 0))

    def pause(self, party: PartyId) -> None:
        """What `ocpi-hub delivery pause` does."""
        self.destinations[party].paused = True

    def resume(self, party: PartyId) -> None:
        """What `ocpi-hub delivery resume` does."""
        held = self.destinations[party]
        held.paused, held.failures, held.failing_since, held.next_attempt = False, 0, None, None

    def drop_log(self, rows: int) -> None:
        """What the job for retention does with the oldest; whoever has not read them yet has lost its place."""
        rows = min(rows, bisect_right(self.log, Position(self.oldest_running, 0), key=lambda row: row.position))
        if rows:
            self.floor = self.log[rows - 1].position
            del self.log[:rows]

    def _named(self, parties: Iterable[str]) -> list[Held]:
        wanted = set(parties)
        return [held for held in self.destinations.values() if str(held.party) in wanted]


class MemoryStore:
    """The port of one worker to the database. `around` is awaited before (False) and after (True) each effect, and may raise."""

    def __init__(self, database: MemoryDatabase, around: Around, *, lease_seconds: float = LEASE_SECONDS) -> None:
        self.database = database
        self.lease_seconds = lease_seconds
        self._around = around

    async def _do(self, effect: Callable[[], Result]) -> Result:
        await self._around(False)
        result = effect()
        await self._around(True)
        return result

    async def beat(self, worker: UUID) -> list[UUID]:
        def effect() -> list[UUID]:
            now = self.database.clock()
            self.database.workers[worker] = now
            return [one for one, seen in self.database.workers.items() if seen >= now - self.lease_seconds]

        return await self._do(effect)

    async def leave(self, worker: UUID) -> None:
        await self._do(lambda: self.database.workers.pop(worker, None))

    async def free(self) -> list[str]:
        now = self.database.clock
        return await self._do(
            lambda: [
                str(one.party)
                for one in self.database.destinations.values()
                if one.holder is None or one.lease_until < now()
            ]
        )

    async def take(self, worker: UUID, parties: Collection[str]) -> list[Lease]:
        return await self._do(lambda: self.database.take(worker, parties, self.lease_seconds))

    async def renew(self, destinations: Sequence[Destination]) -> dict[PartyId, Standing]:
        given = [Given(one.party, one.epoch, one.cursor, one.walk, one.ahead) for one in destinations]
        return await self._do(lambda: self.database.renew(given, self.lease_seconds))

    async def release(self, destinations: Sequence[Destination]) -> None:
        await self.renew(destinations)
        await self._do(lambda: self.database.release(destinations))

    async def restart(self, destination: Destination, *, walk: bool) -> Position | None:
        return await self._do(lambda: self.database.restart(destination, walk=walk))

    async def changes(self, after: Position, upto: Position | None, most: int) -> Window:
        return await self._do(lambda: self.database.changes(after, upto, most))

    async def revoked(self, after: Position) -> Window:
        return await self._do(lambda: self.database.revoked(after))

    async def walk(self, place: Place) -> tuple[list[Pending], Place | None]:
        return await self._do(lambda: self.database.walk(place, 5))

    async def state(self, key: ObjectKey) -> State | None:
        return await self._do(lambda: self.database.objects[key][0] if key in self.database.objects else None)

    async def owed(self, parties: Mapping[PartyId, bool]) -> list[tuple[PartyId, Pending]]:
        return await self._do(lambda: self.database.owed(parties, store.MOST_OWED))

    async def owing(self, destination: Destination) -> set[ObjectKey]:
        return await self._do(lambda: {key for party, key in self.database.debts if party == destination.party})

    async def attempts(self, destination: Destination, pending: Pending) -> int:
        def effect() -> int:
            debt = self.database.debts.get((destination.party, pending.key))
            return debt.attempts if debt is not None and debt.version == pending.version else 0

        return await self._do(effect)

    async def owe(
        self, destination: Destination, pending: Pending, attempts: int, seconds: float | None, reason: str
    ) -> bool:
        return await self._do(lambda: self.database.owe(destination, pending, attempts, seconds, reason))

    async def settle(self, destination: Destination, key: ObjectKey, version: int) -> bool:
        return await self._do(lambda: self.database.settle(destination, key, version))

    async def failed(self, destination: Destination, failures: int, seconds: float, reason: str) -> bool:
        return await self._do(lambda: self.database.failed(destination, failures, seconds))

    async def pause_absent(self, destinations: Sequence[Destination], reason: str) -> list[PartyId]:
        return await self._do(lambda: self.database.pause_absent(destinations))

    async def seconds_failing(self, destination: Destination) -> float:
        def effect() -> float:
            held = self.database.destinations.get(destination.party)
            since = held.failing_since if held else None
            return 0.0 if since is None else self.database.clock() - since

        return await self._do(effect)

    async def succeeded(self, destination: Destination) -> None:
        await self._do(lambda: self.database.succeeded(destination))

    async def clear_backoff(self, platforms: Collection[UUID]) -> None:
        await self._do(lambda: self.database.clear_backoff(platforms))
