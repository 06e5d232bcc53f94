"""B-8, first half: `ocpi-hub serve --workers 2` against one worker, each with a database of its own.

The load and PostgreSQL have one core, the hubs the other, so that the second worker wins nothing and shows what it costs, in CPU
time of every process that serves. What each carries is counted in connections: on one core their CPU time is even in any case.
"""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.bench import store
from tests.bench.load import load
from tests.bench.messages import ANSWERS, CPO, EMSP, MESSAGES
from tests.bench.processes import hub_environment, started
from tests.bench.product import register_all
from tests.bench.rounds import Line, cpu_seconds, interleaved, pin
from tests.bench.routed import TOKENS, show_session
from tests.hub.network import Partner
from tests.support.family import children
from tests.support.postgres import fresh_database, migrate_hub_template

SECONDS, ROUNDS = 2.0, 7
IN_FLIGHT, CONNECTIONS = 64, 256


def run() -> Iterator[Line]:
    with store.server() as server:
        pin(1, server.pid)
        pin(1)
        figures = asyncio.run(measure(server))
    unit = "CPU us per request"
    yield Line(f"B-8 two workers/{IN_FLIGHT}", figures["two"], figures["one"], unit, 1.08, lower_is_better=True)
    unit = f"% of {CONNECTIONS} connections"
    yield Line("B-8 busiest worker of two", figures["busiest"], 100.0, unit, 0.6, lower_is_better=True)


@dataclass(frozen=True)
class Serving:
    """Where a hub listens, and the processes that serve."""

    port: int
    pids: tuple[int, ...]

    async def microseconds(self) -> float:
        """CPU time per request."""
        before = self._spent()
        request = MESSAGES["preferences"].requests(TOKENS["preferences"])
        loaded = load(self.port, IN_FLIGHT, SECONDS, request, ANSWERS["preferences"])
        return (self._spent() - before) / loaded.requests * 1e6

    def _spent(self) -> float:
        return sum(cpu_seconds(pid) for pid in self.pids)

    async def busiest(self) -> float:
        """The share of the busiest process in new connections, each answered once, in per cent."""
        request = MESSAGES["preferences"].requests(TOKENS["preferences"])
        with contextlib.ExitStack() as stack:
            for number in range(CONNECTIONS):
                connection = stack.enter_context(socket.create_connection(("127.0.0.1", self.port), timeout=10))
                connection.sendall(request(number))
                received = b""
                while not received.endswith(ANSWERS["preferences"]):
                    more = connection.recv(65536)
                    assert more, received
                    received += more
            carried = [_carried(pid, self.port) for pid in self.pids]
        assert sum(carried) == CONNECTIONS, carried
        return max(carried) / CONNECTIONS * 100


async def measure(server: store.EmbeddedPostgres) -> dict[str, float]:
    """`one` and `two` in CPU microseconds a request, `busiest` of two in per cent."""
    async with contextlib.AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(started("load"))
        one = await stack.enter_async_context(hub(server, receiver.port, 1))
        two = await stack.enter_async_context(hub(server, receiver.port, 2))
        sides: dict[str, Callable[[], Awaitable[float]]] = {
            "one": one.microseconds,
            "two": two.microseconds,
            "busiest": two.busiest,
        }
        return await interleaved(sides, ROUNDS)


@contextlib.asynccontextmanager
async def hub(server: store.EmbeddedPostgres, receiver: int, workers: int) -> AsyncIterator[Serving]:
    """The command itself, two platforms registered at the receiver, an agreement between their parties."""
    async with fresh_database(server, migrate_hub_template(server)) as fresh:
        await register_all(fresh.app_dsn, Partner(CPO, "CPO", receiver), Partner(EMSP, "EMSP", receiver))
        with tempfile.TemporaryFile() as log:
            async with _serving(fresh.app_dsn, workers, log) as serving:
                yield serving


@contextlib.asynccontextmanager
async def _serving(dsn: str, workers: int, log: IO[bytes]) -> AsyncIterator[Serving]:
    port = _free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "hub", "serve", "--json", "--workers", str(workers)],
        env=os.environ | _settings(dsn, port),
        stdout=subprocess.PIPE,
        stderr=log,
    )
    pin(0, process.pid)
    assert process.stdout is not None
    try:
        serves = await asyncio.to_thread(process.stdout.readline)
        log.seek(0)
        assert serves, log.read().decode()
        pids = children(process.pid) if workers > 1 else [process.pid]
        assert len(pids) == workers, pids
        show_session(port)
        yield Serving(port, tuple(pids))
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait)


def _settings(dsn: str, port: int) -> dict[str, str]:
    return hub_environment(dsn) | {
        "HUB_HOST": "127.0.0.1",
        "HUB_PORT": str(port),
        "HUB_ADMIN_PORT": str(_free_port()),
    }


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


def _carried(pid: int, port: int) -> int:
    """How many connections to `port` a process has open (Linux)."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
    established = {f"socket:[{line[9]}]" for line in lines if line[1].endswith(f":{port:04X}") and line[3] == "01"}
    return sum(os.readlink(f"/proc/{pid}/fd/{name}") in established for name in os.listdir(f"/proc/{pid}/fd"))
