"""Processes that deliver are killed and stopped; nothing accepted is lost, nothing goes back."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ocpi_modules import json
from tests.hub.delivery.world import PATIENCE, World, pushed, states, until, world
from tests.hub.network import Partner, Seen, accepted
from tests.support.postgres import FreshDatabase

LEASE = 1.5
UNDER_WAY = 5
"""What a worker may have had under way to one receiver when it was stopped."""


@pytest.fixture
async def here(hub_database: FreshDatabase) -> AsyncIterator[World]:
    async with world(hub_database) as built:
        yield built


@contextlib.asynccontextmanager
async def worker(database: FreshDatabase) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process of its own that delivers."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.hub.delivery.worker_process", database.app_dsn, str(LEASE)
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
                process.kill()
        await process.wait()


async def slowly(seen: Seen) -> Any:
    await asyncio.sleep(0.02)
    return accepted()


def versions(partner: Partner) -> dict[str, list[str]]:
    """The last_updated of each object in the order a receiver saw them."""
    seen: dict[str, list[str]] = {}
    for push in pushed(partner):
        seen.setdefault(push.target, []).append(json.decode(push.body)["last_updated"])
    return seen


def converged(partner: Partner, bodies: dict[str, bytes]) -> bool:
    held = states(partner)
    return {target.rpartition("/")[2]: body for target, body in held.items()} == bodies


@pytest.mark.rule("Q-03", "F-02", "F-03")
async def test_kill_9_in_the_middle_of_a_fan_out_loses_nothing(here: World, hub_database: FreshDatabase) -> None:
    receivers = [here.net.emsp, await here.join("NSP", "NSP"), await here.join("OTH", "OTHER")]
    for receiver in receivers:
        receiver.answer = slowly
    async with worker(hub_database) as first:
        await serving(here)
        bodies = {f"L{number}": await here.put(f"L{number}") for number in range(60)}
        await until(lambda: len(pushed(receivers[0])) >= 10)
        first.kill()
        await first.wait()
    assert not all(converged(receiver, bodies) for receiver in receivers)
    later = {"last_updated": "2026-03-01T12:20:00Z"}
    bodies |= {f"L{number}": await here.put(f"L{number}", **later) for number in range(0, 60, 7)}
    async with worker(hub_database):
        await until(lambda: all(converged(receiver, bodies) for receiver in receivers))
    for receiver in receivers:
        assert all(seen == sorted(seen) for seen in versions(receiver).values())


@pytest.mark.rule("Q-12", "F-04")
async def test_a_worker_that_was_stopped_moves_no_cursor_back(here: World, hub_database: FreshDatabase) -> None:
    here.net.emsp.answer = slowly
    async with worker(hub_database) as first:
        await serving(here)
        for number in range(30):
            await here.put(f"L{number}")
        await until(lambda: len(pushed(here.net.emsp)) >= 5)
        first.send_signal(signal.SIGSTOP)
        async with worker(hub_database) as second:
            later = {"last_updated": "2026-03-01T12:20:00Z"}
            bodies = {f"L{number}": await here.put(f"L{number}", **later) for number in range(30)}
            await until(lambda: converged(here.net.emsp, bodies))
            end = await cursor(here)
            second.send_signal(signal.SIGINT)
            await second.wait()
        before = (await here.net.rows("SELECT max(epoch) AS epoch FROM destination"))[0]["epoch"]
        already = len(pushed(here.net.emsp))
        first.send_signal(signal.SIGCONT)
        await taken_again(here, before)
        assert await cursor(here) >= end
        extra = await here.put("L99", last_updated="2026-03-01T12:25:00Z")
        await until(lambda: converged(here.net.emsp, bodies | {"L99": extra}))
    assert len(pushed(here.net.emsp)) <= already + 1 + UNDER_WAY


@pytest.mark.rule("Q-02", "F-50")
async def test_two_workers_share_the_receivers_and_one_takes_over_when_the_other_ends(
    here: World, hub_database: FreshDatabase
) -> None:
    receivers = [here.net.emsp] + [await here.join(f"N{number:02}", "NSP") for number in range(8)]
    async with worker(hub_database) as one, worker(hub_database):
        await serving(here, workers=2)
        before = await epochs(here)
        bodies = {f"L{number}": await here.put(f"L{number}") for number in range(5)}
        await until(lambda: all(converged(receiver, bodies) for receiver in receivers))
        after = await epochs(here)
        kept = [receiver for receiver in receivers if before[str(receiver.party)] == after[str(receiver.party)]]
        assert all(len(pushed(receiver)) == 5 for receiver in kept), "twice although it stayed with one worker"
        one.send_signal(signal.SIGINT)
        await one.wait()
        bodies["L9"] = await here.put("L9")
        await until(lambda: all(converged(receiver, bodies) for receiver in receivers))


async def holders(here: World) -> set[Any]:
    rows = await here.net.rows("SELECT holder FROM destination WHERE holder IS NOT NULL")
    return {row["holder"] for row in rows}


async def epochs(here: World) -> dict[str, int]:
    """How often each destination was leased: a worker that got no CPU for a lease loses it, and what it sent is sent again."""
    rows = await here.net.rows("SELECT party, epoch FROM destination")
    return {row["party"]: row["epoch"] for row in rows}


async def serving(here: World, *, workers: int = 1) -> None:
    """Until this many workers hold destinations."""
    async with asyncio.timeout(PATIENCE):
        while len(await holders(here)) < workers:
            await asyncio.sleep(0.05)


async def cursor(here: World) -> tuple[int, int]:
    rows = await here.net.rows("SELECT cursor_xid::text, cursor_seq FROM destination WHERE party = 'DE*MSP'")
    return int(rows[0]["cursor_xid"]), rows[0]["cursor_seq"]


async def taken_again(here: World, epoch: int) -> None:
    """Until the worker that was stopped has leased everything once more."""
    async with asyncio.timeout(PATIENCE):
        while (await here.net.rows("SELECT min(epoch) AS epoch FROM destination"))[0]["epoch"] <= epoch:
            await asyncio.sleep(0.05)
