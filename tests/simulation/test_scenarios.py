"""Single promises of delivery, each with the world it needs, in virtual time."""

import asyncio
import gc
import tracemalloc
from statistics import quantiles
from typing import Any
from unittest.mock import patch

import pytest

from hub.objects.repository import ObjectKey
from hub.parties.platforms import Connection
from tests.simulation import virtual_time
from tests.simulation.absence import LongLog
from tests.simulation.quiet import Quiet
from tests.simulation.receivers import Receiver


@pytest.mark.rule("Q-13")
@pytest.mark.parametrize("ends_at", [0.1, 0.5, 0.9, 1.3, 1.7, 2.1])
def test_an_agreement_that_ends_while_the_object_is_read_holds(ends_at: float) -> None:
    async def story() -> None:
        here = Quiet(1)
        await asyncio.sleep(10)
        here.latency = 0.4
        here.put("L1", told=False)
        await asyncio.sleep(ends_at)
        here.agreements.replace({})
        await asyncio.sleep(20)
        await here.end()  # the judge asks again when a message leaves

    virtual_time.run(story())


@pytest.mark.rule("Q-11")
@pytest.mark.parametrize(("down", "ours"), [(20, True), (7, False)])
def test_most_failing_at_once_is_taken_for_our_own_fault_and_a_few_are_not(down: int, ours: bool) -> None:
    async def story() -> None:
        here = Quiet(20)
        await asyncio.sleep(60)
        for receiver in here.all[:down]:
            receiver.moods = [(0.0, "down"), (2000.0, "healthy")]
        for number in range(30):
            here.put(f"L{number}")
            await asyncio.sleep(60)
        failing = [held for held in here.database.destinations.values() if held.failing_since is not None]
        assert len(failing) == (0 if ours else down)
        assert max(one.failures for one in here.worker.destinations.values()) < 3 or not ours
        await asyncio.sleep(2000)
        assert here.judge.missing(here.receivers) == []
        await here.end()

    virtual_time.run(story())


@pytest.mark.rule("Q-01", "F-51")
@pytest.mark.parametrize(("resync", "pushed"), [("push", 8), ("pull", 0)])
def test_a_cursor_older_than_the_log_leads_to_a_walk_or_to_nothing_for_who_reads_for_itself(
    resync: str, pushed: int
) -> None:
    async def story() -> None:
        here = Quiet(1, resync=resync)
        for number in range(8):
            here.put(f"L{number}", told=False)
        here.database.floor = here.database.log[5].position
        del here.database.log[:6]
        await asyncio.sleep(30)
        [receiver] = here.all
        assert receiver.pushes == pushed
        here.put("L9")
        await asyncio.sleep(5)
        assert receiver.pushes == pushed + 1
        assert here.database.destinations[receiver.party].walk is None
        await here.end()

    virtual_time.run(story())


@pytest.mark.rule("U-22", "Q-01")
def test_who_reads_for_itself_is_pushed_nothing_of_an_outage_nobody_noticed() -> None:
    """Timeouts alone make nobody OFFLINE; the back-off is the outage."""

    async def story() -> None:
        here = Quiet(1, resync="pull")
        await asyncio.sleep(10)
        [receiver] = here.all
        receiver.moods = [(0.0, "blackhole"), (200.0, "healthy")]
        for number in range(6):
            here.put(f"L{number}")
            await asyncio.sleep(15)
        await asyncio.sleep(1500)
        missed = receiver.pushes
        here.put("L9")
        await asyncio.sleep(1500)
        assert missed == 0
        assert [key.key_folded for key in receiver.order] == ["L9"]
        await here.end()

    virtual_time.run(story())


async def p99_of_the_others(slow: bool) -> float:
    """Seconds from the commit of a push to its receipt, at 99 receivers of 100, while one takes 10 s an answer."""
    here = Quiet(100)
    await asyncio.sleep(60)
    if slow:
        here.all[0].think = 9.99
    arrived: list[float] = []
    seen, committed = here.judge.seen, [0.0]

    def noted(receiver: Receiver, key: ObjectKey, message: Any, *, took: bool) -> int:
        if receiver is not here.all[0]:
            arrived.append(here.loop.time() - committed[0])
        return seen(receiver, key, message, took=took)

    here.judge.seen = noted  # type: ignore[method-assign]
    for number in range(60):
        committed[0] = here.loop.time()
        here.put(f"L{number % 20}")
        await asyncio.sleep(0.5)
    await here.end()
    assert len(arrived) >= 99 * 60
    return quantiles(arrived, n=100)[98]


@pytest.mark.rule("Q-10", "F-20")
def test_one_receiver_of_100_that_takes_10_seconds_does_not_move_the_p99_of_the_others() -> None:
    usual = virtual_time.run(p99_of_the_others(slow=False))
    beside_a_slow_one = virtual_time.run(p99_of_the_others(slow=True))
    assert beside_a_slow_one <= 1.1 * usual


@pytest.mark.rule("Q-01", "R-48")
def test_72_hours_of_absence_cost_a_cursor_and_then_one_state_an_object() -> None:
    """300,000 changes to 10,000 objects here; 3,000,000 to 100,000 by `python -m tests.simulation.absence`."""
    told = virtual_time.run(absent(changes=300_000, objects=10_000))
    assert told["pushes"] == told["objects"]
    assert told["remembered while away"] == 0
    assert told["bytes grown while away"] < 50_000
    assert told["most waiting"] <= 20_000 + 200


@patch("hub.delivery.worker.POLL_SECONDS", 60.0)
async def absent(changes: int, objects: int) -> dict[str, float]:
    """Away for 72 hours, during which the log grows; back, until everything is there. Leases are long, polls are rare.

    Python's own account of what is allocated is read every 6 hours, each time after 500 changes were told as fresh.
    """
    log = LongLog(asyncio.get_running_loop().time, changes=changes, objects=objects, seconds=72 * 3600)
    here = Quiet(1, log, lease_seconds=3600.0)
    [receiver] = here.all
    receiver.think = 0.0005
    await asyncio.sleep(5)
    here.set_connection(Connection.OFFLINE)
    await asyncio.sleep(5)
    [destination] = here.worker.destinations.values()
    remembered, held = 0, []
    tracemalloc.start()
    for turn in range(12):
        await asyncio.sleep(6 * 3600)
        for number in range(500 * turn, 500 * (turn + 1)):
            here.worker.told(log.fresh(number))
        await asyncio.sleep(1)
        remembered = max(remembered, len(destination.pending) + len(destination.unsettled) + len(destination.delivered))
        gc.collect()
        held.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    began = here.loop.time()
    here.set_connection(Connection.CONNECTED)
    waiting = 0
    while len(receiver.held) < objects:
        assert here.loop.time() < began + 7200
        await asyncio.sleep(1)
        waiting = max(waiting, len(destination.pending) + len(destination.urgent) + len(destination.blocked))
    await asyncio.sleep(5)
    await here.end()
    return {
        "changes": log.written,
        "objects": objects,
        "pushes": receiver.pushes,
        "remembered while away": remembered,
        "bytes grown while away": max(held) - held[0],
        "most waiting": waiting,
        "seconds to catch up": round(here.loop.time() - began - 5),
    }
