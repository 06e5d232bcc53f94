"""How many deliveries a second a platform takes (`rate_cap`). What must wait stays where it is, and its latest state goes later.

A platform's parties share its cap evenly: each is delivered to by one process, which need not be the same, so that no process
has to know what the others send.
"""

from collections.abc import Callable
from typing import Protocol

from hub.delivery.destinations import Destination, Pending
from hub.parties.platforms import Platform
from ocpi_modules.message import PartyId


class KnowsPlatforms(Protocol):
    """Where a party lives now, None while it is away."""

    def platform_of(self, party: PartyId) -> Platform | None: ...


class Pace:
    """A bucket of one token for each destination. `clock` is monotonic; `later(seconds, call)` calls it then."""

    def __init__(
        self,
        platforms: KnowsPlatforms,
        clock: Callable[[], float],
        later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        self._platforms = platforms
        self._clock = clock
        self._later = later
        self._next: dict[PartyId, float] = {}
        self._waking: set[PartyId] = set()

    def take(self, destination: Destination, again: Callable[[Destination], None]) -> Pending | None:
        """The next to be sent; None when there is none or it is not its turn, and then `again` is called when it is."""
        now = self._clock()
        seconds = self._seconds(destination.party)
        if seconds is None:
            self._next.pop(destination.party, None)
            return destination.take(now)
        turn = self._next.get(destination.party, now)
        if now < turn:
            self._wake(destination, turn - now, again)
            return None
        taken = destination.take(now)
        if taken is not None:
            self._next[destination.party] = max(turn, now - seconds) + seconds
        return taken

    def _wake(self, destination: Destination, seconds: float, again: Callable[[Destination], None]) -> None:
        """Once, however often it was asked for before."""
        if destination.party in self._waking:
            return

        def turn() -> None:
            self._waking.discard(destination.party)
            again(destination)

        self._waking.add(destination.party)
        self._later(seconds, turn)

    def _seconds(self, party: PartyId) -> float | None:
        """Between two deliveries to this party; None: as fast as it goes."""
        platform = self._platforms.platform_of(party)
        if platform is None or platform.switches.rate_cap is None:
            return None
        return max(1, len(platform.party_ids)) / platform.switches.rate_cap
