"""Notices when the event loop stands still (F-49): a thread looks at the loop's heartbeat and logs where the loop is.

While the loop stands still /readyz cannot answer, which a prober takes for "not ready"; after a long standstill it says so for a
while, so that a prober that came between sees it too.
"""

import asyncio
import sys
import threading
import time
import traceback

import structlog

STUCK_SECONDS = 2.0
LONG_SECONDS = 5.0
REMEMBERED_SECONDS = 15.0
_log = structlog.get_logger("hub.watchdog")


class Watchdog:
    """Of one event loop. `standstills` counts those of at least `stuck_seconds`, for metrics."""

    def __init__(self, *, stuck_seconds: float = STUCK_SECONDS, long_seconds: float = LONG_SECONDS) -> None:
        self.standstills = 0
        self._stuck_seconds = stuck_seconds
        self._long_seconds = long_seconds
        self._beat_seconds = stuck_seconds / 8
        self._beat = 0.0
        self._longest = 0.0
        self._longest_until = 0.0

    async def run(self) -> None:
        """For ever, in the loop that is watched."""
        self._beat = time.monotonic()
        ended = threading.Event()
        watching = threading.Thread(
            target=self._watch, args=(threading.get_ident(), ended), name="watchdog", daemon=True
        )
        watching.start()
        try:
            while True:
                self._note(time.monotonic())
                await asyncio.sleep(self._beat_seconds)
        finally:
            ended.set()

    def findings(self) -> list[str]:
        """A sentence while a long standstill is remembered."""
        if time.monotonic() > self._longest_until:
            return []
        return [f"The event loop stood still for {self._longest:.1f} s; the log says where."]

    def _note(self, now: float) -> None:
        still = now - self._beat
        if still >= self._long_seconds:
            self._longest, self._longest_until = still, now + REMEMBERED_SECONDS
        self._beat = now

    def _watch(self, loop_thread: int, ended: threading.Event) -> None:
        told = False
        while not ended.wait(self._beat_seconds):
            still = time.monotonic() - self._beat
            if still < self._stuck_seconds:
                told = False
            elif not told:
                told = True
                self.standstills += 1
                frame = sys._current_frames().get(loop_thread)
                stack = "".join(traceback.format_stack(frame, limit=12)) if frame else ""
                _log.error("event loop stands still", seconds=round(still, 1), stack=stack)
