"""Every loop of the hub, in one list, each a task that is named, watched and ended with the process."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import structlog

_log = structlog.get_logger("hub.background")
LONGEST_PAUSE_SECONDS = 30


class Background:
    """Runs loops that never end by themselves; one that fails is logged and begun again, slower each time."""

    def __init__(self, loops: Mapping[str, Callable[[], Coroutine[Any, Any, None]]]) -> None:
        self._loops = loops
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self) -> None:
        for name, loop in self._loops.items():
            self._tasks[name] = asyncio.create_task(_for_ever(name, loop), name=name)

    def stopped(self) -> list[str]:
        """Names of loops whose task has ended."""
        return [name for name, task in self._tasks.items() if task.done()]

    async def stop(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._tasks.clear()


async def _for_ever(name: str, loop: Callable[[], Coroutine[Any, Any, None]]) -> None:
    pause = 1
    while True:
        try:
            await loop()
        except Exception:
            _log.exception("loop failed", loop=name)
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
