"""The list of loops: what fails begins again and is named, what returns is done."""

import asyncio

import pytest

from hub import background as hub_background
from hub.background import Background
from tests.hub.network import eventually


class Flaky:
    """Fails so many times, then runs on (or returns)."""

    def __init__(self, failures: int, *, returns: bool = False) -> None:
        self.left, self.returns, self.runs = failures, returns, 0
        self.running = asyncio.Event()

    async def __call__(self) -> None:
        self.runs += 1
        if self.left:
            self.left -= 1
            raise RuntimeError("on purpose")
        self.running.set()
        if not self.returns:
            await asyncio.Event().wait()


@pytest.mark.promise("U-18")
async def test_a_loop_that_fails_is_named_and_begun_again_until_it_runs_steadily() -> None:
    loop = Flaky(2)
    background = Background({"flaky": loop, "steady": Flaky(0)}, first_pause=0.05)
    background.start()
    await eventually(lambda: background.failing() == ["flaky"])
    await asyncio.wait_for(loop.running.wait(), 5)
    assert loop.runs == 3
    await eventually(lambda: background.failing() == [])
    await background.stop()


async def test_a_loop_that_returns_is_done_and_not_begun_again() -> None:
    once = Flaky(1, returns=True)
    background = Background({"once": once, "other": Flaky(0)}, first_pause=0.02)
    background.start()
    await asyncio.wait_for(once.running.wait(), 5)
    await eventually(lambda: background.failing() == [])
    assert once.runs == 2
    await background.stop()


async def test_all_loops_end_with_stop() -> None:
    ended: list[str] = []

    async def endless(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(name)

    background = Background({"one": lambda: endless("one"), "two": lambda: endless("two")})
    background.start()
    await asyncio.sleep(0)
    await background.stop()
    assert sorted(ended) == ["one", "two"]


async def test_a_loop_that_misses_that_it_is_cancelled_or_fails_meanwhile_ends_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hub_background, "PATIENCE_SECONDS", 0.05)
    missed: list[str] = []

    async def misses() -> None:
        for _ in range(2):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                missed.append("once")
                if len(missed) == 2:
                    raise

    async def fails() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise RuntimeError("on purpose")

    background = Background({"misses": misses, "fails": fails})
    background.start()
    await asyncio.sleep(0)
    async with asyncio.timeout(20):
        await background.stop()
    assert missed == ["once", "once"]
