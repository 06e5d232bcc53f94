"""A loop that survives its failures: woken by an event, by time at the latest, slower while the database is away."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from cpo_adapter.storage.engine import DatabaseAway

log = structlog.get_logger(__name__)

LONGEST_PAUSE = 10.0


@dataclass(frozen=True)
class Loop:
    """`work` runs at once, then whenever `wake` is set and at least every `seconds`, with `rest` seconds between two runs."""

    name: str
    work: Callable[[], Awaitable[object]]
    seconds: float
    wake: asyncio.Event | None = None
    rest: float = 0.0

    async def run(self) -> None:
        """Until cancelled."""
        pause = self.seconds
        while True:
            if self.wake is not None:
                self.wake.clear()
            try:
                await self.work()
                pause = self.seconds
            except DatabaseAway as error:
                log.warning("database_away", loop=self.name, reason=str(error))
                pause = min(LONGEST_PAUSE, max(0.5, pause * 2))
            except Exception:
                log.exception("loop_failed", loop=self.name)
                pause = min(LONGEST_PAUSE, max(0.5, pause * 2))
            await self._wait(pause)

    async def _wait(self, seconds: float) -> None:
        await asyncio.sleep(self.rest)
        if self.wake is None:
            await asyncio.sleep(seconds)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.wake.wait()
