"""The numbers the hub publishes as its promise (promises.md, section 2), measured against an `ocpi-hub serve` of its own.

    ingest    p99 of 1,000 updates of Locations a second, each for three receivers, from the moment each was due
    start     p99 from the acknowledgement of those to their arrival at the receivers
    hop       what the hub adds to the p99 of a message from one party to another, at 100 a second
    restart   from the start after kill -9 to the first answer

The hub has one core; the load, the receivers and PostgreSQL have the other.
"""

import asyncio
import contextlib
import signal
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from statistics import median

import uvloop

from ocpi_modules import envelope
from ocpi_modules import headers as names
from ocpi_modules.http.client import OcpiClient, OutgoingRequest
from ocpi_modules.message import PartyId
from tests.bench import store
from tests.bench.fan_out_receivers import Receiver
from tests.bench.messages import CPO, EMSP, MESSAGES
from tests.bench.product import register_all
from tests.bench.rounds import Line, pin
from tests.bench.stored_servers import LOCATIONS, Pushes
from tests.hub.network import HUB, Partner
from tests.support.hub_process import HubProcess

RATE, SECONDS, WARM_SECONDS = 1000, 10, 2
HOPS = 100
RESTARTS = 3
PROMISED = {
    "ingest p99 at 1,000 a second": 100.0,
    "push start p99": 1000.0,
    "hop added to p99": 20.0,
    "restart to serving": 5000.0,
}
"""In milliseconds."""
EMSPS = [EMSP, PartyId("DE", "SEC"), PartyId("DE", "THI")]


def run() -> Iterator[Line]:
    with store.server() as server:
        pin(1, server.pid)
        pin(1)
        figures = uvloop.run(measure(server))
    for name, promised in PROMISED.items():
        yield Line(f"Promise, {name}", figures[name], promised, "ms", 1.0, lower_is_better=True)


class Timed(Receiver):
    """Notes when each path arrived."""

    arrived: dict[bytes, float] = {}  # noqa: RUF012 - of all connections

    def taken(self, asked: bytes) -> None:
        self.arrived[asked.split(b" ", 2)[1]] = time.perf_counter()
        super().taken(asked)


async def measure(server: store.EmbeddedPostgres) -> dict[str, float]:
    async with (
        receivers() as port,
        store.filled(server, LOCATIONS) as fresh,
        OcpiClient(allow_insecure=True, idle_seconds=60, waiting=10_000) as client,
    ):
        partners = [Partner(CPO, "CPO", port), *(Partner(party, "EMSP", port) for party in EMSPS)]
        await register_all(fresh.app_dsn, *partners)
        with tempfile.TemporaryDirectory() as folder:
            hub = HubProcess(Path(folder), fresh.app_dsn, HUB_DEFAULT_POLICY="open")
            with hub.serving():
                pin(0, hub.process.pid)
                ingest, start = await pushed(client, hub, partners[0], port)
                hop = await added(client, hub, partners[0], partners[1])
                restart = [await asyncio.to_thread(restarted, hub) for _ in range(RESTARTS)]
        return dict(zip(PROMISED, (ingest, start, hop, median(restart)), strict=True))


@contextlib.asynccontextmanager
async def receivers() -> AsyncIterator[int]:
    server = await asyncio.get_running_loop().create_server(Timed, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def pushed(client: OcpiClient, hub: HubProcess, cpo: Partner, port: int) -> tuple[float, float]:
    """p99 of the answers, p99 from an answer to an arrival."""
    answered: dict[str, float] = {}
    pushes = Pushes()

    async def push(number: int) -> None:
        name, _, body = pushes.next()
        await put(client, f"{hub.url}/ocpi/2.2.1/receiver/locations/NL/CPO/{name}", cpo.token_for_us, HUB, body)
        answered[name] = time.perf_counter()

    seconds = await steadily(RATE, SECONDS, push)
    paths = {
        name: [f"/{party.party_id.lower()}/receiver/v/locations/NL/CPO/{name}".encode() for party in EMSPS]
        for name in answered
    }
    async with asyncio.timeout(60):
        while not all(path in Timed.arrived for each in paths.values() for path in each):
            await asyncio.sleep(0.05)
    began = [
        max(0.0, Timed.arrived[path] - answered[name])
        for name, each in list(paths.items())[RATE * WARM_SECONDS :]
        for path in each
    ]
    return p99(seconds), p99(began)


async def added(client: OcpiClient, hub: HubProcess, cpo: Partner, emsp: Partner) -> float:
    """By the hub, to the p99 of a Session's PUT."""
    body = MESSAGES["session"].body
    urls = {
        "direct": f"{emsp.endpoint('sessions', 'receiver')}/NL/CPO/SES-1",
        "hub": f"{hub.url}/ocpi/2.2.1/receiver/sessions/NL/CPO/SES-1",
    }
    found = {
        name: p99(await steadily(HOPS, SECONDS, lambda _, url=url: put(client, url, cpo.token_for_us, EMSP, body)))  # type: ignore[misc]
        for name, url in urls.items()
    }
    return found["hub"] - found["direct"]


async def put(client: OcpiClient, url: str, token: str, to: PartyId, body: bytes) -> None:
    sent = {
        "Authorization": names.authorization(token),
        names.REQUEST_ID: names.new_message_id(),
        names.CORRELATION_ID: names.new_message_id(),
        **names.routing_headers(to=to, sender=CPO),
    }
    answer = await client.send(OutgoingRequest("PUT", url, sent, body), 10)
    content = envelope.read(answer.body)
    assert content is not None, answer
    assert content.succeeded, answer


async def steadily(rate: int, seconds: int, ask: Callable[[int], Awaitable[None]]) -> list[float]:
    """How long each took, from the moment it was due whatever became of those before it; without the first WARM_SECONDS."""
    taken: dict[int, float] = {}
    began = time.perf_counter()

    async def one(number: int) -> None:
        await ask(number)
        taken[number] = time.perf_counter() - began - number / rate

    async with asyncio.TaskGroup() as group:
        for number in range(rate * seconds):
            await asyncio.sleep(began + number / rate - time.perf_counter())
            group.create_task(one(number))
    return [taken[number] for number in range(rate * WARM_SECONDS, rate * seconds)]


def p99(seconds: list[float]) -> float:
    """In milliseconds."""
    return sorted(seconds)[len(seconds) * 99 // 100] * 1000


def restarted(hub: HubProcess) -> float:
    """Milliseconds from the start to the first answer, after kill -9."""
    hub.stop(signal.SIGKILL)
    began = time.perf_counter()
    hub.start()
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", hub.port), timeout=1) as connection:
            connection.sendall(b"GET /ocpi/versions HTTP/1.1\r\nHost: x\r\n\r\n")
            if connection.recv(12).startswith(b"HTTP/1.1 401"):
                return (time.perf_counter() - began) * 1000
        time.sleep(0.01)
