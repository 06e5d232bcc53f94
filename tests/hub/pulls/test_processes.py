"""Processes that pull are killed and stopped, and several of them share the lists."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator

import pytest

from hub.pulls import repository
from hub.pulls.runs import Run
from hub.pulls.storing import LeaseLost, Storing
from tests.hub.delivery.world import until
from tests.hub.pulls.world import World, locations, running, statuses, world
from tests.support.postgres import FreshDatabase

LEASE = 1.5


@pytest.fixture
async def here(hub_database: FreshDatabase) -> AsyncIterator[World]:
    async with world(hub_database) as built:
        yield built


@contextlib.asynccontextmanager
async def process(database: FreshDatabase, lease: float = LEASE) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process of its own that pulls."""
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.hub.pulls.worker_process", database.app_dsn, str(lease)
    )
    try:
        yield started
    finally:
        if started.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                started.kill()
        await started.wait()


class Gate:
    """Pages from an offset on are answered when it is opened."""

    def __init__(self, offset: int) -> None:
        self.offset, self.reached, self.opened = offset, asyncio.Event(), asyncio.Event()

    async def __call__(self, offset: int) -> None:
        if offset >= self.offset:
            self.reached.set()
            await self.opened.wait()


@pytest.mark.rule("Q-03", "F-02")
async def test_kill_9_in_the_middle_goes_on_at_the_stored_page_and_takes_out_what_vanished(
    here: World, hub_database: FreshDatabase
) -> None:
    here.listing.bodies = locations(8)
    await here.pull()
    del here.listing.bodies[7]
    here.listing.before = gate = Gate(4)
    asked = len(here.listing.asked)
    await here.want(whole=True)
    async with process(hub_database) as first:
        await asyncio.wait_for(gate.reached.wait(), 15)
        first.send_signal(signal.SIGKILL)
        await first.wait()
    row = await here.row()
    assert (row["state"], row["pages"], row["objects"], row["received"]) == ("RUNNING", 2, 4, 4)
    gate.opened.set()
    async with running(here.worker.run):
        row = await here.ended()
    assert (row["state"], row["objects"], row["vanished"]) == ("DONE", 7, 1)
    assert here.listing.offsets[asked:] == [0, 2, 4, 4, 6, 0, 2, 4, 6]
    kept = await here.kept()
    assert [key for key, body in kept.items() if "REMOVED" in statuses(body)] == ["L7"]
    assert await here.net.rows("SELECT * FROM pull_seen") == []


@pytest.mark.rule("Q-12", "F-50")
async def test_two_processes_read_a_list_once(here: World, hub_database: FreshDatabase) -> None:
    here.listing.bodies = locations(6)
    here.listing.before = gate = Gate(2)
    async with process(hub_database, 30), process(hub_database, 30):
        await here.want()
        await asyncio.wait_for(gate.reached.wait(), 15)
        epochs = {(await here.row())["epoch"]}
        leases = {(await here.row())["lease_until"]}
        async with asyncio.timeout(15):  # the lease is renewed while the other looks for work
            while len(leases) < 4:
                await asyncio.sleep(0.02)
                leases.add((await here.row())["lease_until"])
        gate.opened.set()
        row = await here.ended()
    assert here.listing.offsets == [0, 2, 4]
    assert (row["state"], {row["epoch"]}, row["objects"]) == ("DONE", epochs, 6)


@pytest.mark.rule("Q-02")
async def test_a_process_that_stops_gives_its_run_to_another_at_once(here: World) -> None:
    here.listing.bodies = locations(4)
    here.listing.before = gate = Gate(2)
    await here.want()
    async with running(here.worker.run):
        await asyncio.wait_for(gate.reached.wait(), 10)
    row = await here.row()
    assert (row["state"], row["holder"], row["pages"]) == ("RUNNING", None, 1)
    gate.opened.set()
    async with running(here.worker.run):
        assert (await here.ended())["state"] == "DONE"


@pytest.mark.rule("Q-12")
async def test_who_lost_the_lease_stores_nothing(here: World) -> None:
    here.listing.bodies = locations(2)
    await here.pull()
    run = Run.of(await here.row())
    store = Storing(here.net.database, here.net.objects)
    await here.net.database._pool.execute("UPDATE pull SET epoch = epoch + 1")
    with pytest.raises(LeaseLost):
        await store.page(run, run, [], 0)
    with pytest.raises(LeaseLost):
        await store.taken_out(run, "")
    async with here.net.database.transaction() as connection:
        assert await repository.renew(connection, [run.key], 5) == set()


async def test_a_run_of_another_database_cluster_begins_anew(here: World) -> None:
    """After a restore transaction ids mean nothing: what was pushed since could seem older than the run."""
    here.listing.bodies = locations(4)
    here.listing.before = gate = Gate(2)
    await here.want()
    async with running(here.worker.run):
        await asyncio.wait_for(gate.reached.wait(), 10)
    gate.opened.set()
    await here.net.database._pool.execute("UPDATE pull SET system_identifier = 1")
    async with running(here.worker.run):
        row = await here.ended()
    assert (row["state"], row["objects"], here.listing.offsets) == ("DONE", 4, [0, 2, 0, 2])


async def test_a_party_that_is_away_is_waited_for(here: World) -> None:
    await here.net.database._pool.execute("UPDATE platform SET connection = 'OFFLINE', revision = 99")
    await here.net.directory.refresh()
    here.listing.bodies = locations(2)
    await here.want()
    await here.worker.beat()
    assert (await here.row())["state"] == "NEVER"
    await here.net.database._pool.execute("UPDATE platform SET connection = 'CONNECTED', revision = 100")
    await here.net.directory.refresh()
    async with running(here.worker.run):
        await until(lambda: here.listing.asked)
        assert (await here.ended())["state"] == "DONE"
