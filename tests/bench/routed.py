"""B-1, B-2 and B-3: a routed PUT against forwarding blindly, against nginx, and against a plain FastAPI and httpx hub.

Every server is a process of its own on one core; load, receiver and PostgreSQL share another. What counts is the CPU time the
server used, so that a load that cannot keep up changes nothing; only B-3 looks at the clock. The PUT of `preferences` passes the
whole hub, its small body validated; the one of a `session` is validated, delivered and kept before it is answered.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from tests.bench import store
from tests.bench.load import Loaded, load
from tests.bench.messages import ANSWERS, MESSAGES
from tests.bench.nginx import nginx
from tests.bench.processes import started
from tests.bench.rounds import Line, cpu_seconds, interleaved, pin
from tests.support.postgres import fresh_database, migrate_hub_template

SECONDS, ROUNDS = 1.5, 3
PER_CPU_SECOND = "requests per CPU second"
Key = TypeVar("Key")
TOKENS = {"preferences": "hubC_MSP_token", "session": "hubC_CPO_token"}


@dataclass(frozen=True)
class Side:
    """A server under test; `pid` 0 is the receiver itself, whose CPU time nobody asks for."""

    port: int
    pid: int = 0

    def load(self, in_flight: int, message: str = "preferences") -> Loaded:
        request = MESSAGES[message].requests(TOKENS[message])
        return load(self.port, in_flight, SECONDS, request, ANSWERS[message])

    def rate(self, in_flight: int, message: str = "preferences") -> float:
        """Requests for each second of CPU time of the server."""
        before = cpu_seconds(self.pid)
        loaded = self.load(in_flight, message)
        return loaded.requests / (cpu_seconds(self.pid) - before)


def run_b1() -> Iterator[Line]:
    """Each key is (message, in flight, side)."""
    names = [(message, count) for message in ("preferences", "session") for count in (16, 64)]
    figures = _measured(
        lambda sides: {
            (*name, kind): _rate(sides[kind], name[1], name[0]) for name in names for kind in ("hub", "null")
        },
        "hub",
        "null",
    )
    for message, count in names:
        kept = message == "session"
        ours, other = figures[message, count, "hub"], figures[message, count, "null"]
        goal = 0.5 if kept else 0.81
        yield Line(f"B-1{' kept' if kept else ''}/{count}", ours, other, PER_CPU_SECOND, goal, lower_is_better=False)


def run_b2() -> Iterator[Line]:
    counted = [("hub", 16), ("nginx", 16), ("plain", 16), ("hub", 64), ("nginx", 64)]
    figures = _measured(
        lambda sides: {(kind, count): _rate(sides[kind], count) for kind, count in counted if kind in sides},
        "hub",
        "plain",
    )
    for count in (16, 64):
        other = figures.get(("nginx", count))
        yield Line(f"B-2/{count}", figures["hub", count], other, PER_CPU_SECOND, 0.25, lower_is_better=False)
    ours, other = figures["hub", 16], figures["plain", 16]
    yield Line("B-2 plain hub/16", ours, other, PER_CPU_SECOND, 30, lower_is_better=False)


def run_b3() -> Iterator[Line]:
    def turns(sides: dict[str, Side]) -> dict[tuple[str, int, float], Callable[[], Awaitable[float]]]:
        alone = {(kind, 1, 0.5): _microseconds(side, 1, 0.5) for kind, side in sides.items()}
        return alone | {("hub", 64, share): _microseconds(sides["hub"], 64, share) for share in (0.5, 0.99)}

    figures = _measured(turns, "hub")
    p50, p99 = figures["hub", 64, 0.5], figures["hub", 64, 0.99]
    yield Line("B-3 p99 to p50/64", p99, p50, "us", 2.5, lower_is_better=True)
    added = figures["hub", 1, 0.5] - figures["direct", 1, 0.5]
    yield Line("B-3 added p50/1", added, figures.get(("nginx", 1, 0.5)), "us", 3, lower_is_better=True)


def _rate(side: Side, in_flight: int, message: str = "preferences") -> Callable[[], Awaitable[float]]:
    async def measure() -> float:
        return side.rate(in_flight, message)

    return measure


def _microseconds(side: Side, in_flight: int, share: float) -> Callable[[], Awaitable[float]]:
    async def measure() -> float:
        return side.load(in_flight).percentile(share) * 1e6

    return measure


def _measured(
    turns: Callable[[dict[str, Side]], dict[Key, Callable[[], Awaitable[float]]]], *kinds: str
) -> dict[Key, float]:
    async def measure(server: store.EmbeddedPostgres) -> dict[Key, float]:
        async with sides(server, *kinds) as running:
            return await interleaved(turns(running), ROUNDS)

    with store.server() as server:
        pin(1, server.pid)
        pin(1)
        return asyncio.run(measure(server))


@contextlib.asynccontextmanager
async def sides(server: store.EmbeddedPostgres, *kinds: str) -> AsyncIterator[dict[str, Side]]:
    """The servers of these kinds, the receiver itself as `direct`, and `nginx` where it is installed."""
    async with fresh_database(server, migrate_hub_template(server)) as fresh, contextlib.AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(started("load"))
        running = {"direct": Side(receiver.port)}
        for kind in kinds:
            arguments = ("routed_servers", kind, str(receiver.port), fresh.app_dsn)
            server_of = await stack.enter_async_context(started(*arguments))
            running[kind] = Side(server_of.port, server_of.process.pid)
            if kind == "hub":
                show_session(running[kind].port)
        other = stack.enter_context(nginx(receiver.port))
        if other is not None:
            running["nginx"] = Side(other.port, other.pid)
        yield running


def show_session(port: int) -> None:
    """One PUT of the session whose preferences are sent: in the field the hub has seen it, and remembers whose it is."""
    load(port, 1, 0, MESSAGES["session"].requests(TOKENS["session"]), ANSWERS["session"])
