"""Whether it is us. When most receivers begin to fail within a minute, our own network is the likelier cause (Q-11). Pure.

While the hub suspects itself no failure counts against anybody; receivers are probed at times spread by chance. Two that answer
clear it, and what still fails from then on is a failure of the receiver.
"""

from collections.abc import Callable
from uuid import UUID

WITHIN_SECONDS = 60.0
LEAST_FAILING = 5
PROVEN_BY = 2
PROBE_SECONDS = 20.0


class Suspicion:
    """Of one process, about the platforms it delivers to. `clock` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began_to_fail: dict[UUID, float] = {}
        self._answered: set[UUID] = set()
        self.suspected = False

    def failed(self, platform: UUID, of: int) -> bool:
        """A platform of `of` does not answer; True when that is rather our fault."""
        now = self._clock()
        self._began_to_fail.setdefault(platform, now)
        self._answered.discard(platform)
        if not self.suspected:
            recent = sum(now - since <= WITHIN_SECONDS for since in self._began_to_fail.values())
            self.suspected = recent >= LEAST_FAILING and 2 * recent > of
        return self.suspected

    def answered(self, platform: UUID) -> None:
        """A platform answered, whatever it said."""
        self._began_to_fail.pop(platform, None)
        if self.suspected:
            self._answered.add(platform)
            if len(self._answered) >= PROVEN_BY:
                self.suspected = False
                self._answered.clear()
                self._began_to_fail = dict.fromkeys(self._began_to_fail, self._clock() - WITHIN_SECONDS - 1)


def probe_delay(chance: float) -> float:
    """Seconds until one of many is tried again: half to one and a half times 20 s."""
    return PROBE_SECONDS * (0.5 + chance)
