"""Faults of the hub's own processes: killed, stopped, ended, out of memory, their log full, their clock wrong."""

import asyncio
import contextlib
import random
import resource
import signal
import time
from collections.abc import Iterator

from hub.delivery.wakeups import channel
from ocpi_modules import envelope, headers, json
from tests.faults.break_database import CannotBeDone
from tests.faults.hub import KeptHub
from tests.faults.world import CPO, EMSP, HUB, World, eventually
from tests.support import objects
from tests.support.redis_server import NoRedis, RedisServer, redis_server

MEBIBYTE = 1 << 20
HOUR, DAY = 3600, 86_400
JUMPS = (HOUR, -HOUR, DAY, -DAY, 1, -1)
"""Seconds; a day either way crosses midnight at whatever hour the test runs, a second is a leap second that one side ignores."""


async def kills(world: World, times: int) -> None:
    """F-01, F-02, F-03: kill -9 of any process at any moment, also while it starts; sometimes of all at once."""
    began, left = time.monotonic(), list(range(times))

    async def kill_again(hub: KeptHub, chance: random.Random) -> None:
        while left:
            await _some_traffic(world, chance)
            if not left:
                return
            left.pop()
            hub.tell(signal.SIGKILL)
            if (done := times - len(left)) % 100 == 0:
                print(f"  {done} kills in {time.monotonic() - began:.0f} s", flush=True)
            await (world.begin(hub) if chance.random() < 0.2 else world.restart(hub))

    chances = [random.Random(f"{world.seed} {number}") for number in range(len(world.hubs))]
    await asyncio.gather(*(kill_again(hub, chance) for hub, chance in zip(world.hubs, chances, strict=True)))
    world.notes |= {"kills": times, "seconds_per_kill": round((time.monotonic() - began) / times, 2)}


async def _some_traffic(world: World, chance: random.Random) -> None:
    """A random moment: up to 40 acknowledgements and a few milliseconds from now, however fast this machine is."""
    wanted = world.history.succeeded + chance.randint(0, 40)
    deadline = time.monotonic() + 2
    while world.history.succeeded < wanted and time.monotonic() < deadline:
        await asyncio.sleep(0.005)
    await asyncio.sleep(chance.uniform(0.0, 0.03))


async def stops(world: World, times: int) -> None:
    """F-04: a process that stands still longer than its lease, then goes on."""
    for _ in range(times):
        hub = world.chance.choice(world.hubs)
        hub.tell(signal.SIGSTOP)
        await asyncio.sleep(12)
        hub.tell(signal.SIGCONT)
        await asyncio.sleep(1)


async def terminations(world: World, times: int) -> None:
    """F-05: SIGTERM under load; what is under way is answered."""
    for _ in range(times):
        hub = world.chance.choice(world.hubs)
        hub.tell(signal.SIGTERM)
        await world.restart(hub)


async def out_of_memory(world: World, times: int) -> None:
    """F-06: bodies without end do not fill a process; one that can get no more memory acknowledges nothing it did not store."""
    world.failures_told = True
    for number in range(times):
        hub = world.hubs[number % len(world.hubs)]
        before = (await asyncio.to_thread(hub.use)).memory
        await asyncio.gather(*(_flood(hub, world.cpo.hub_token) for _ in range(8)))
        grown = (await asyncio.to_thread(hub.use)).memory - before
        assert grown < 64 * 1024, f"8 bodies without end took {grown} KiB"
        hub.limit(resource.RLIMIT_AS, hub.address_space() + 256 * 1024)
        await asyncio.sleep(2)
        hub.tell(signal.SIGKILL)  # as the kernel would
        await world.restart(hub)


async def _flood(hub: KeptHub, token: str) -> None:
    """20 MB in chunks, for a Location."""
    _, writer = await asyncio.open_connection("127.0.0.1", hub.port)
    head = (
        f"PUT /ocpi/receiver/2.2.1/locations/NL/ABC/LBIG HTTP/1.1\r\nHost: hub\r\nAuthorization: Token {token}\r\n"
        "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    try:
        writer.write(head.encode())
        for _ in range(20):
            writer.write(b"100000\r\n" + b"[" * MEBIBYTE + b"\r\n")
            await writer.drain()
    except OSError:
        pass  # it does not read on
    finally:
        writer.transport.abort()


async def log_full(world: World, times: int) -> None:
    """F-13: no byte can be written to the log any more; everything else goes on, and says how much was not said."""
    for number in range(times):
        hub = world.hubs[number % len(world.hubs)]
        await eventually(lambda: world.history.cdrs, what="a CDR")
        hub.limit(resource.RLIMIT_FSIZE, hub.log.stat().st_size)
        await _alarm(world, hub)
        _, document = await asyncio.to_thread(hub.ready)
        assert "could not be written" in str(document.get("warnings")), document
        await world.service(5)
        hub.tell(signal.SIGTERM)
        await world.restart(hub)


async def _alarm(world: World, hub: KeptHub) -> None:
    """Send an acknowledged CDR with other content, which is refused, and logged as an alarm."""
    id = next(iter(world.history.cdrs))
    token = objects.cdr_token(country_code=EMSP.country_code, party_id=EMSP.party_id)
    own = {"country_code": CPO.country_code, "party_id": CPO.party_id, "credit": None, "credit_reference_id": None}
    body = json.encode(objects.cdr(id=id, cdr_token=token, **own))
    url = world.cpo.hub_endpoints["cdrs", "RECEIVER"]
    url = hub.url + url[url.index("/", len("http://")) :]
    extra = headers.routing_headers(to=EMSP, sender=CPO)
    answer = await world.cpo.call("POST", url, world.cpo.hub_token, body, extra, deadline=15)
    content = envelope.read(answer.body)
    assert content is not None, answer.body
    assert content.status_code == 2001, answer.body


async def clock_jumps(world: World, times: int) -> None:
    """F-48, Q-06: the clocks of the processes jump, each another way; order and leases do not ask them."""
    for number in range(times):
        for hub in world.hubs:
            hub.clock.set(JUMPS[(number + world.hubs.index(hub)) % len(JUMPS)])
        await asyncio.sleep(1)
        await world.service(5)
    for hub in world.hubs:
        hub.clock.set(0)
    await asyncio.sleep(1)


async def redis_breaks(world: World, times: int) -> None:
    """F-14, Q-05: Redis, over which hubs tell each other that they stored something, is absent, flushed, frozen, killed."""
    with _redis() as server:
        for hub in world.hubs:
            hub.environ["HUB_REDIS_URL"] = server.url
            await _again(world, hub)
        await world.service(5)
        await server.start()
        for _ in range(times):
            await _listen(server, len(world.hubs))
            async with server.client() as client:
                await client.flushall()
            server.tell(signal.SIGSTOP)
            await asyncio.sleep(2)
            await world.service(5)
            server.tell(signal.SIGCONT)
            server.stop()
            await world.service(5)
            await server.start()
        await _listen(server, len(world.hubs))
        for hub in world.hubs:
            del hub.environ["HUB_REDIS_URL"]
            await _again(world, hub)


@contextlib.contextmanager
def _redis() -> Iterator[RedisServer]:
    try:
        with redis_server() as server:
            yield server
    except NoRedis as reason:
        raise CannotBeDone(str(reason)) from reason


async def _listen(server: RedisServer, hubs: int) -> None:
    """Until so many processes listen for what the others store."""
    async with server.client() as client, asyncio.timeout(20):
        while [number for _, number in await client.pubsub_numsub(channel(HUB))] != [hubs]:
            await asyncio.sleep(0.1)


async def _again(world: World, hub: KeptHub) -> None:
    hub.tell(signal.SIGTERM)
    await world.restart(hub)
