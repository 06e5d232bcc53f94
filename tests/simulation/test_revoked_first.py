"""What is revoked goes before everything else a receiver is owed, whatever way that is owed (promises section 2)."""

import asyncio
from collections.abc import Iterator
from unittest.mock import patch

import pytest

from hub.parties.platforms import Connection
from ocpi_modules.message import PartyId
from tests.simulation import virtual_time
from tests.simulation.memory import Debt, MemoryDatabase
from tests.simulation.quiet import CPO, Quiet
from tests.simulation.receivers import Receiver

pytestmark = pytest.mark.usefixtures("few_at_a_time")
AT_ONCE = 20
"""So many may be under way when something is revoked."""


@pytest.fixture
def few_at_a_time() -> Iterator[None]:
    """A receiver is busy with a few."""
    with patch("hub.delivery.destinations.LOW_WATER", 20):
        yield


def small_windows(rows: int = 50, changes: int = 20_000) -> MemoryDatabase:
    return MemoryDatabase(asyncio.get_running_loop().time, window_rows=rows, window_changes=changes)


def names(cpo: Receiver) -> list[str]:
    return [key.key_folded.removesuffix("|RFID") for key in cpo.order]


async def away_and_back(here: Quiet, *revoked: int) -> None:
    """400 tokens while it is away, some of them revoked."""
    here.directory.connect(CPO, Connection.OFFLINE)
    await asyncio.sleep(2)
    for number in range(400):
        here.put_token(emsp_of(here), f"T{number}", revoked=number in revoked, told=False)
    here.directory.connect(CPO, Connection.CONNECTED)


def emsp_of(here: Quiet) -> PartyId:
    return next(party for party in here.receivers if party != CPO)


@pytest.mark.parametrize(("rows", "changes"), [(50, 20_000), (50, 30), (20_000, 30)])
def test_in_a_log_of_many_windows_what_is_revoked_comes_first_and_once(rows: int, changes: int) -> None:
    async def story() -> None:
        here = Quiet(1, small_windows(rows, changes))
        cpo = here.listen(CPO)
        await asyncio.sleep(10)
        await away_and_back(here, 320, 390, 399)
        await asyncio.sleep(60)
        assert {"T320", "T390", "T399"} <= set(names(cpo)[:7])
        assert len(names(cpo)) == len(set(names(cpo))) == 400
        await here.end()

    virtual_time.run(story())


def test_more_revoked_tokens_than_are_remembered_are_told_once_and_before_the_rest() -> None:
    async def story() -> None:
        here = Quiet(1, small_windows())
        cpo = here.listen(CPO)
        await asyncio.sleep(10)
        revoked = range(100, 400)
        await away_and_back(here, *revoked)
        await asyncio.sleep(60)
        assert {f"T{number}" for number in revoked} <= set(names(cpo)[: 300 + AT_ONCE])
        assert len(names(cpo)) == 400
        await here.end()

    with patch("hub.delivery.destinations.MOST_REMEMBERED", 10):
        virtual_time.run(story())


def test_what_was_told_ahead_is_not_told_again_after_an_outage_in_between() -> None:
    """Nor by another worker: how far it was told is stored."""

    async def story() -> None:
        here = Quiet(1, small_windows(changes=30))
        cpo = here.listen(CPO)
        await asyncio.sleep(10)
        cpo.think = 1.0
        await away_and_back(here, 380, 390)
        await asyncio.sleep(20)
        assert {"T380", "T390"} <= set(names(cpo)[:6])
        await here.hand_over()
        for _ in range(3):
            cpo.moods = [(0.0, "down")]
            await asyncio.sleep(15)
            cpo.moods = [(0.0, "healthy")]
            here.worker.heard(cpo.platform)
            await asyncio.sleep(10)
        await asyncio.sleep(600)
        assert [names(cpo).count(name) for name in ("T380", "T390", "T399")] == [1, 1, 1]
        assert here.judge.missing(here.receivers) == []
        await here.end()

    virtual_time.run(story())


def test_a_token_revoked_while_a_receiver_is_busy_waits_only_for_what_is_under_way() -> None:
    """Another process stored it, so that nobody here was told."""

    async def story() -> None:
        here = Quiet(1)
        cpo = here.listen(CPO)
        await asyncio.sleep(10)
        cpo.think = 0.5
        await away_and_back(here)
        await asyncio.sleep(5)
        before = len(names(cpo))
        here.put_token(emsp_of(here), "T399", revoked=True, told=False)
        await asyncio.sleep(200)
        assert before <= names(cpo).index("T399") <= before + AT_ONCE
        assert len(names(cpo)) == len(set(names(cpo))) == 400
        await here.end()

    virtual_time.run(story())


async def in_a_walk(here: Quiet) -> Receiver:
    """A receiver that is older than the log: of 100 tokens T0, the last of all keys is revoked."""
    cpo = here.listen(CPO)
    for number in range(100):
        here.put_token(emsp_of(here), f"T{number:03}", revoked=number == 99, told=False)
    here.database.floor = here.database.log[-1].position
    del here.database.log[:]
    return cpo


def test_a_walk_through_everything_begins_with_what_is_revoked() -> None:
    async def story() -> None:
        here = Quiet(1)
        cpo = await in_a_walk(here)
        await asyncio.sleep(60)
        assert "T099" in names(cpo)[:4]
        assert len(names(cpo)) == len(set(names(cpo))) == 100
        await here.end()

    virtual_time.run(story())


def test_a_token_revoked_during_a_walk_waits_only_for_what_is_under_way() -> None:
    async def story() -> None:
        here = Quiet(1)
        cpo = await in_a_walk(here)
        cpo.think = 2.0
        await asyncio.sleep(20)
        before = len(names(cpo))
        here.put_token(emsp_of(here), "T098", revoked=True, told=False)
        await asyncio.sleep(400)
        assert before <= names(cpo).index("T098") <= before + AT_ONCE
        assert names(cpo).count("T098") == 1
        assert here.judge.missing(here.receivers) == []
        await here.end()

    virtual_time.run(story())


def test_tariffs_are_walked_through_before_the_locations_that_refer_to_them() -> None:
    async def story() -> None:
        here = Quiet(1)
        [receiver] = here.all
        for number in range(30):
            here.put(f"L{number}", told=False)
            here.put_tariff(f"R{number}")
        here.database.floor = here.database.log[-1].position
        del here.database.log[:]
        await asyncio.sleep(60)
        assert "locations" not in {key.module for key in receiver.order[:26]}
        assert len(receiver.order) == 60
        await here.end()

    virtual_time.run(story())


def test_of_what_was_missed_beside_the_log_the_revoked_is_due_first_before_the_log_too() -> None:
    async def story() -> None:
        here = Quiet(1)
        cpo = here.listen(CPO)
        await asyncio.sleep(10)
        await away_and_back(here, 399)
        await asyncio.sleep(60)
        here.directory.connect(CPO, Connection.OFFLINE)
        await asyncio.sleep(2)
        cpo.order.clear()
        for at, key in enumerate(key for key in here.database.objects if key.audience == "*"):
            here.database.debts[CPO, key] = Debt(1, 1, float(at) / 1000, "It said no.")
        for number in range(100):
            here.put_token(emsp_of(here), f"NEW{number}", told=False)
        here.directory.connect(CPO, Connection.CONNECTED)
        await asyncio.sleep(60)
        assert "T399" in names(cpo)[:4]
        assert len(names(cpo)) == 500
        await here.end()

    virtual_time.run(story())
