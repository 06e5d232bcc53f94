"""An event loop whose clock jumps to the next thing that happens: hours pass in milliseconds, and every run is the same.

Made for this alone: it has no sockets, threads or signals, so that a step costs a fraction of what asyncio's own loops take.
"""

import asyncio
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from heapq import heappop, heappush
from itertools import count
from typing import Any, TypeVar

Result = TypeVar("Result")


class NothingLeftToHappen(Exception):
    """Everything waits for something that nobody will do."""


class Call:
    """What is to be done once; asyncio calls it a handle."""

    __slots__ = ("_arguments", "_callback", "_context", "is_cancelled")

    def __init__(self, callback: Callable[..., Any], arguments: tuple[Any, ...], context: Context | None) -> None:
        self._callback, self._arguments = callback, arguments
        self._context = copy_context() if context is None else context
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True

    def cancelled(self) -> bool:
        return self.is_cancelled

    def run(self) -> None:
        if not self.is_cancelled:
            self._context.run(self._callback, *self._arguments)


class VirtualLoop(asyncio.AbstractEventLoop):
    """Asyncio with `time()` in virtual seconds from 0. An exception in a callback ends the run."""

    def __init__(self) -> None:
        self.now = 0.0
        self.overlooked: list[str] = []
        self._ready: deque[Call] = deque()
        self._later: list[tuple[float, int, Call]] = []
        self._number = count()

    def time(self) -> float:
        return self.now

    def get_debug(self) -> bool:
        return False

    def call_soon(self, callback: Any, *args: Any, context: Context | None = None) -> Any:
        call = Call(callback, args, context)
        self._ready.append(call)
        return call

    def call_at(self, when: float, callback: Any, *args: Any, context: Context | None = None) -> Any:
        call = Call(callback, args, context)
        heappush(self._later, (when, next(self._number), call))
        return call

    def call_later(self, delay: float, callback: Any, *args: Any, context: Context | None = None) -> Any:
        return self.call_at(self.now + delay, callback, *args, context=context)

    def create_future(self) -> Any:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, *, name: Any = None, context: Context | None = None, **more: Any) -> Any:
        return asyncio.Task(coro, loop=self, name=name, context=context, **more)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """What a task ended with that nobody looked at."""
        self.overlooked.append(f"{context.get('message')}: {context.get('exception')!r}")

    def run_until_complete(self, future: Any) -> Any:
        """Raises NothingLeftToHappen."""
        task = asyncio.ensure_future(future, loop=self)
        ready, later = self._ready, self._later
        events._set_running_loop(self)
        try:
            while not task.done():
                while later and (later[0][0] <= self.now or later[0][2].is_cancelled):
                    ready.append(heappop(later)[2])
                if not ready:
                    if not later:
                        raise NothingLeftToHappen
                    self.now = later[0][0]
                    continue
                for _ in range(len(ready)):
                    ready.popleft().run()
        finally:
            events._set_running_loop(None)
        return task.result()


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run until it is done, in no time; what it left behind is cancelled."""
    loop = VirtualLoop()
    try:
        result: Result = loop.run_until_complete(work)
        return result
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.wait(left) if left else asyncio.sleep(0))
        assert not loop.overlooked, loop.overlooked
