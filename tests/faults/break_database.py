"""Faults of PostgreSQL: killed, frozen, its connections cut, its answer to COMMIT lost, its disk full."""

import asyncio
import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import asyncpg

from tests.faults.world import World, eventually
from tests.support.family import standing_still
from tests.support.faultproxy import Mode

MEBIBYTE = 1 << 20
SMALL_DISK = 400 * MEBIBYTE
BACK_SECONDS = 5.0
"""Q-04: after PostgreSQL is back, so long until requests are served again."""


class CannotBeDone(Exception):
    """This machine cannot be broken in this way; a sentence says why."""


async def database_crashes(world: World, times: int) -> None:
    """F-07, Q-04: PostgreSQL is killed as in a crash and comes back; the hub goes on without a restart."""
    slowest = 0.0
    for _ in range(times):
        await asyncio.sleep(world.chance.uniform(0.1, 0.5))
        await asyncio.to_thread(world.postgres.stop, True)
        await asyncio.sleep(world.chance.uniform(0.2, 1.5))
        await asyncio.to_thread(world.postgres.start)
        slowest = max(slowest, await world.service(BACK_SECONDS))
    world.notes["seconds_until_service"] = round(slowest, 2)


async def database_fails_over(world: World, times: int) -> None:
    """Q-04: like a promoted standby that has everything, PostgreSQL comes back on another timeline; the hub begins anew."""
    slowest, settings = 0.0, world.postgres.data / "postgresql.auto.conf"
    for _ in range(times):
        await asyncio.sleep(world.chance.uniform(0.5, 1.5))
        await asyncio.to_thread(world.postgres.stop, True)
        settings.write_text("restore_command = 'false'\n")
        (world.postgres.data / "recovery.signal").touch()
        await asyncio.to_thread(world.postgres.start)
        slowest = max(slowest, await world.service(BACK_SECONDS))
    world.notes["seconds_until_service"] = round(slowest, 2)


async def database_freezes(world: World, times: int) -> None:
    """F-08: the whole PostgreSQL stands still; requests are refused in time and nothing piles up."""
    for _ in range(times):
        with standing_still(world.postgres.pid):
            await asyncio.sleep(9)
        await world.service(BACK_SECONDS * 2)
    assert world.history.slowest < 15, world.history.slowest


async def connections_killed(world: World, times: int) -> None:
    """F-09: connections are ended under whoever uses them."""
    connection = await asyncpg.connect(world.postgres.dsn("hub_template"), timeout=5)
    try:
        for _ in range(times):
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name ^@ 'ocpi-hub' AND random() < 0.5"
            )
            await asyncio.sleep(world.chance.uniform(0.05, 0.3))
    finally:
        await connection.close()


async def commits_unknown(world: World, times: int) -> None:
    """F-10: PostgreSQL was told COMMIT and did it; its answer never came."""
    proxy = world.database_proxy
    proxy.only = b"COMMIT"
    for _ in range(times):
        struck = proxy.struck
        proxy.mode = Mode.RESET
        await eventually(lambda struck=struck: proxy.struck > struck, what="a COMMIT that was cut")  # type: ignore[misc]
        await asyncio.sleep(world.chance.uniform(0.0, 0.2))
        proxy.mode = Mode.PASS
        await world.service(BACK_SECONDS)
    world.notes["commits_cut"] = proxy.struck


async def disk_full(world: World, times: int) -> None:
    """F-12, Q-15: PostgreSQL cannot write; what was not written is not acknowledged, and it goes on once there is room."""
    filler = world.folder / "postgres" / "filler"
    for _ in range(times):
        free = shutil.disk_usage(filler.parent).free
        with filler.open("wb") as file, contextlib.suppress(OSError):
            for _ in range(free // MEBIBYTE + 2):
                file.write(bytes(MEBIBYTE))
        await asyncio.sleep(4)
        filler.unlink()
        await asyncio.to_thread(world.postgres.start)
        await world.service(30)


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
