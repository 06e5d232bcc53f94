"""Partners that answer slowly, or without end, keep nobody else waiting; time is the test's own."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from hub.pulls import crawl
from ocpi_modules.spec import ModuleID
from tests.hub.pulls.world import Listing, World, running, token, world
from tests.support.postgres import FreshDatabase


@pytest.fixture
async def here(hub_database: FreshDatabase) -> AsyncIterator[World]:
    async with world(hub_database) as built:
        yield built


def endless(here: World, each: timedelta) -> None:
    """Every page of the CPO's lists takes so long, and has a next one."""

    def page(offset: int) -> Any:
        here.net.time[0] += each
        target = here.net.cpo.seen[-1].target.partition("?")[0]
        headers = {"Link": f'<{here.net.cpo.url}{target}?offset={len(here.listing.asked)}>; rel="next"'}
        return 200, headers, b'{"data":[],"status_code":1000,"timestamp":"2026-03-01T12:00:00Z"}'

    here.listing.before = page


@pytest.mark.promise("Q-10")
async def test_two_slow_lists_give_their_places_up_to_one_that_waits(here: World) -> None:
    """Also when an operator asked for the slow ones and not for it; they go on where they were."""
    endless(here, crawl.TURN / 3)
    listing = Listing(here.net.emsp, [token("T1")])
    await here.want("locations")
    await here.want("tariffs")
    async with running(here.worker.run):
        async with asyncio.timeout(15):
            while len(await here.net.rows("SELECT 1 FROM pull WHERE state = 'RUNNING'")) < 2:
                await asyncio.sleep(0.02)
        await here.want("tokens", "DE*MSP", by_hand=False)
        assert (await here.ended("tokens", "DE*MSP"))["state"] == "DONE"
        slow = [await here.row(module) for module in ("locations", "tariffs")]
        assert [row["state"] for row in slow] == ["RUNNING", "RUNNING"]
        assert len(listing.asked) == 1
        async with asyncio.timeout(15):
            for row in slow:
                while (await here.row(row["module"]))["pages"] <= row["pages"]:
                    await asyncio.sleep(0.05)
    assert len({query["offset"] for query in here.listing.asked[2:]}) == len(here.listing.asked[2:])


@pytest.mark.rule("X-46")
async def test_a_run_that_takes_too_long_ends_and_says_so(here: World) -> None:
    endless(here, crawl.LONGEST / 3)
    row = await here.pull()
    assert (row["state"], row["pages"], row["holder"]) == ("FAILED", 3, None)
    assert row["said"] == (
        "It was not through after 12 hours: 0 objects on 3 pages had come; they are kept, nothing was taken out, "
        "and the next run begins anew."
    )


@pytest.mark.promise("Q-10")
async def test_no_platform_has_both_places_while_another_waits(here: World) -> None:
    opened = asyncio.Event()
    here.listing.before = lambda offset: opened.wait()
    Listing(here.net.emsp, []).before = lambda offset: opened.wait()
    await here.want("locations")
    await here.want("tariffs")
    await here.want("tokens", "DE*MSP", by_hand=False)
    await here.worker.beat()
    begun = {(run.party, run.module) for run in here.worker._tasks.values()}
    assert begun == {(here.net.cpo.party, ModuleID.locations), (here.net.emsp.party, ModuleID.tokens)}
    await here.worker._stop()
