"""How fast one charger is read: a bucket of tokens that slows down instead of closing (S-49)."""

import asyncio
from collections.abc import Callable


class Pace:
    """`per_second` messages sustained, `burst` at once. `now` is a monotonic clock in seconds."""

    def __init__(self, per_second: float, burst: int, now: Callable[[], float]) -> None:
        self._per_second = per_second
        self._burst = float(burst)
        self._now = now
        self._tokens = float(burst)
        self._filled_at = now()

    def delay(self) -> float:
        """Take one token; the seconds to wait until it is truly there."""
        now = self._now()
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._per_second) - 1
        self._filled_at = now
        return max(0.0, -self._tokens / self._per_second)

    async def keep(self) -> None:
        """Wait as long as `delay` says."""
        seconds = self.delay()
        if seconds:
            await asyncio.sleep(seconds)
