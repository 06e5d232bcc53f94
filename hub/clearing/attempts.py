"""One attempt at a time for one CDR: who posts the same again meanwhile gets the answer of the attempt under way (D-22).

Within one process, where it costs nothing; among processes `turns` sees to it.
"""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any

from ocpi_modules.message import OcpiResponse


class Attempts:
    """What is under way, by what it is about."""

    def __init__(self) -> None:
        self._under_way: dict[Hashable, asyncio.Task[OcpiResponse]] = {}

    async def join(self, key: Hashable, begin: Callable[[], Coroutine[Any, Any, OcpiResponse]]) -> OcpiResponse:
        """The answer of the attempt under way for `key`, else of a new one. Raises what the attempt raises.

        An attempt goes on when a caller goes away: what the receiver said is recorded.
        """
        task = self._under_way.get(key)
        if task is None:
            task = self._under_way[key] = asyncio.create_task(begin())
            task.add_done_callback(lambda ended: self._ended(key, ended))
        return await asyncio.shield(task)

    def _ended(self, key: Hashable, task: asyncio.Task[OcpiResponse]) -> None:
        del self._under_way[key]
        if not task.cancelled():
            task.exception()  # heard of, also when every caller went away
