"""One receiving party as a worker sees it: what it is to get, what is under way, and how far its cursor may move. No I/O.

Each object has one lane: while one state of it is under way, a newer one waits, and of several that wait only the newest is sent.
The cursor moves over what was settled without a gap. What is remembered is bounded; a receiver that is away costs a cursor.
Revoked Tokens are read ahead of everything else by a second cursor, and not sent again when the first comes by.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from hub.delivery.backoff import Concurrency
from hub.objects.changelog import BEGINNING, Position, Window
from hub.objects.repository import ObjectKey
from ocpi_modules.message import PartyId
from ocpi_modules.spec import Method

Place = tuple[str, ...]
"""How far a walk through all objects has come, empty at the beginning (`walks.py`)."""


class Told(NamedTuple):
    """A mark between what is revoked: so far it was told ahead of everything else."""

    ahead: Position


class Walked(NamedTuple):
    """A mark between the objects of a walk; None: the walk is over."""

    place: Place | None


Mark = tuple[Position | Walked | Told, ObjectKey | None, int]
"""How far all is settled once the object has this version."""
MOST_REMEMBERED = 4_000
MOST_PENDING = 2_000
MOST_STUMBLED_OVER = 200
LOW_WATER = 200


@dataclass(slots=True)
class Fresh:
    """A push that this process just stored as `version`, as its owner sent it."""

    key: ObjectKey
    version: int
    method: Method
    path: str
    query: str
    body: bytes
    correlation_id: str = ""
    revoked: bool = False

    @property
    def whole(self) -> bool:
        """Whether it is the object itself and not a part of it."""
        return self.method is not Method.PATCH and self.path.count("/") == 3


@dataclass(slots=True)
class Pending:
    """An object to be sent, at least as it was at `version`. `owed`: the cursor has passed it already.

    Never changed: a fresh change is one, the same for all its destinations.
    """

    key: ObjectKey
    version: int
    fresh: Fresh | None = None
    owed: bool = False
    urgent: bool = False

    def joined(self, other: "Pending") -> "Pending":
        """The newer of the two; the older state is never sent."""
        newer, older = (other, self) if other.version >= self.version else (self, other)
        fresh = newer.fresh or (older.fresh if older.version == newer.version else None)
        return Pending(newer.key, newer.version, fresh, self.owed and other.owed, self.urgent or other.urgent)


@dataclass(slots=True, eq=False)
class Destination:
    """`lease_until`, `not_before` and `last_failure` are readings of a monotonic clock.

    `lease_until` is when sending must end, some time before the lease does.
    """

    party: PartyId
    platform_id: UUID
    epoch: int
    cursor: Position
    walk: Place | None = None
    """How far a walk through all objects was settled; None when there is none."""
    walking: Place | None = None
    """How far it was read."""
    ahead: Position = BEGINNING
    """How far revoked Tokens were settled; what is not behind the cursor means nothing."""
    lease_until: float = 0.0
    not_before: float = 0.0
    failures: int = 0
    last_failure: float = 0.0
    last_success: float = 0.0
    noted: bool = False
    """Whether the store holds it for failing; another process may clear the back-off, only a success ends the failing."""
    paused: bool = False
    leaving: bool = False
    """To be given to another worker once nothing is under way."""
    away: bool = False
    """Not connected: nothing is sent and nothing remembered but the cursor."""
    skipping: bool = False
    """It reads for itself what it missed: it goes on at the end of the log."""
    live: bool = False
    """It has read up to the end of the log; fresh changes may go out before the log is read again."""
    forewarned: bool = False
    """Of what is revoked it has read up to the end of the log; before that it reads nothing else."""
    concurrency: Concurrency = field(default_factory=Concurrency)
    read: Position = field(init=False)
    urgent: OrderedDict[ObjectKey, Pending] = field(default_factory=OrderedDict)
    pending: OrderedDict[ObjectKey, Pending] = field(default_factory=OrderedDict)
    """Ordered dictionaries, because the first is taken: a plain one looks for it behind every gap that was left (measured)."""
    blocked: dict[ObjectKey, Pending] = field(default_factory=dict)
    in_flight: dict[ObjectKey, Pending] = field(default_factory=dict)
    delivered: OrderedDict[ObjectKey, int] = field(default_factory=OrderedDict)
    owing: set[ObjectKey] = field(default_factory=set)
    """Objects the store may hold a debt of."""
    stumbled_over: set[ObjectKey] = field(default_factory=set)
    """What it failed at since it last took anything: while it fails, everything else is tried before."""
    unsettled: deque[Mark] = field(default_factory=deque)
    unsettled_ahead: deque[Mark] = field(default_factory=deque)
    _read_ahead: Position = field(init=False)

    def __post_init__(self) -> None:
        self.read = self.cursor
        self.walking = self.walk
        self._read_ahead = self.ahead

    # What is to be sent

    def fed(self, window: Window) -> None:
        """Take over a window of the log that begins at `read`."""
        delivered, unsettled, ahead = self.delivered, self.unsettled, self.ahead
        for change in window.changes:
            if delivered.get(change.key, 0) < change.version and not (change.revoked and change.position <= ahead):
                self.want(Pending(change.key, change.version, urgent=change.revoked))
                unsettled.append((change.position, change.key, change.version))
        if window.end != self.read:
            self.unsettled.append((window.end, None, 0))
        self.read = window.end
        self.live = not window.full
        self.settle()

    @property
    def reads_ahead_from(self) -> Position:
        """Where the next revoked Tokens are looked for."""
        return max(self._read_ahead, self.cursor)

    def warned(self, place: Position, window: Window) -> None:
        """Take over the revoked Tokens of a stretch of the log behind `place`, unless something before it is missing by now."""
        if place > self.reads_ahead_from:
            return
        for change in window.changes:
            if self.delivered.get(change.key, 0) < change.version:
                self.want(Pending(change.key, change.version, urgent=True))
                self.unsettled_ahead.append((Told(change.position), change.key, change.version))
        self._read_ahead = max(self._read_ahead, window.end)
        if self.unsettled_ahead and self.unsettled_ahead[-1][1] is None:
            self.unsettled_ahead.pop()  # nothing stands between the two marks
        self.unsettled_ahead.append((Told(self._read_ahead), None, 0))
        self.forewarned = not window.full
        self.settle()

    def walked(self, objects: Iterable[Pending], end: Place | None) -> None:
        """Take over a stretch of all objects; `end` None: it was the last."""
        for pending in objects:
            self.want(pending)
            self.unsettled.append((Walked(self.walking), pending.key, pending.version))
        self.walking = end
        self.unsettled.append((Walked(end), None, 0))
        self.settle()

    def told(self, fresh: Pending) -> None:
        """Send a fresh change at once, if nothing of the log is missing before it. The log repeats it in any case."""
        if self.live and not self.away and not self.paused and len(self.pending) < MOST_PENDING:
            self.want(fresh)

    def want(self, wanted: Pending) -> None:
        """Unless it has it already, or the object is its own."""
        key = wanted.key
        if key.owner == self.party:
            return
        if self.delivered.get(key, 0) >= wanted.version and not wanted.owed:
            return
        if key in self.in_flight:
            if self.in_flight[key].version < wanted.version:
                known = self.blocked.get(key)
                self.blocked[key] = known.joined(wanted) if known else wanted
            return
        known = self.urgent.pop(key, None) or self.pending.get(key)
        wanted = known.joined(wanted) if known else wanted
        if wanted.urgent:
            self.pending.pop(key, None)
            self.urgent[key] = wanted
        else:
            self.pending[key] = wanted

    @property
    def waiting(self) -> bool:
        """Whether anything could be sent next."""
        return bool(self.urgent or self.pending)

    def take(self, now: float) -> Pending | None:
        """The next to be sent, None when there is none or it may not be now."""
        lane = self.urgent or self.pending
        if not lane or now < self.not_before or now >= self.lease_until or self.paused or self.leaving:
            return None
        if len(self.in_flight) >= (1 if self.failures else self.concurrency.limit):
            return None
        taken = self._take_another() if self.failures and self.stumbled_over else None
        if taken is None:
            _, taken = lane.popitem(last=False)
        self.in_flight[taken.key] = taken
        return taken

    def _take_another(self) -> Pending | None:
        """Than what it stumbles over, which would else be its only probe and hold up everything behind it (Q-08)."""
        for lane in (self.urgent, self.pending):
            for key in lane:
                if key not in self.stumbled_over:
                    return lane.pop(key)
        return None

    def stumbled(self, key: ObjectKey) -> None:
        """It failed, maybe because of this object."""
        if len(self.stumbled_over) >= MOST_STUMBLED_OVER:
            self.stumbled_over.clear()
        self.stumbled_over.add(key)

    def may_carry(self, fresh: Fresh) -> bool:
        """Whether the pushed bytes are enough: the receiver has exactly the state before them."""
        return fresh.version == 1 or self.delivered.get(fresh.key) == fresh.version - 1

    # What became of it

    def done(self, pending: Pending, version: int | None) -> None:
        """Settled: the receiver has `version`, or (None) it does not get the object now."""
        key, delivered = pending.key, self.delivered
        if version is None:
            delivered.pop(key, None)
        else:
            delivered[key] = max(version, delivered.pop(key, 0))
            if len(delivered) > MOST_REMEMBERED:
                delivered.popitem(last=False)
        self._release(pending)
        self.settle()

    def give_back(self, pending: Pending) -> None:
        """Not sent, or in vain: it waits again, and goes out as a whole next time."""
        self.delivered.pop(pending.key, None)
        self._release(pending)
        self.want(Pending(pending.key, pending.version, owed=pending.owed, urgent=pending.urgent))

    def _release(self, pending: Pending) -> None:
        if self.in_flight.get(pending.key) is pending:
            del self.in_flight[pending.key]
        waiting = self.blocked.pop(pending.key, None)
        if waiting is not None:
            self.want(waiting)

    def settle(self) -> None:
        """Move the cursors over everything settled without a gap."""
        self._pass(self.unsettled)
        if self.unsettled_ahead:
            self._pass(self.unsettled_ahead)

    def _pass(self, marks: deque[Mark]) -> None:
        while marks:
            mark, key, version = marks[0]
            if key is not None and not self._settled(key, version):
                return
            marks.popleft()
            if isinstance(mark, Position):
                self.cursor = mark
            elif isinstance(mark, Walked):
                self.walk = mark.place
            else:
                self.ahead = mark.ahead

    def _settled(self, key: ObjectKey, version: int) -> bool:
        if self.delivered.get(key, 0) >= version:
            return True
        return not (key in self.in_flight or key in self.blocked or key in self.pending or key in self.urgent)

    def forget(self) -> None:
        """Keep the cursor and nothing else; what is under way ends as it ends."""
        for lane in (self.urgent, self.pending, self.blocked):
            lane.clear()
        self.delivered.clear()
        self.unsettled.clear()
        self.unsettled_ahead.clear()
        self.read = self.cursor
        self._read_ahead = self.ahead
        self.walking = self.walk
        self.live = self.forewarned = False

    # How it fares

    @property
    def idle(self) -> bool:
        return not self.in_flight

    @property
    def busy(self) -> bool:
        """Whether it has no room for more of the log."""
        return len(self.unsettled) >= LOW_WATER

    @property
    def hungry(self) -> bool:
        """Whether it has room for more of the log, and may have it."""
        return not self.paused and not self.leaving and not self.busy

    @property
    def behind(self) -> bool:
        """Whether something revoked might wait for it in the log, with room for it."""
        reads_all_at_once = self.live and self.forewarned and self.walking is None and not self.busy
        return not reads_all_at_once and len(self.unsettled_ahead) < LOW_WATER
