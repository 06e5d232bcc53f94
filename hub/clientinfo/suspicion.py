"""When most partners seem to be gone at once, it is rather the hub that is cut off (Q-11).

More than half of the connected destinations, and at least three, failing within a minute: then this process suspects itself, and
makes and announces nobody OFFLINE. It does so no more once any destination answers a call, or enough of them are heard again.
"""

from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from ocpi_modules.message import Clock

WINDOW = timedelta(seconds=60)
LEAST = 3
_log = structlog.get_logger(__name__)


class SelfSuspicion:
    """Of one process. `connected` gives the destinations that are CONNECTED now. Nothing here waits."""

    def __init__(self, clock: Clock, connected: Callable[[], Collection[UUID]]) -> None:
        self.since: datetime | None = None
        self._clock = clock
        self._connected = connected
        self._failing: dict[UUID, datetime] = {}

    @property
    def suspecting(self) -> bool:
        return self.since is not None

    def failed(self, platform_id: UUID) -> None:
        """A call to a connected destination failed."""
        now = self._clock()
        self._failing[platform_id] = now
        if self.suspecting:
            return
        self._failing = {key: at for key, at in self._failing.items() if now - at < WINDOW}
        if self._most_fail():
            self.since = now
            _log.error("hub_suspects_itself", failing=len(self._failing), within_seconds=WINDOW.total_seconds())

    def answered(self) -> None:
        """A destination answered a call: the hub can reach the world."""
        self._failing.clear()
        self._leave("a destination answered")

    def heard(self, platform_id: UUID) -> None:
        """A request came from a platform."""
        if self._failing.pop(platform_id, None) and self.suspecting and not self._most_fail():
            self._leave("destinations are heard again")

    def finding(self) -> str | None:
        """A sentence while it lasts."""
        if self.since is None:
            return None
        return f"More than half of the partners failed at once at {self.since:%H:%M:%SZ}: the hub's own connection may be down."

    def _most_fail(self) -> bool:
        failing = len(self._failing)
        return failing >= LEAST and 2 * failing > len(self._failing.keys() | set(self._connected()))

    def _leave(self, reason: str) -> None:
        if self.since is not None:
            _log.warning("hub_trusts_itself_again", reason=reason, seconds=(self._clock() - self.since).total_seconds())
            self.since = None
