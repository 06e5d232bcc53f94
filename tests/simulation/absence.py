"""A change log of millions of rows that are made when they are read. `python -m tests.simulation.absence` prints the whole case.

Change number n is to object n * STRIDE modulo the number of objects: each changes equally often, and every version is known.
"""

from collections.abc import Callable

from hub.delivery.destinations import Fresh
from hub.delivery.messages import State
from hub.objects.changelog import Change, Position, Window
from hub.objects.repository import ObjectKey
from ocpi_modules.message import PartyId
from ocpi_modules.spec import Method, ModuleID
from tests.simulation.memory import MemoryDatabase

STRIDE = 7919
WINDOW_ROWS = 400_000
OWNER = PartyId("NL", "CPO")


class LongLog(MemoryDatabase):
    """`changes` to `objects` objects, spread evenly over `seconds` from the beginning of time."""

    def __init__(self, clock: Callable[[], float], *, changes: int, objects: int, seconds: float) -> None:
        super().__init__(clock)
        self._changes, self._count, self._seconds = changes, objects, seconds
        self.objects = _Lazily(self)  # type: ignore[assignment]

    @property
    def written(self) -> int:
        return min(self._changes, int(self._changes * self.clock() / self._seconds))

    def object_of(self, change: int) -> int:
        return change * STRIDE % self._count

    def version(self, number: int, written: int | None = None) -> int:
        """How often an object has changed: its changes come once in every round of all objects."""
        rounds, rest = divmod(self.written if written is None else written, self._count)
        return rounds + (number * pow(STRIDE, -1, self._count) % self._count < rest)

    def fresh(self, number: int) -> Fresh:
        """The latest change of an object, as the process that stored it tells it."""
        state, _ = self.objects[key(number)]
        return Fresh(
            state.key, state.version, Method.PUT, f"/{OWNER.country_code}/{OWNER.party_id}/L{number}", "", state.body
        )

    def changes(self, after: Position, upto: Position | None, most: int) -> Window:
        first = after.seq
        last = min(self.written, upto.seq if upto else self.written, first + WINDOW_ROWS)
        if last <= first:
            return Window((), upto or after, full=False)
        full = last - first >= WINDOW_ROWS
        newest: list[Change] = []
        for change in range(max(first, last - self._count), last):  # each object is in the last round once
            number = self.object_of(change)
            version = change // self._count + 1
            if not full or version == self.version(number):
                newest.append(Change(Position(1, change + 1), key(number), version))
                if len(newest) == most:
                    return Window(tuple(newest), newest[-1].position, full=True)
        return Window(tuple(newest), Position(1, last), full)


class _Lazily(dict[ObjectKey, tuple[State, bool]]):
    """The objects as they are now."""

    def __init__(self, log: LongLog) -> None:
        super().__init__()
        self._log = log

    def __contains__(self, wanted: object) -> bool:
        return True

    def __getitem__(self, wanted: ObjectKey) -> tuple[State, bool]:
        name = wanted.key_folded
        version = self._log.version(int(name[1:]))
        text = f'{{"country_code":"NL","party_id":"CPO","id":"{name}","version":{version}}}'
        return State(wanted, version, text.encode()), False


def key(number: int) -> ObjectKey:
    return ObjectKey(OWNER, ModuleID.locations, f"L{number}", "*")


if __name__ == "__main__":
    from tests.simulation import virtual_time
    from tests.simulation.test_scenarios import absent

    print(virtual_time.run(absent(changes=3_000_000, objects=100_000)))
