"""An event loop whose clock jumps to the next thing that happens: hours pass in milliseconds, and every run is the same."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


class NothingLeftToHappen(Exception):
    """Everything waits for something that nobody will do."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """Asyncio with `time()` in virtual seconds from 0. No sockets, no threads."""

    def __init__(self) -> None:
        self.now = 0.0
        super().__init__(_Jumping(self))

    def time(self) -> float:
        return self.now


class _Jumping(selectors.SelectSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise NothingLeftToHappen
        self._loop.now += max(timeout, 0.0)
        return []


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run until it is done, in no time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)
