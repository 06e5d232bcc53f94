"""A moment that moves with every request and is hardly ever reached: one timer follows it."""

import asyncio
from collections.abc import Callable


class Deadline:
    """Calls `reached` once the moment it was last set to has come, unless it was taken `off` in the meantime."""

    __slots__ = ("_due", "_fires", "_loop", "_reached", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop, reached: Callable[[], None]) -> None:
        self._loop = loop
        self._reached = reached
        self._due: float | None = None
        self._fires = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def within(self, seconds: float) -> None:
        """Set it, or move it, to so many seconds from now."""
        self.at(self._loop.time() + seconds)

    def at(self, due: float) -> None:
        """Set it, or move it, to a moment of the loop's time. A timer that fires too early looks again."""
        self._due = due
        if self._timer is None or self._fires > due:
            self._start(due)

    def off(self) -> None:
        """Nothing is waited for; the timer that runs finds nothing to do."""
        self._due = None

    def close(self) -> None:
        """For good: whoever is called back is let go."""
        self._due = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _start(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._fires = due
        self._timer = self._loop.call_at(due, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._due is None:
            return
        if self._loop.time() < self._due:
            self._start(self._due)
            return
        self._due = None
        self._reached()
