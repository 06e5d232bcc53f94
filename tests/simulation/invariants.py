"""What must hold at every moment and at the end (promises.md section 4: C1 to C4, as far as delivery goes)."""

from collections.abc import Callable
from itertools import islice
from uuid import UUID

from hub.delivery import backoff
from hub.delivery.audience import Audience
from hub.delivery.destinations import Destination
from hub.delivery.send import RoutedMessage
from hub.objects.changelog import Position
from hub.objects.repository import ObjectKey
from ocpi_modules.message import PartyId
from ocpi_modules.spec import Method
from tests.simulation.memory import Held, MemoryDatabase
from tests.simulation.receivers import Receiver, version_of

MOST_KEPT_WHILE_FAILING = 64


class Violated(AssertionError):
    """`name` is the invariant."""

    def __init__(self, name: str, sentence: str) -> None:
        super().__init__(f"{name}: {sentence}")
        self.name = name


class Judge:
    """Hears of everything that happens; the first violation is kept and raised by `verdict`."""

    def __init__(self, database: MemoryDatabase, audience: Audience, clock: Callable[[], float]) -> None:
        self.database = database
        self.audience = audience
        self.clock = clock
        self.first: Violated | None = None
        self.tombstones: dict[ObjectKey, int] = {}
        self.unsteady: set[tuple[PartyId, PartyId]] = set()
        """(owner, receiver) whose agreement was ended at some time: what was passed over then is not repeated."""
        self.patched: set[tuple[PartyId, ObjectKey, int]] = set()
        self.gone: set[PartyId] = set()
        """Who unregistered, and has not come back."""
        self.walks: dict[PartyId, dict[ObjectKey, int]] = {}
        """What each receiver is to be shown again, because it hears more than before."""

    def violated(self, name: str, sentence: str) -> None:
        if self.first is None:
            self.first = Violated(name, f"{sentence} (at {self.clock():.3f} s)")

    def begins_anew(self) -> None:
        """A backup was restored: the same versions come again, with other content."""
        objects = self.database.objects.items()
        self.tombstones = {key: state.version for key, (state, _) in objects if state.deleted}
        self.patched.clear()
        self.walks.clear()

    def left(self, party: PartyId) -> None:
        """Its place goes with it."""
        self.gone.add(party)
        self.walks.pop(party, None)

    def owes_walk(self, party: PartyId) -> None:
        """From now on it hears more: it is to be shown everything there is for everybody, as it is now or later."""
        objects = self.database.objects.items()
        self.walks[party] = {key: state.version for key, (state, _) in objects if key.audience == "*"}

    def verdict(self) -> None:
        if self.first is not None:
            raise self.first

    def sent(self, sender: object, receiver: Receiver, key: ObjectKey) -> None:
        """When a message leaves."""
        platform = self.audience.platform_of(receiver.party)
        if platform is None or not self.audience.includes(receiver.party, platform, key):
            self.violated("nothing to somebody not entitled", f"{key} to {receiver.party}")
        if key.owner in self.gone:
            self.violated("nothing of somebody who left", f"{key} to {receiver.party}")
        held = self.database.destinations.get(receiver.party)
        if held is None:
            self.violated("nothing to somebody who left", f"{key} to {receiver.party}")
        elif isinstance(sender, UUID) and (held.holder != sender or held.lease_until <= self.clock()):
            self.violated("only the holder of a lease sends", f"{key} to {receiver.party}")

    def seen(self, receiver: Receiver, key: ObjectKey, message: RoutedMessage, *, took: bool) -> int:
        """When a message is read by its receiver; the version it brought."""
        receiver.pushes += 1
        receiver.order.append(key)
        told = version_of(message)
        version = told if told is not None else self.tombstones.get(key, 0)
        walk = self.walks.get(receiver.party, {})
        if version >= walk.get(key, version + 1):
            del walk[key]
        before, _ = receiver.held.get(key, (0, False))
        if version < before:
            self.violated("never older after newer", f"{key} {version} after {before} at {receiver.party}")
        if message.method is Method.PATCH:
            if receiver.platform.switches.send_put_for_patch:
                self.violated("no PATCH to who takes none", f"{key} {version} at {receiver.party}")
            if before != version - 1:
                self.violated("a PATCH fits on what is there", f"{key} {version} on {before} at {receiver.party}")
            if (receiver.party, key, version) in self.patched:
                self.violated("a PATCH is tried once", f"{key} {version} at {receiver.party}")
            self.patched.add((receiver.party, key, version))
        if took:
            receiver.held[key] = version, told is None
        return version

    def cursor_moved(self, worker: UUID, before: Position, walked: bool, held: Held, receiver: Receiver) -> None:
        """After a worker stored a cursor that stood at `before`; `walked`: it was in the middle of a walk."""
        if held.holder != worker:
            self.violated("a stale holder moves no cursor", f"{held.party}")
        if held.cursor < before:
            self.violated("a cursor never goes back", f"{held.party} from {before} to {held.cursor}")
        if not walked and held.cursor != before:
            self._settled(before, held.cursor, receiver)

    def _settled(self, before: Position, after: Position, receiver: Receiver) -> None:
        """Every row the cursor moves over was taken, is owed, or is overtaken by one that is still ahead."""
        for row in self.database.rows_after(before, after, 1_000_000):
            key = row.key
            if receiver.accepted[key] >= row.version or self.is_excused(receiver, key):
                continue
            if (receiver.party, key) in self.database.debts:
                continue
            if any(one.key == key and one.version > row.version for one in self._ahead(after)):
                continue
            self.violated("the cursor waits for what is unsettled", f"{key} {row.version} at {receiver.party}")

    def _ahead(self, after: Position) -> list[object]:
        running = [row for one in self.database.running.values() for row in one.rows]
        return [*(row for row in self.database.log if row.position > after), *running]  # type: ignore[list-item]

    def is_excused(self, receiver: Receiver, key: ObjectKey) -> bool:
        """Whether this receiver need not have this object."""
        if (key.owner, receiver.party) in self.unsteady or receiver.platform.switches.resync == "pull":
            return True
        return not self.audience.includes(receiver.party, receiver.platform, key)

    def looks(self, destination: Destination) -> None:
        """Now and then, at each destination of each worker: memory is bounded, and an absent receiver costs a cursor."""
        waiting = len(destination.pending) + len(destination.urgent) + len(destination.blocked)
        failing = destination.noted and backoff.opens(destination.failures)
        absent = destination.away or (failing and self.clock() + 1 < destination.not_before)
        if absent and waiting + len(destination.unsettled) > MOST_KEPT_WHILE_FAILING:
            self.violated("an absent receiver costs a cursor", f"{waiting} wait for {destination.party}")
        if max(waiting, len(destination.delivered)) > 30_000:
            self.violated("memory is bounded", f"{destination.party}")

    def not_walked(self, receivers: dict[PartyId, Receiver], most: int = 3) -> list[str]:
        """What receivers were not shown again although they hear more, the first few of it."""
        left_out = (
            f"{party} was not shown {key} {version}"
            for party, walk in self.walks.items()
            for key, version in walk.items()
            if not self.is_excused(receivers[party], key)
        )
        return list(islice(left_out, most))

    def missing(self, receivers: dict[PartyId, Receiver], most: int = 3) -> list[str]:
        """What has not converged yet, the first few of it."""
        lacking = (
            f"{receiver.party} lacks {key} {state.version}, has {receiver.held.get(key)}"
            for receiver in receivers.values()
            for key, (state, _) in self.database.objects.items()
            if receiver.held.get(key) != (state.version, state.deleted) and not self.is_excused(receiver, key)
        )
        return list(islice(lacking, most))
