"""Half-open sockets are found by us: one task pings all chargers, any traffic is a sign of life (charging R2, 5.6; S-49)."""

import asyncio
import random
from collections.abc import Callable
from typing import Any, Protocol

import structlog

log = structlog.get_logger(__name__)


class Watched(Protocol):
    """A connection with the monotonic time of its last byte in, and of our last ping."""

    charger_id: str
    last_seen: float
    pinged_at: float

    @property
    def is_held_back(self) -> bool: ...

    async def ping(self) -> Any: ...

    def give_up(self) -> None: ...


class Liveness:
    """Pings what was silent for `ping_seconds`; gives up what stays silent for `pong_seconds` more."""

    def __init__(self, connections: Callable[[], list[Watched]], ping_seconds: float, pong_seconds: float) -> None:
        self._connections = connections
        self._ping_seconds = ping_seconds
        self._pong_seconds = pong_seconds
        self._pings: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(min(self._ping_seconds, self._pong_seconds) / 4 * random.uniform(0.9, 1.0))  # noqa: S311
            now = asyncio.get_running_loop().time()
            for connection in self._connections():
                self._look_at(connection, now)

    def _look_at(self, connection: Watched, now: float) -> None:
        if connection.is_held_back:
            connection.last_seen = now
        silent = now - connection.last_seen
        if silent > self._ping_seconds + self._pong_seconds:
            log.warning("charger_silent", charger_id=connection.charger_id, seconds=round(silent))
            connection.give_up()
        elif silent >= self._ping_seconds and now - connection.pinged_at >= self._ping_seconds:
            connection.pinged_at = now
            ping = asyncio.create_task(self._ping(connection))
            self._pings.add(ping)
            ping.add_done_callback(self._pings.discard)

    async def _ping(self, connection: Watched) -> None:
        try:
            async with asyncio.timeout(self._pong_seconds):
                await connection.ping()
        except Exception as error:  # a socket that cannot be written to is found silent next time
            log.info("ping_failed", charger_id=connection.charger_id, reason=type(error).__name__)
