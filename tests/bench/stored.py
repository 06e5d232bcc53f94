"""B-4: pushes stored before they are answered, over HTTP, against bare loops that store the same rows.

Each side is a process of its own on one core; PostgreSQL, and the load of the hub, have another. All store Locations of 0.7 kB
that are there already, each push newer than the last. The hub gets them 64 in flight and is the whole product: it authenticates,
validates, stores, writes its change log and its traces; nobody receives what it stores (that is B-5). The goals are against loops
as anybody writes them, one upsert or get and commit after the other on one connection: such a loop waits for each commit, the hub
commits for many at once, and that is what B-4 asks about. Beside it, with the same goal, stands a rival that waits as little as
the hub: 64 upserts in flight on 16 connections (`stored_servers.py` has all). As a machine may be busy, each is counted twice:
for each second, and for each CPU second that the side and PostgreSQL used.
"""

import asyncio
import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter

import asyncpg

from hub.db.embedded import EmbeddedPostgres
from ocpi_modules import envelope
from ocpi_modules import headers as names
from tests.bench import store
from tests.bench.load import load
from tests.bench.messages import CPO
from tests.bench.processes import started
from tests.bench.rounds import Line, cpu_seconds, interleaved, pin
from tests.bench.stored_servers import IN_FLIGHT, LOCATIONS, NOW, TOKEN, Pushes
from tests.support.family import children

SECONDS, ROUNDS = 2.0, 3
NAMES = {"bare": "B-4 bare", "bare-16": "B-4 bare, 16 connections", "orm": "B-4 orm"}
GOALS = {"bare": 1.2, "bare-16": 1.2, "orm": 5.0}


@dataclass
class Side:
    """A process that either listens (`hub`) or is told to store for so many seconds; what it did each round."""

    name: str
    process: subprocess.Popen[str]
    port: int
    postgres: EmbeddedPostgres
    pushes: Pushes = field(default_factory=Pushes)
    per_cpu_second: list[float] = field(default_factory=list)

    async def round(self) -> float:
        """Pushes stored a second."""
        before, began = self._used(), perf_counter()
        stored = self._over_http() if self.name == "hub" else await asyncio.to_thread(self._by_itself)
        seconds = perf_counter() - began
        self.per_cpu_second.append(stored / (self._used() - before))
        return stored / seconds

    def _over_http(self) -> int:
        head = "\r\n".join(
            [
                "Host: hub.example",
                f"Authorization: {names.authorization(TOKEN)}",
                *(f"{name}: {value}" for name, value in names.routing_headers(to=None, sender=CPO).items()),
                "Content-Type: application/json",
            ]
        ).encode()

        def request(number: int) -> bytes:
            id, _, body = self.pushes.next()
            return b"PUT /ocpi/2.2.1/receiver/locations/NL/CPO/%s HTTP/1.1\r\n%s\r\nX-Request-ID: r-%032d\r\n" % (
                id.encode(),
                head,
                number,
            ) + b"X-Correlation-ID: c-%032d\r\nContent-Length: %d\r\n\r\n%s" % (number, len(body), body)

        return load(self.port, IN_FLIGHT, SECONDS, request, envelope.success(now=NOW).body).requests

    def _by_itself(self) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(SECONDS, file=self.process.stdin, flush=True)
        return int(self.process.stdout.readline())

    def _used(self) -> float:
        """CPU seconds of the side, and of PostgreSQL with all its children."""
        used = 0.0
        for pid in (self.process.pid, *children(self.postgres.pid)):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                used += cpu_seconds(pid)
        return used


def run() -> Iterator[Line]:
    with store.server() as server:
        pin(1, server.pid)
        pin(1)
        rates, per_cpu_second = asyncio.run(measure(server))
    for other, goal in GOALS.items():
        for unit, figures in (("pushes a second", rates), ("pushes per CPU second", per_cpu_second)):
            name = NAMES[other] + (" CPU" if "CPU" in unit else "")
            yield Line(name, figures["hub"], figures[other], unit, goal, lower_is_better=False)


async def measure(server: EmbeddedPostgres) -> tuple[dict[str, float], dict[str, float]]:
    async with store.filled(server, LOCATIONS) as fresh, contextlib.AsyncExitStack() as stack:
        sides = {}
        for name in ("hub", *GOALS):
            served = await stack.enter_async_context(started("stored_servers", name, fresh.app_dsn))
            sides[name] = Side(name, served.process, served.port, server)
        rates = await interleaved({name: side.round for name, side in sides.items()}, ROUNDS)
        await _check(fresh.admin_dsn, sides["hub"].pushes.made)
    return rates, {name: median(side.per_cpu_second[1:]) for name, side in sides.items()}


async def _check(dsn: str, pushed: int) -> None:
    """Every push that was answered is one row of the change log."""
    connection = await asyncpg.connect(dsn)
    assert await connection.fetchval("SELECT count(*) FROM change_log") == pushed
    await connection.close()
