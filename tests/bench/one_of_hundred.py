"""B-8, second half: what one receiver of 100 that is dead, or takes 10 s for every answer, costs the other 99.

Three hubs, each with a database of its own: everybody answers, one port refuses connections, one receiver is slow. What a dead
one costs is CPU time of the hub per push at the others. A slow one is held to the p99 of the others, from the change told to its
answer, with changes that come one after the other.
"""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterator
from time import perf_counter

import uvloop

from hub import garbage
from hub.delivery.outcome import Delivered, Outcome
from hub.delivery.send import Deadlines, DoorOut, RoutedMessage
from hub.parties.platforms import Platform
from ocpi_modules.http.client import OcpiClient
from ocpi_modules.message import PartyId
from tests.bench import fan_out, store
from tests.bench.rounds import Line, interleaved, pin
from tests.support.postgres import fresh_database, migrate_hub_template

PAUSE_SECONDS, ROUNDS, ROUNDS_OF_TIME = 0.03, 5, 15
"""A p99 of 4,000 answers scatters by a tenth and more from round to round."""
DEADLINE_SECONDS = 30.0
"""Longer than the slow one takes: it is never given up."""
OTHERS = 99
WITHOUT = PartyId("DE", f"{OTHERS:03}")
"""The party at the last port, which is the dead or the slow one."""


def run() -> Iterator[Line]:
    with store.server() as server:
        pin(1)
        figures = uvloop.run(measure(server))
    unit = "pushes per CPU second"
    yield Line("B-8 one dead of 100", figures["dead"], figures["all"], unit, 0.9, lower_is_better=False)
    unit = "ms, p99 of the others"
    yield Line("B-8 one slow of 100", figures["p99 slow"], figures["p99"], unit, 1.1, lower_is_better=True)


class TimedDoor(DoorOut):
    """Keeps when each answer of the others came."""

    def __init__(self, client: OcpiClient) -> None:
        super().__init__(client, deadlines=Deadlines(push=DEADLINE_SECONDS))
        self.answered: list[tuple[str, float]] = []

    async def send(self, message: RoutedMessage, platform: Platform, *, push: bool = False) -> Outcome:
        outcome = await super().send(message, platform, push=push)
        if message.to != WITHOUT:
            assert isinstance(outcome, Delivered), outcome
            self.answered.append((message.path, perf_counter()))
        return outcome


class Side:
    """A hub with 99 good receivers and one more. `port` is where arrivals are counted, `arriving` how many receivers count."""

    def __init__(self, built: fan_out.Hub, door: TimedDoor, port: int, arriving: int) -> None:
        self._built, self._door, self._port, self._arriving = built, door, port, arriving

    async def rate(self) -> float:
        """Pushes that arrived per CPU second."""
        pushes = fan_out.CHANGES * self._arriving
        return await fan_out.rate(
            self._port, pushes, lambda: fan_out.durable(self._built, self._port, 1, self._arriving)
        )

    async def p99(self) -> float:
        """Of the others, in milliseconds."""
        self._door.answered.clear()
        self._built.told_at.clear()
        await fan_out.durable(self._built, self._port, 1, self._arriving, PAUSE_SECONDS)
        async with asyncio.timeout(10):
            while len(self._door.answered) < fan_out.CHANGES * OTHERS:
                await asyncio.sleep(0.01)
        seconds = sorted(at - self._built.told_at[path] for path, at in self._door.answered)
        assert len(seconds) == fan_out.CHANGES * OTHERS, len(seconds)
        return seconds[len(seconds) * 99 // 100] * 1000


async def measure(server: store.EmbeddedPostgres) -> dict[str, float]:
    """`all` and `dead` in pushes per CPU second, `p99` and `p99 slow` in milliseconds."""
    async with contextlib.AsyncExitStack() as stack:
        *ports, slow = stack.enter_context(fan_out.receivers())
        client = await stack.enter_async_context(OcpiClient(allow_insecure=True, idle_seconds=fan_out.KEPT_SECONDS))
        dead = stack.enter_context(socket.socket())
        dead.bind(("127.0.0.1", 0))  # and nobody listens

        async def side(last: int, arriving: int) -> Side:
            fresh = await stack.enter_async_context(fresh_database(server, migrate_hub_template(server)))
            door = TimedDoor(client)
            built = await stack.enter_async_context(fan_out.hub(fresh.app_dsn, door, [*ports[:OTHERS], last]))
            return Side(built, door, ports[0], arriving)

        everybody = await side(ports[OTHERS], OTHERS + 1)
        one_dead = await side(dead.getsockname()[1], OTHERS)
        one_slow = await side(slow, OTHERS)
        garbage.settle()  # as `ocpi-hub serve` does
        rates: dict[str, Callable[[], Awaitable[float]]] = {"all": everybody.rate, "dead": one_dead.rate}
        times: dict[str, Callable[[], Awaitable[float]]] = {"p99": everybody.p99, "p99 slow": one_slow.p99}
        return await interleaved(rates, ROUNDS) | await interleaved(times, ROUNDS_OF_TIME)
