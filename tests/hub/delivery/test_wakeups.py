"""Hints over a real Redis: they arrive, they are few, and whatever happens to Redis holds up nobody."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

import pytest

from hub.delivery import wakeups, worker
from hub.delivery.wakeups import Wakeups
from hub.objects.batches import Batches
from hub.objects.keep import Push
from hub.objects.listing import EVERYBODY
from hub.objects.repository import ObjectKey
from ocpi_modules import registry
from ocpi_modules.spec import Method, ModuleID
from tests.hub.delivery.world import location, pushed, running, until, world
from tests.hub.network import CPO, HUB, eventually
from tests.support.ports import free_port
from tests.support.postgres import FreshDatabase
from tests.support.redis_server import NoRedis, RedisServer, redis_server


@dataclass
class Process:
    wakeups: Wakeups
    woken: list[float] = field(default_factory=list)


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    try:
        with redis_server() as server:
            yield server
    except NoRedis as reason:
        pytest.skip(str(reason))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("HEARTBEAT", 0.2), ("SILENCE", 1.0), ("ANSWER", 0.5), ("PAUSE", 0.1)):
        monkeypatch.setattr(wakeups, f"{name}_SECONDS", seconds)


@contextlib.asynccontextmanager
async def processes(url: str, number: int = 2) -> AsyncIterator[list[Process]]:
    made, loop = [], asyncio.get_running_loop()
    for _ in range(number):
        woken: list[float] = []
        made.append(Process(Wakeups(url, HUB, lambda woken=woken: woken.append(loop.time())), woken))  # type: ignore[misc]
    tasks = [asyncio.create_task(one.wakeups.run()) for one in made]
    try:
        yield made
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _wakes(teller: Process, *others: Process) -> None:
    """Hints until each of the others was woken once more: one may be lost while Redis comes back."""
    before = [len(other.woken) for other in others]

    def told() -> bool:
        teller.wakeups.hint()
        return all(len(other.woken) > seen for other, seen in zip(others, before, strict=True))

    await eventually(told, 10)


async def test_what_one_stored_wakes_the_others(redis: RedisServer) -> None:
    await redis.start()
    async with processes(redis.url, 3) as (one, two, three):
        await _wakes(one, two, three)
        await _wakes(two, one, three)
        assert one.wakeups.finding is None


async def test_it_does_not_wake_itself(redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wakeups, "HEARTBEAT_SECONDS", 60.0)
    await redis.start()
    async with processes(redis.url) as (one, other):
        for _ in range(5):
            await _wakes(one, other)
        assert len(one.woken) <= 1  # by the first word of the other


async def test_a_worker_that_is_woken_delivers_what_another_process_stored(
    redis: RedisServer, hub_database: FreshDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "POLL_SECONDS", 3600.0)
    await redis.start()
    async with world(hub_database) as here:
        delivery = here.net.delivery
        delivery._lease_seconds = 3600.0  # it looks once, and not again by itself
        this, another = Wakeups(redis.url, HUB, delivery.wake), Wakeups(redis.url, HUB, lambda: None)
        async with running(delivery.run), running(this.run), running(another.run):
            await until(lambda: [one.live for one in delivery.destinations.values()] == [True, True])
            stored = Batches(database=here.net.database, objects=here.net.objects)
            key = ObjectKey(CPO, ModuleID.locations, "L1", EVERYBODY)
            assert await stored.store(Push(key, registry.MODULES[key.module], Method.PUT, {}, location())) == 1

            def told() -> bool:
                another.hint()
                return bool(pushed(here.net.emsp))

            await until(told)


async def test_however_much_is_stored_nobody_looks_more_often_than_every_so_often(redis: RedisServer) -> None:
    await redis.start()
    async with processes(redis.url, 6) as (first, *tellers):
        await _wakes(tellers[0], first)
        del first.woken[:]
        until = asyncio.get_running_loop().time() + 10 * wakeups.SPACE_SECONDS
        while asyncio.get_running_loop().time() < until:
            for one in tellers:
                one.wakeups.hint()
            await asyncio.sleep(0)
        apart = [later - earlier for earlier, later in zip(first.woken, first.woken[1:], strict=False)]
        assert apart
        assert min(apart) > 0.9 * wakeups.SPACE_SECONDS


@pytest.mark.rule("F-14", "Q-05")
async def test_a_redis_that_was_killed_flushed_or_frozen_is_made_up_with(redis: RedisServer) -> None:
    async with processes(redis.url) as (one, other):
        await eventually(lambda: "ConnectionError" in (one.wakeups.finding or ""))
        one.wakeups.hint()  # nobody waits
        await redis.start()
        await _wakes(one, other)
        await eventually(lambda: one.wakeups.finding is None)
        async with redis.client() as client:
            await client.flushall()
        await _wakes(one, other)
        redis.stop()
        await eventually(lambda: one.wakeups.finding)
        await redis.start()
        await _wakes(other, one)
        redis.tell(signal.SIGSTOP)
        await eventually(lambda: "TimeoutError" in (one.wakeups.finding or ""), 10)
        one.wakeups.hint()
        redis.tell(signal.SIGCONT)
        await _wakes(one, other)
        await eventually(lambda: one.wakeups.finding is None and other.wakeups.finding is None, 10)


async def test_one_that_takes_nothing_of_us_is_said_without_its_password(redis: RedisServer) -> None:
    await redis.start()
    async with redis.client() as client:
        await client.config_set("requirepass", "right")
    async with processes(redis.url.replace("//", "//:secret@"), 1) as (one,):
        await eventually(lambda: one.wakeups.finding)
        assert "AuthenticationError" in str(one.wakeups.finding)
        assert "secret" not in str(one.wakeups.finding)


async def test_where_nothing_listens_it_only_says_so() -> None:
    async with processes(f"redis://127.0.0.1:{free_port()}/0", 1) as (one,):
        await eventually(lambda: one.wakeups.finding)
        one.wakeups.hint()
        assert not one.woken
