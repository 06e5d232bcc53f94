"""rate_cap: never more than so many deliveries a second to all parties of a platform together, and none is dropped."""

from collections.abc import Callable
from uuid import UUID, uuid4

import pytest

from hub.delivery.destinations import Destination, Pending
from hub.delivery.pace import Pace
from hub.objects.changelog import Position
from hub.objects.repository import ObjectKey
from hub.parties.platforms import Party, Platform, PlatformState
from hub.parties.switches import Switches
from ocpi_modules.message import PartyId
from ocpi_modules.spec import ModuleID, Role

CPO = PartyId("NL", "CPO")


class Time:
    """A clock with alarms; `run` goes from one alarm to the next."""

    def __init__(self) -> None:
        self.now = 0.0
        self.alarms: list[tuple[float, Callable[[], None]]] = []

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        self.alarms.append((self.now + seconds, call))

    def run(self, until: float) -> None:
        while self.alarms and min(alarm[0] for alarm in self.alarms) <= until:
            self.alarms.sort(key=lambda alarm: alarm[0])
            at, call = self.alarms.pop(0)
            self.now = max(self.now, at)
            call()


class Platforms:
    def __init__(self, platform: Platform) -> None:
        self.platform = platform

    def platform_of(self, party: PartyId) -> Platform:
        return self.platform


def sent_by(rate_cap: float | None, *names: str, objects: int = 50, seconds: float = 100) -> list[float]:
    """When each push of so many objects to each of these parties left."""
    time, times = Time(), []
    parties = tuple(Party("DE", name, Role.EMSP) for name in names)
    switches = Switches(rate_cap=rate_cap)
    platform = Platform(uuid4(), "p", PlatformState.REGISTERED, parties=parties, switches=switches)
    pace = Pace(Platforms(platform), lambda: time.now, time.later)

    def pump(destination: Destination) -> None:
        while (pending := pace.take(destination, pump)) is not None:
            times.append(time.now)
            destination.done(pending, pending.version)

    for party in parties:
        destination = Destination(party.id, UUID(int=1), 1, Position(1, 0), lease_until=1e9)
        for number in range(objects):
            key = ObjectKey(CPO, ModuleID.locations, f"L{number}", "*")
            destination.want(Pending(key, 1))
        pump(destination)
    time.run(seconds)
    return times


def test_without_a_cap_everything_leaves_at_once() -> None:
    assert set(sent_by(None, "ONE")) == {0.0}


@pytest.mark.parametrize("names", [("ONE",), ("ONE", "TWO", "SIX")])
def test_all_parties_of_a_platform_together_stay_below_its_cap_and_nothing_is_dropped(names: tuple[str, ...]) -> None:
    times = sent_by(5, *names)
    assert len(times) == 50 * len(names)
    for start in times:
        assert len([at for at in times if start <= at < start + 1]) <= 5 + len(names)
    assert max(times) >= 9


def test_a_late_alarm_is_made_good_once_and_no_more() -> None:
    time = Time()
    platform = Platform(uuid4(), "p", PlatformState.REGISTERED, switches=Switches(rate_cap=1))
    pace = Pace(Platforms(platform), lambda: time.now, time.later)
    destination = Destination(PartyId("DE", "ONE"), UUID(int=1), 1, Position(1, 0), lease_until=1e9)
    for number in range(9):
        destination.want(Pending(ObjectKey(CPO, ModuleID.locations, f"L{number}", "*"), 1))
    taken = []
    for now in (0.0, 60.0, 60.0, 60.0):
        time.now = now
        taken.append(pace.take(destination, lambda destination: None) is not None)
        for pending in list(destination.in_flight.values()):
            destination.done(pending, 1)
    assert taken == [True, True, True, False]
    for _ in range(5):
        pace.take(destination, lambda destination: None)
    assert len(time.alarms) == 1
