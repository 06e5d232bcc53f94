"""A loop that is blocked is told with the place where it is, and readiness says so."""

import asyncio
import time

import pytest
from structlog.testing import capture_logs

from hub.watchdog import Watchdog
from tests.hub.network import eventually


def block_the_loop(seconds: float) -> None:
    time.sleep(seconds)


@pytest.mark.rule("F-49")
async def test_a_blocked_loop_is_logged_with_its_stack_and_told_by_readiness() -> None:
    watchdog = Watchdog(stuck_seconds=0.2, long_seconds=0.5)
    with capture_logs() as logs:
        task = asyncio.create_task(watchdog.run())
        await asyncio.sleep(0)
        block_the_loop(0.35)
        await eventually(lambda: watchdog.standstills == 1)
        assert watchdog.findings() == []
        await asyncio.sleep(0.1)
        block_the_loop(0.8)
        await eventually(lambda: bool(watchdog.findings()))
        assert watchdog.findings()[0].startswith("The event loop stood still for 0.")
        task.cancel()
    told = [line for line in logs if line["event"] == "event loop stands still"]
    assert len(told) == 2
    assert "in block_the_loop" in told[0]["stack"]


async def test_a_loop_that_only_waits_is_not_told() -> None:
    watchdog = Watchdog(stuck_seconds=0.2, long_seconds=0.3)
    task = asyncio.create_task(watchdog.run())
    await asyncio.sleep(0.6)
    assert (watchdog.standstills, watchdog.findings()) == (0, [])
    task.cancel()
