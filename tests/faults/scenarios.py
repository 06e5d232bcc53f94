"""Every fault by its name: what breaks, how often, and under what load; the checkers run after each."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.faults import break_database as database
from tests.faults import break_processes as processes
from tests.faults import break_receivers as receivers
from tests.faults.baseline import Rest, at_rest
from tests.faults.break_database import CannotBeDone, small_disk
from tests.faults.checkers import check
from tests.faults.load import PAUSE_SECONDS, Load
from tests.faults.world import World, running_world

__all__ = ["SCENARIOS", "CannotBeDone", "Scenario", "one_after_the_other"]


@dataclass(frozen=True)
class Scenario:
    """`times` is how often the fault is done; `ids` are those of the fault matrix and of the rules that hold meanwhile."""

    ids: str
    break_it: Callable[[World, int], Awaitable[None]]
    times: int = 1
    pause: float = PAUSE_SECONDS
    """The most a sender waits between two pushes."""
    small_disk: bool = False
    """Whether PostgreSQL is to have a file system of its own, which needs root."""
    database_proxied: bool = False
    """Whether the hubs reach PostgreSQL by way of `world.database_proxy`."""

    async def run(self, folder: Path, seed: int, times: int | None = None) -> dict[str, object]:
        """Raises AssertionError when a promise was broken; else the figures of the run."""
        disk = small_disk(folder / "postgres") if self.small_disk else contextlib.nullcontext()
        with disk:
            async with _warm_world(folder, seed, database_proxied=self.database_proxied) as (world, before):
                return await self.done(world, before, times or self.times)

    async def done(self, world: World, before: Rest, times: int) -> dict[str, object]:
        """Break this world under load, let it heal, check it."""
        world.notes.clear()
        async with Load(world, self.pause):
            await asyncio.sleep(0.3)
            await self.break_it(world, times)
        await check(world, before)
        answers = world.history.answers
        refused = sum(count for (_, http_status, _), count in answers.items() if http_status == 503)
        return {
            "requests": sum(answers.values()),
            "unanswered": world.history.unanswered,
            "refused": refused,
            **world.notes,
        }


async def one_after_the_other(folder: Path, seed: int, times: Mapping[str, int]) -> AsyncIterator[tuple[str, object]]:
    """Several faults in one world, the checkers after each: what starting a world costs is paid once."""
    async with _warm_world(folder, seed, database_proxied=True) as (world, before):
        for name, how_often in times.items():
            try:
                yield name, await SCENARIOS[name].done(world, before, how_often)
            except Exception as error:
                error.add_note(f"during {name}, HUB_FAULT_SEED={seed}")
                raise


@contextlib.asynccontextmanager
async def _warm_world(folder: Path, seed: int, *, database_proxied: bool) -> AsyncIterator[tuple[World, Rest]]:
    """What has served for a moment, and what it uses when nobody asks."""
    async with running_world(folder, seed, database_proxied=database_proxied) as world:
        async with Load(world) as load:
            await load.warm()
        yield world, await at_rest(world)


SCENARIOS: dict[str, Scenario] = {
    "kills": Scenario("F-01 F-02 F-03 Q-03", processes.kills, 25),
    "stops": Scenario("F-04 Q-12", processes.stops, 1),
    "terminations": Scenario("F-05 Q-02", processes.terminations, 6),
    "out of memory": Scenario("F-06 F-31", processes.out_of_memory, 2),
    "log full": Scenario("F-13", processes.log_full, 2),
    "clock jumps": Scenario("F-48 Q-06", processes.clock_jumps, 6),
    "redis breaks": Scenario("F-14 Q-05", processes.redis_breaks, 3),
    "database crashes": Scenario("F-07 Q-04", database.database_crashes, 10),
    "database fails over": Scenario("F-07 Q-04", database.database_fails_over, 5),
    "database freezes": Scenario("F-08", database.database_freezes, 1),
    "connections killed": Scenario("F-09", database.connections_killed, 20),
    "commits unknown": Scenario("F-10", database.commits_unknown, 20, database_proxied=True),
    "disk full": Scenario("F-12 Q-15", database.disk_full, 1, small_disk=True),
    "network faults": Scenario("F-15 F-16 F-17 F-18 F-19 Q-10", receivers.network_faults, len(receivers.NETWORK)),
    "names": Scenario("F-26 S-23", receivers.names, 4),
    "certificates": Scenario("F-27", receivers.certificates, 5),
    "bad answers": Scenario("F-21 F-22 F-23", receivers.bad_answers, 8),
    "flapping": Scenario("F-24", receivers.flapping, 5),
    "many return": Scenario("F-25 Q-11", receivers.many_return, 300, pause=12.0),
}
