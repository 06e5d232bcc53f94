"""B-5: a durable fan-out to 100 receivers, against a loop that only sends, and against a gather over httpx.

Pushes are counted by the CPU seconds of the process that sends them, at the receivers; a busy machine changes nothing. The
durable side commits every change (object and log row), decides who gets it, reads the log and moves 100 cursors. Either side has
as many pushes under way as the other: the loop to each receiver, the hub from those who push to it.
"""

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import uvloop

from hub import garbage
from hub.agreements.policy import AgreementBook, DefaultPolicy, Policy
from hub.db.engine import Database, open_pool
from hub.delivery.audience import Audience
from hub.delivery.destinations import Fresh
from hub.delivery.send import DoorOut
from hub.delivery.store import PostgresStore
from hub.delivery.worker import DeliveryWorker
from hub.objects.batches import Batches
from hub.objects.keep import KeptObjects, Push
from hub.objects.repository import ObjectKey
from hub.parties.directory import Directory
from ocpi_modules import headers as names
from ocpi_modules import registry
from ocpi_modules.http.client import OcpiClient, OutgoingRequest
from ocpi_modules.message import PartyId
from ocpi_modules.secrets import Keys
from ocpi_modules.spec import Method, ModuleID
from tests.bench import store
from tests.bench.fan_out_receivers import BODY
from tests.bench.rounds import Line, interleaved, pin
from tests.hub.network import HUB, NOW, Partner, register
from tests.support.postgres import fresh_database, migrate_hub_template

CHANGES, GATHERED = 40, 1
KEPT_SECONDS = 60.0
"""Connections outlive a round: what a side pays for connecting would depend on how long the others took."""
CPO = PartyId("NL", "CPO")
CONTENT = store.template()


def run() -> Iterator[Line]:
    with store.server() as server:
        pin(1)
        figures = uvloop.run(measure(server))
    unit = "pushes per CPU second"
    yield Line("B-5 four in flight", figures["hub, four"], figures["four"], unit, 0.8, lower_is_better=False)
    yield Line("B-5 one in flight", figures["hub, one"], figures["one"], unit, 0.5, lower_is_better=False)
    yield Line("B-5 httpx gather", figures["hub, four"], figures["httpx"], unit, 50, lower_is_better=False)


@contextlib.contextmanager
def receivers() -> Iterator[list[int]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.fan_out_receivers"],
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.wait()


class Hub:
    """A worker that holds 100 receivers, and the CPO that pushes."""

    def __init__(self, database: Database, directory: Directory, door: DoorOut) -> None:
        self.directory = directory
        self.told_at: dict[str, float] = {}
        """The path of a change: when it was committed."""
        self._batches = Batches(database=database, objects=KeptObjects(database=database, clock=lambda: NOW))
        self.worker = DeliveryWorker(
            store=PostgresStore(database),
            audience=Audience(directory, Policy(DefaultPolicy.open, AgreementBook(), lambda: NOW)),
            door=door,
            alarm=lambda event, **fields: None,
        )

    async def push(self, number: int) -> None:
        """As `broadcast_push` does: committed, then told."""
        name = f"LOC{number}"
        body = CONTENT.replace("@", name).encode()
        push = Push(
            ObjectKey(CPO, ModuleID.locations, name, "*"), registry.MODULES[ModuleID.locations], Method.PUT, {}, body
        )
        version = await self._batches.store(push)
        assert version is not None
        path = f"/NL/CPO/{name}"
        self.told_at[path] = time.perf_counter()
        self.worker.told(Fresh(push.key, version, Method.PUT, path, "", body))


@contextlib.asynccontextmanager
async def hub(dsn: str, door: DoorOut, ports: list[int]) -> AsyncIterator[Hub]:
    database = Database(await open_pool(dsn, max_size=4, application_name="bench"))
    keys = Keys.derived_from(b"k" * 32)
    await register(database, keys, Partner(CPO, "CPO", port=1))
    for number, port in enumerate(ports):
        await register(database, keys, Partner(PartyId("DE", f"{number:03}"), "EMSP", port=port))
    directory = Directory(database, keys, HUB, lambda: NOW)
    await directory.refresh()
    built = Hub(database, directory, door)
    task = asyncio.create_task(built.worker.run())
    async with asyncio.timeout(60):
        while sum(one.live for one in built.worker.destinations.values()) < len(ports):
            await asyncio.sleep(0.05)
    yield built
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await database.close()


async def measure(server: store.EmbeddedPostgres) -> dict[str, float]:
    with receivers() as (*ports, _):
        async with (
            fresh_database(server, migrate_hub_template(server)) as fresh,
            OcpiClient(allow_insecure=True, idle_seconds=KEPT_SECONDS) as client,
            hub(fresh.app_dsn, DoorOut(client), ports) as built,
        ):
            garbage.settle()  # as `ocpi-hub serve` does
            requests = [[request_for(port, number) for number in range(CHANGES)] for port in ports]
            return await interleaved(
                {
                    "hub, four": lambda: rate(ports[0], CHANGES * 100, lambda: durable(built, ports[0], 4)),
                    "hub, one": lambda: rate(ports[0], CHANGES * 100, lambda: durable(built, ports[0], 1)),
                    "four": lambda: rate(ports[0], CHANGES * 100, lambda: loops(client, requests, 4)),
                    "one": lambda: rate(ports[0], CHANGES * 100, lambda: loops(client, requests, 1)),
                    "httpx": lambda: rate(ports[0], GATHERED * 100, lambda: gathered(requests)),
                },
                rounds=3,
            )


async def rate(port: int, pushes: int, work: Any) -> float:
    """Pushes that arrived per CPU second of this process; all of them must."""
    before, began = await counted(port), time.process_time()
    await work()
    spent = time.process_time() - began
    arrived = await counted(port) - before
    assert arrived == pushes, arrived
    return arrived / spent


async def counted(port: int) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
    number = int(await reader.readexactly(length))
    writer.close()
    return number


async def durable(built: Hub, port: int, in_flight: int, receivers: int = 100, pause: float = 0.0) -> None:
    """Every change to another object, so that nothing coalesces; done when so many receivers have every one."""
    wanted = await counted(port) + CHANGES * receivers
    numbers = iter(range(CHANGES))

    async def pusher() -> None:
        for number in numbers:
            await built.push(number)
            await asyncio.sleep(pause)

    await asyncio.gather(*(pusher() for _ in range(in_flight)))
    async with asyncio.timeout(60):
        while await counted(port) < wanted:
            await asyncio.sleep(0.05)


def request_for(port: int, number: int) -> OutgoingRequest:
    sent = {
        "Authorization": names.authorization("token"),
        names.REQUEST_ID: "r",
        names.CORRELATION_ID: "c",
        **names.routing_headers(to=PartyId("DE", "000"), sender=HUB),
    }
    url = f"http://127.0.0.1:{port}/receiver/locations/NL/CPO/LOC{number}"
    return OutgoingRequest("PUT", url, sent, CONTENT.replace("@", f"LOC{number}").encode())


async def loops(client: OcpiClient, requests: list[list[OutgoingRequest]], in_flight: int) -> None:
    """The client alone: `in_flight` pushes under way to each receiver."""

    async def loop(mine: Iterator[OutgoingRequest]) -> None:
        for request in mine:
            answer = await client.send(request, 30)
            assert (answer.http_status, answer.body) == (200, BODY)

    await asyncio.gather(*(loop(shared) for own in requests for shared in [iter(own)] * in_flight))


async def gathered(requests: list[list[OutgoingRequest]]) -> None:
    """What is usually written: one AsyncClient and a gather over everybody."""
    async with httpx.AsyncClient(timeout=30) as client:
        for number in range(GATHERED):
            mine = [own[number] for own in requests]
            answers = await asyncio.gather(
                *(client.request(one.method, one.url, headers=dict(one.headers), content=one.body) for one in mine)
            )
            assert all(answer.status_code == 200 for answer in answers)
