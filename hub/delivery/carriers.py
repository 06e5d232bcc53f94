"""The tasks that deliveries run in. Each carries one delivery after the other: a task for each costs a third more (measured)."""

import asyncio
from collections.abc import Awaitable, Callable

from hub.delivery.destinations import Destination, Pending

Job = tuple[Destination, Pending]
REST_SECONDS = 1.0
"""After which those that wait for another job end; the next is begun by new ones."""


class Carriers:
    """At most `most` at work. `carry` is what is done with a job; `over` hears when it ended, however it ended."""

    def __init__(
        self, carry: Callable[[Destination, Pending], Awaitable[None]], over: Callable[[Destination], None], most: int
    ) -> None:
        self._carry = carry
        self._over = over
        self._most = most
        self._at_work: dict[asyncio.Task[None], Destination] = {}
        self._at_rest: list[tuple[asyncio.Task[None], asyncio.Future[Job]]] = []
        self._home_time: asyncio.TimerHandle | None = None
        self._stopped = False

    @property
    def free(self) -> bool:
        """Whether another job can be given."""
        return len(self._at_work) < self._most

    def give(self, destination: Destination, pending: Pending) -> None:
        """Begin a job at the next turn of the loop."""
        if self._at_rest:
            task, given = self._at_rest.pop()
            given.set_result((destination, pending))
        else:
            task = asyncio.create_task(self._work(destination, pending))
            task.add_done_callback(self._ended)
        self._at_work[task] = destination

    def break_off(self, destination: Destination) -> None:
        """Cancel what is under way to one destination."""
        for task, of in self._at_work.items():
            if of is destination:
                task.cancel()

    async def stop(self, seconds: float) -> None:
        """Let what is under way end, at most so long; then break it off."""
        self._stopped = True
        self._send_home()
        if self._at_work:
            await asyncio.wait(self._at_work, timeout=seconds)
        for task in self._at_work:
            task.cancel()

    async def _work(self, destination: Destination, pending: Pending) -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        while True:
            await self._carry(destination, pending)
            self._ended(task)
            if self._stopped:
                return
            given: asyncio.Future[Job] = loop.create_future()
            self._at_rest.append((task, given))
            if self._home_time is None:
                self._home_time = loop.call_later(REST_SECONDS, self._send_home)
            destination, pending = await given

    def _send_home(self) -> None:
        for task, _ in self._at_rest:
            task.cancel()
        self._at_rest.clear()
        if self._home_time is not None:
            self._home_time.cancel()
            self._home_time = None

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A job, or the whole task with it: also one that was cancelled before it began."""
        destination = self._at_work.pop(task, None)
        if destination is not None:
            self._over(destination)
