"""The faults, each a function that breaks a world under load and lets it heal; the checkers run after every one."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from tests.faults.checkers import check
from tests.faults.load import PAUSE_SECONDS, Load
from tests.faults.world import World, eventually, running_world
from tests.support.faultproxy import Mode
from tests.support.party import Scripted

MEBIBYTE = 1 << 20
SMALL_DISK = 400 * MEBIBYTE
BACK_SECONDS = 5.0
"""Q-04: after PostgreSQL is back, so long until requests are served again."""


class CannotBeDone(Exception):
    """This machine cannot be broken in this way; a sentence says why."""


@dataclass(frozen=True)
class Scenario:
    """`times` is how often the fault is done; `ids` are those of the fault matrix."""

    ids: str
    break_it: Callable[[World, int], Awaitable[None]]
    times: int = 1
    pause: float = PAUSE_SECONDS
    """The most a sender waits between two pushes."""
    small_disk: bool = False
    """Whether PostgreSQL is to have a file system of its own, which needs root."""

    async def run(self, folder: Path, seed: int, times: int | None = None) -> dict[str, object]:
        """Raises AssertionError when a promise was broken; else the figures of the run."""
        disk = small_disk(folder / "postgres") if self.small_disk else contextlib.nullcontext()
        with disk:
            return await self._run(folder, seed, times)

    async def _run(self, folder: Path, seed: int, times: int | None) -> dict[str, object]:
        async with running_world(folder, seed) as world:
            async with Load(world, self.pause):
                await asyncio.sleep(0.5)
                await self.break_it(world, times or self.times)
            await check(world)
            answers = world.history.answers
            refused = sum(count for (_, http_status, _), count in answers.items() if http_status == 503)
            return {
                "requests": sum(answers.values()),
                "unanswered": world.history.unanswered,
                "refused": refused,
                **world.notes,
            }


async def kills(world: World, times: int) -> None:
    """F-01, F-02, F-03: kill -9 of any process at any moment; the other goes on."""
    for _ in range(times):
        await asyncio.sleep(world.chance.uniform(0.0, 0.4))
        hub = world.chance.choice(world.hubs)
        world.kill(hub)
        await world.restart(hub)
    world.notes["kills"] = times


async def stops(world: World, times: int) -> None:
    """F-04: a process that stands still longer than its lease, then goes on."""
    for _ in range(times):
        hub = world.chance.choice(world.hubs)
        world.kill(hub, signal.SIGSTOP)
        await asyncio.sleep(12)
        world.kill(hub, signal.SIGCONT)
        await asyncio.sleep(1)


async def terminations(world: World, times: int) -> None:
    """F-05: SIGTERM under load; what is under way is answered."""
    for _ in range(times):
        hub = world.chance.choice(world.hubs)
        world.kill(hub, signal.SIGTERM)
        await world.restart(hub)


async def database_crashes(world: World, times: int) -> None:
    """F-07, Q-04: PostgreSQL is killed as in a crash and comes back; the hub goes on without a restart."""
    slowest = 0.0
    for _ in range(times):
        await asyncio.sleep(world.chance.uniform(0.1, 0.5))
        await asyncio.to_thread(world.postgres.stop, True)
        before = _succeeded(world)
        await asyncio.sleep(world.chance.uniform(0.2, 1.5))
        await asyncio.to_thread(world.postgres.start)
        back = time.monotonic()
        await eventually(lambda before=before: _succeeded(world) > before, BACK_SECONDS, "service")  # type: ignore[misc]
        slowest = max(slowest, time.monotonic() - back)
    world.notes["seconds_until_service"] = round(slowest, 2)


async def database_freezes(world: World, times: int) -> None:
    """F-08: the whole PostgreSQL stands still; requests are refused in time and nothing piles up."""
    for _ in range(times):
        pids = _family(world.postgres.pid)
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(9)
        finally:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
        before = _succeeded(world)
        await eventually(lambda before=before: _succeeded(world) > before, BACK_SECONDS * 2, "service")  # type: ignore[misc]
    assert world.history.slowest < 15, world.history.slowest


async def connections_killed(world: World, times: int) -> None:
    """F-09: connections are ended under whoever uses them."""
    connection = await asyncpg.connect(world.postgres.dsn("hub_template"), timeout=5)
    try:
        for _ in range(times):
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'ocpi-hub' AND random() < 0.5"
            )
            await asyncio.sleep(world.chance.uniform(0.05, 0.3))
    finally:
        await connection.close()


async def network_faults(world: World, times: int) -> None:
    """F-15 to F-19: everything a network does to the way to one receiver; the other gets its pushes all the while."""
    modes = [Mode.DROP_NEW, Mode.RESET, Mode.BLACKHOLE, Mode.HALF_CLOSE, Mode.SLOW_DRIP, Mode.CORRUPT, Mode.DELAY]
    for number in range(times):
        world.proxy.mode = modes[number % len(modes)]
        world.proxy.cut()
        before = len(world.nsp.received("PUT", "locations"))
        await eventually(
            lambda before=before: len(world.nsp.received("PUT", "locations")) > before + 5,  # type: ignore[misc]
            what=f"the delivery to the other receiver during {world.proxy.mode}",
        )
        await asyncio.sleep(1.5)
        world.proxy.mode = Mode.PASS
        world.proxy.cut()
        await world.call_in(world.emsp)


async def bad_answers(world: World, times: int) -> None:
    """F-21 to F-23: giant, empty, foreign and contradictory answers of one receiver."""
    answers = [
        Scripted(raw=b"x" * 30_000_000),
        Scripted(raw=b"<html>busy</html>"),
        Scripted(raw=b""),
        Scripted(http_status=500),
        Scripted(status_code=3000),
        Scripted(http_status=429, status_code=2000, headers={"Retry-After": "86400"}),
        Scripted(http_status=302, headers={"Location": "http://169.254.169.254/"}),
        Scripted(http_status=401, status_code=2001),
    ]
    for number in range(times):
        answer = answers[number % len(answers)]
        world.emsp.script("PUT", "locations", answer)
        world.emsp.script("POST", "cdrs", answer)
        await asyncio.sleep(1.0)
        for method, module in (("PUT", "locations"), ("POST", "cdrs")):
            world.emsp._scripts.pop((method, module), None)
        await world.call_in(world.emsp)


async def flapping(world: World, times: int) -> None:
    """F-24: a receiver that comes and goes."""
    for _ in range(times):
        world.proxy.mode = Mode.DROP_NEW
        world.proxy.cut()
        await asyncio.sleep(1.0)
        world.proxy.mode = Mode.PASS
        await world.call_in(world.emsp)
        await asyncio.sleep(1.0)


async def redis_absent(world: World, times: int) -> None:
    """F-14: the address of a Redis that is not there changes nothing."""
    for hub in world.hubs:
        hub.environ["HUB_REDIS_URL"] = "redis://127.0.0.1:1/0"
        world.kill(hub, signal.SIGTERM)
        await world.restart(hub)
    await asyncio.sleep(times)


async def many_return(world: World, times: int) -> None:
    """F-25: receivers that were away come back at once; who pushes meanwhile is served as ever."""
    proxies = [await world.join("NSP", f"FR/{number:03}") for number in range(times)]
    for proxy in proxies:
        proxy.mode = Mode.DROP_NEW
        proxy.cut()
    await asyncio.sleep(4)
    slowest, world.history.slowest = world.history.slowest, 0.0
    for proxy in proxies:
        proxy.mode = Mode.PASS
    began = time.monotonic()
    await asyncio.gather(*(world.call_in(partner) for partner in world.more))
    await eventually(lambda: all(partner.received("PUT", "locations") for partner in world.more), 90, "a push to all")
    world.notes |= {"receivers": times, "seconds_until_all_had_one": round(time.monotonic() - began, 1)}
    world.notes["slowest_answer_meanwhile"] = round(world.history.slowest, 2)
    world.history.slowest = max(slowest, world.history.slowest)


async def disk_full(world: World, times: int) -> None:
    """F-12, Q-15: PostgreSQL cannot write; what was not written is not acknowledged, and it goes on once there is room."""
    filler = world.folder / "postgres" / "filler"
    for _ in range(times):
        free = shutil.disk_usage(filler.parent).free
        with filler.open("wb") as file, contextlib.suppress(OSError):
            for _ in range(free // MEBIBYTE + 2):
                file.write(bytes(MEBIBYTE))
        await asyncio.sleep(4)
        before = _succeeded(world)
        filler.unlink()
        await asyncio.to_thread(world.postgres.start)
        await eventually(lambda before=before: _succeeded(world) > before, 30, "service")  # type: ignore[misc]


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A file system of SMALL_DISK bytes at this place. Raises CannotBeDone where nobody may mount one."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK},mode=755", "tmpfs", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=10)
    except (OSError, subprocess.SubprocessError) as error:
        raise CannotBeDone("a small file system can be mounted only by root") from error
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True, timeout=10)


def _succeeded(world: World) -> int:
    return sum(count for (_, _, status), count in world.history.answers.items() if status == 1000)


def _family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *map(int, children)]


SCENARIOS: dict[str, Scenario] = {
    "kills": Scenario("F-01 F-02 F-03 Q-03", kills, 25),
    "stops": Scenario("F-04 Q-12", stops, 1),
    "terminations": Scenario("F-05 Q-02", terminations, 6),
    "database crashes": Scenario("F-07 Q-04", database_crashes, 10),
    "database freezes": Scenario("F-08", database_freezes, 1),
    "connections killed": Scenario("F-09", connections_killed, 20),
    "network faults": Scenario("F-15 F-16 F-17 F-18 F-19 Q-10", network_faults, 7),
    "bad answers": Scenario("F-21 F-22 F-23", bad_answers, 8),
    "flapping": Scenario("F-24", flapping, 5),
    "many return": Scenario("F-25 Q-11", many_return, 300, pause=4.0),
    "disk full": Scenario("F-12 Q-15", disk_full, 1, small_disk=True),
    "redis absent": Scenario("F-14 Q-05", redis_absent, 1),
}
