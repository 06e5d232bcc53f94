"""What objects are now, read once for all destinations that ask at the same time.

A state is good for a moment only: one that is older could be sent after a newer one that another process has sent meanwhile.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable

from hub.delivery.messages import State
from hub.delivery.store import Store
from hub.objects.repository import ObjectKey

MOST_STATES = 500
FRESH_SECONDS = 0.5


class States:
    """A small cache; what is in it is at least as new as what was asked for."""

    def __init__(self, store: Store, *, most: int = MOST_STATES, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._most = most
        self._clock = clock
        self._known: OrderedDict[ObjectKey, tuple[State, float]] = OrderedDict()
        self._asked: dict[ObjectKey, asyncio.Task[State | None]] = {}

    def put(self, state: State) -> None:
        """Remember a state unless a newer one is known."""
        self._put(state, self._clock())

    def _put(self, state: State, at: float) -> None:
        known = self._known.get(state.key)
        if known is None or known[0].version <= state.version:
            self._known[state.key] = (state, at)
        self._known.move_to_end(state.key)
        if len(self._known) > self._most:
            self._known.popitem(last=False)

    async def get(self, key: ObjectKey, version: int) -> State | None:
        """The object at `version` or later; None when it is gone. Raises DatabaseAway."""
        known = self._known.get(key)
        if known is not None and known[0].version >= version and self._clock() < known[1] + FRESH_SECONDS:
            return known[0]
        asking = self._asked.get(key)
        state = await asyncio.shield(asking) if asking is not None else None
        if state is None or state.version < version:
            state = await self._ask(key)
        return state

    async def _ask(self, key: ObjectKey) -> State | None:
        began = self._clock()
        asking = self._asked[key] = asyncio.create_task(self._store.state(key))
        asking.add_done_callback(_seen)
        try:
            state = await asyncio.shield(asking)
        finally:
            if self._asked.get(key) is asking:
                del self._asked[key]
        if state is not None:
            self._put(state, began)
        return state


def _seen(asking: "asyncio.Task[State | None]") -> None:
    """Whoever asked may have been cancelled: then nobody else looks at what went wrong."""
    if not asking.cancelled():
        asking.exception()
