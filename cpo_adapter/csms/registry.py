"""Which socket is a charger's: the newest authenticated one (charging R1, S-46)."""

import asyncio
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from cpo_adapter.csms.rpc import Rpc

log = structlog.get_logger(__name__)

REPLACEMENTS_BEFORE_ALERT = 3
REPLACEMENT_WINDOW = timedelta(minutes=10)


class Registry:
    """One entry per charger id, in its stored spelling."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._newest: dict[str, Rpc] = {}
        self._replaced: dict[str, deque[datetime]] = {}
        self._generation = 0
        self._closing: set[asyncio.Task[None]] = set()

    def register(self, rpc: Rpc) -> Rpc | None:
        """Make this socket the charger's. The old one, returned, fails its calls at once and is closed with 1001."""
        self._generation += 1
        rpc.generation = self._generation
        old = self._newest.get(rpc.charger_id)
        self._newest[rpc.charger_id] = rpc
        if old is not None:
            self._replace(old)
        return old

    def remove(self, rpc: Rpc) -> bool:
        """Forget this socket, only if it is still the charger's. False when a newer one took its place."""
        if self._newest.get(rpc.charger_id) is not rpc:
            return False
        del self._newest[rpc.charger_id]
        return True

    def find(self, charger_id: str) -> Rpc | None:
        return self._newest.get(charger_id)

    def is_online(self, charger_id: str) -> bool:
        return charger_id in self._newest

    def online(self) -> list[str]:
        """The charger ids with a socket, sorted."""
        return sorted(self._newest)

    def __len__(self) -> int:
        return len(self._newest)

    def _replace(self, old: Rpc) -> None:
        old.fail_pending("A newer connection of this charger took over.")
        closing = asyncio.create_task(old.close(1001, "A newer connection took over."))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
        self._alert(old.charger_id)

    def _alert(self, charger_id: str) -> None:
        now = self._clock()
        times = self._replaced.setdefault(charger_id, deque(maxlen=REPLACEMENTS_BEFORE_ALERT + 1))
        times.append(now)
        if len(times) > REPLACEMENTS_BEFORE_ALERT and now - times[0] <= REPLACEMENT_WINDOW:
            log.warning("connections_replaced_often", charger_id=charger_id, within=str(now - times[0]))
