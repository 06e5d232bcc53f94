"""What objects are now, read once for all destinations that ask at the same time."""

import asyncio
from collections import OrderedDict

from hub.delivery.messages import State
from hub.delivery.store import Store
from hub.objects.repository import ObjectKey

MOST_STATES = 500


class States:
    """A small cache; what is in it is at least as new as what was asked for."""

    def __init__(self, store: Store, *, most: int = MOST_STATES) -> None:
        self._store = store
        self._most = most
        self._known: OrderedDict[ObjectKey, State] = OrderedDict()
        self._asked: dict[ObjectKey, asyncio.Task[State | None]] = {}

    def put(self, state: State) -> None:
        """Remember a state unless a newer one is known."""
        known = self._known.get(state.key)
        if known is None or known.version < state.version:
            self._known[state.key] = state
        self._known.move_to_end(state.key)
        if len(self._known) > self._most:
            self._known.popitem(last=False)

    async def get(self, key: ObjectKey, version: int) -> State | None:
        """The object at `version` or later; None when it is gone. Raises DatabaseAway."""
        known = self._known.get(key)
        if known is not None and known.version >= version:
            return known
        asking = self._asked.get(key)
        state = await asyncio.shield(asking) if asking is not None else None
        if state is None or state.version < version:
            state = await self._ask(key)
        return state

    async def _ask(self, key: ObjectKey) -> State | None:
        asking = self._asked[key] = asyncio.create_task(self._store.state(key))
        try:
            state = await asyncio.shield(asking)
        finally:
            if self._asked.get(key) is asking:
                del self._asked[key]
        if state is not None:
            self.put(state)
        return state
