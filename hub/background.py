"""Every loop of the hub, in one list, each a task that is named, watched and ended with the process."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import structlog

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
PATIENCE_SECONDS = 15.0
"""Longer than any loop takes to end."""
Loop = Callable[[], Coroutine[Any, Any, None]]

_log = structlog.get_logger("hub.background")


class Background:
    """Runs loops; one that fails is logged and begun again, slower while it keeps failing. One that returns is done."""

    def __init__(self, loops: Mapping[str, Loop], *, first_pause: float = FIRST_PAUSE_SECONDS) -> None:
        self._loops = loops
        self._first_pause = first_pause
        self._tasks: list[asyncio.Task[None]] = []
        self._failing: set[str] = set()
        self._stopping = False

    def start(self) -> None:
        """Begin every loop in the running event loop."""
        self._tasks = [asyncio.create_task(self._keep(name, loop), name=name) for name, loop in self._loops.items()]

    def failing(self) -> list[str]:
        """Names of loops that failed and have not run steadily since."""
        return sorted(self._failing)

    async def stop(self) -> None:
        """Cancel all and wait for their end; what goes on all the same is told again."""
        self._stopping = True
        left = set(self._tasks)
        while left:
            for task in left:
                task.cancel()
            _, left = await asyncio.wait(left, timeout=PATIENCE_SECONDS)
        self._tasks = []

    async def _keep(self, name: str, loop: Loop) -> None:
        clock = asyncio.get_running_loop()
        pause = self._first_pause
        while True:
            steady = clock.call_later(2 * pause, self._failing.discard, name)
            began = clock.time()
            try:
                await loop()
            except Exception:
                _log.exception("loop failed", loop=name, again_in=pause)
                if self._stopping:
                    return
            else:
                self._failing.discard(name)
                return
            finally:
                steady.cancel()
            if clock.time() - began > LONGEST_PAUSE_SECONDS:
                pause = self._first_pause
            self._failing.add(name)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
