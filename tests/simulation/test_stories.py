"""What delivery promises about one receiver and time, each told in virtual time with the real waits (promises Q-01, Q-08)."""

import asyncio
from collections.abc import Callable, Coroutine
from itertools import pairwise
from typing import Any
from unittest.mock import patch

import pytest

from hub.delivery import backoff
from hub.delivery.destinations import Destination
from hub.delivery.outcome import classify
from hub.parties.platforms import Connection
from ocpi_modules.http.connection import IncomingAnswer
from ocpi_modules.spec import Method, ModuleID
from tests.simulation import virtual_time
from tests.simulation.memory import Debt
from tests.simulation.quiet import CPO, Quiet, location
from tests.simulation.receivers import DELIVERED, NO, REFUSED, Reply

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0


def told_in_virtual_time(story: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def test() -> None:
        virtual_time.run(story())

    test.__name__, test.__doc__ = story.__name__, story.__doc__
    return test


@told_in_virtual_time
async def test_a_revoked_token_overtakes_everything_that_waits() -> None:
    here = Quiet(1)
    [emsp] = here.receivers
    cpo = here.listen(CPO)
    await asyncio.sleep(10)
    here.directory.connect(CPO, Connection.OFFLINE)
    await asyncio.sleep(2)
    for number in range(400):
        here.put_token(emsp, f"T{number}")
    here.put_token(emsp, "STOLEN", revoked=True)
    here.directory.connect(CPO, Connection.CONNECTED)
    await asyncio.sleep(MINUTE)
    assert len(cpo.order) == 401
    assert "STOLEN|RFID" in [key.key_folded for key in cpo.order[:4]]  # so many are under way at once
    await here.end()


@pytest.mark.rule("Q-08")
@told_in_virtual_time
async def test_a_refused_object_is_tried_three_times_and_then_when_it_changes_or_an_operator_says_so() -> None:
    here = Quiet(1)
    [receiver] = here.all
    receiver.moods, receiver.grudge = [(0.0, "refuses one")], "BAD"
    await asyncio.sleep(10)
    here.put("BAD")
    for number in range(20):
        here.put(f"L{number}")
    await asyncio.sleep(1)
    assert len(receiver.held) == 20

    def tries() -> int:
        return sum(key.key_folded == "BAD" for key in receiver.order)

    await asyncio.sleep(HOUR / 2)
    assert (tries(), [event for _, event in here.alarms]) == (3, ["object quarantined"])
    here.put("BAD")
    await asyncio.sleep(HOUR / 12)
    assert (tries(), len(here.alarms)) == (6, 2)
    receiver.moods = [(0.0, "healthy")]
    await asyncio.sleep(HOUR / 12)
    assert tries() == 6
    here.database.retry(receiver.party)
    await asyncio.sleep(MINUTE)
    assert (tries(), here.database.debts) == (7, {})
    assert here.judge.missing(here.receivers) == []
    await here.end()


@pytest.mark.rule("Q-08")
@pytest.mark.parametrize("mood", ["stumbles over one", "away behind a hub"])
def test_what_a_quiet_receiver_stumbles_over_holds_nothing_up(mood: str) -> None:
    """Nothing else waits when it fails, so nothing yet says that it is this object."""

    async def story() -> None:
        here = Quiet(1)
        [receiver] = here.all
        receiver.moods, receiver.grudge = [(0.0, mood)], "BAD"
        await asyncio.sleep(10)
        here.put("BAD")
        await asyncio.sleep(HOUR)
        for number in range(20):
            here.put(f"L{number}")
            await asyncio.sleep(MINUTE)
        assert len(receiver.held) == 20
        await here.end()

    virtual_time.run(story())


@pytest.mark.rule("Q-08", "R-23")
@told_in_virtual_time
async def test_what_a_hub_before_the_receiver_could_not_bring_it_is_no_poison_while_others_arrive() -> None:
    """That hub takes Locations for its party, and answers 4003 for what it would have to pass on."""
    here = Quiet(1)
    [receiver] = here.all
    receiver.moods = [(0.0, "away behind a hub")]
    await asyncio.sleep(10)

    async def live(seconds: float) -> None:
        for number in range(int(seconds / MINUTE)):
            here.put(f"L{number}")
            await asyncio.sleep(MINUTE)

    here.miss_session(receiver.party)
    await live(1.5 * HOUR)
    tries = sum(key.module is ModuleID.sessions for key in receiver.order)
    assert 10 < tries < 30
    assert here.alarms == []
    receiver.moods = [(0.0, "healthy")]
    await live(HOUR / 3)
    assert here.database.debts == {}
    assert here.judge.missing(here.receivers) == []
    receiver.moods = [(here.loop.time(), "away behind a hub")]
    here.miss_session(receiver.party)
    with patch.object(backoff, "MOST_DAYS", 0):
        await live(1.5 * HOUR)
    assert [event for _, event in here.alarms] == ["object quarantined"]
    await here.end()


@told_in_virtual_time
async def test_a_session_missed_while_its_older_state_is_taken_is_owed_still() -> None:
    here = Quiet(1)
    [receiver] = here.all
    await asyncio.sleep(10)
    here.miss_session(receiver.party)

    def slow(*asked: object) -> Reply:
        """It changes once more just before the answer, and that push meets nobody."""
        if receiver.pushes < 5:
            here.loop.call_later(1.98, here.miss_session, receiver.party)
        return Reply(2.0, DELIVERED, took=True)

    receiver.answer = slow  # type: ignore[method-assign]
    await asyncio.sleep(MINUTE)
    assert [version for version, _ in receiver.held.values()] == [6]
    assert here.database.debts == {}
    await here.end()


@pytest.mark.rule("Q-08")
@told_in_virtual_time
async def test_what_was_refused_is_paid_by_the_version_that_came_while_it_was_taken() -> None:
    """It is refused once, and taken when the log repeats it, before its debt is due."""
    here = Quiet(1)
    [receiver] = here.all

    def slow(*asked: object) -> Reply:
        if receiver.pushes == 0:
            return Reply(0.01, REFUSED)
        if receiver.pushes > 1:
            return Reply(0.01, DELIVERED, took=True)
        here.loop.call_later(0.9, here.put, "L1")
        return Reply(1.0, DELIVERED, took=True)

    receiver.answer = slow  # type: ignore[method-assign]
    await asyncio.sleep(10)
    here.put("L1")
    await asyncio.sleep(0.5)
    [debt] = here.database.debts.values()
    assert debt.due is not None
    assert debt.due > here.loop.time() + 1.0
    await asyncio.sleep(10)
    assert (receiver.held, receiver.pushes) == ({location("L1"): (2, False)}, 3)
    assert here.database.debts == {}
    await here.end()


@pytest.mark.rule("Q-08")
@told_in_virtual_time
async def test_a_debt_is_paid_with_nothing_older_than_what_the_receiver_has() -> None:
    """A state that was pushed is good for half a second, a PATCH after it is not remembered as one."""
    here = Quiet(1)
    [receiver] = here.all
    await asyncio.sleep(10)
    for _ in range(20):
        here.put("L1")
        await asyncio.sleep(0.1)
        here.put("L1", method=Method.PATCH)
        await asyncio.sleep(0.1)
        here.database.debts[receiver.party, location("L1")] = Debt(1, 1, here.loop.time(), "It said no.")
        await asyncio.sleep(0.37)
    await asyncio.sleep(MINUTE)
    assert (receiver.held[location("L1")], here.database.debts) == ((40, False), {})
    await here.end()


@pytest.mark.rule("Q-01")
@told_in_virtual_time
async def test_a_receiver_that_fails_costs_a_cursor_however_much_it_misses() -> None:
    here = Quiet(1)
    [receiver] = here.all
    await asyncio.sleep(10)
    receiver.moods = [(0.0, "down")]
    for minute in range(5):
        for number in range(200):
            here.put(f"L{minute}-{number}")
        for _ in range(60):
            await asyncio.sleep(1)
            [destination] = here.worker.destinations.values()
            here.judge.looks(destination)
    assert backoff.opens(destination.failures)
    receiver.moods = [(0.0, "healthy")]
    await asyncio.sleep(HOUR / 2)
    assert here.judge.missing(here.receivers) == []
    await here.end()


@pytest.mark.rule("Q-01")
@told_in_virtual_time
async def test_a_back_off_is_stored_with_its_failures_whatever_a_renewal_forgets_beside_it() -> None:
    """Without them nobody would find it cleared: the receiver could call, and wait all the same."""
    here = Quiet(1)
    [receiver] = here.all
    busy = Reply(0.01, classify(IncomingAnswer(429, {"retry-after": "600"}, NO)))
    receiver.answer = lambda mood, key, chance: busy  # type: ignore[method-assign]
    store = here.worker._store
    failed = store.failed

    async def overtaken(destination: Destination, *given: Any) -> bool:
        destination.failures = 0
        return await failed(destination, *given)

    store.failed = overtaken  # type: ignore[method-assign]
    await asyncio.sleep(10)
    here.put("L1")
    await asyncio.sleep(1)
    held = here.database.destinations[receiver.party]
    assert held.next_attempt is not None
    assert held.failures == 1
    await here.end()


@pytest.mark.rule("F-23")
@told_in_virtual_time
@patch("hub.delivery.worker.POLL_SECONDS", 10.0)
async def test_a_receiver_that_asks_for_a_day_is_left_alone_for_an_hour_and_not_for_less() -> None:
    here = Quiet(1, lease_seconds=MINUTE)
    [receiver] = here.all
    busy = Reply(0.01, classify(IncomingAnswer(429, {"retry-after": "86400"}, NO)))
    receiver.answer = lambda mood, key, chance: busy  # type: ignore[method-assign]
    await asyncio.sleep(10)
    left = here.departures()
    here.put("L1")
    for _ in range(3 * 60 + 30):
        await asyncio.sleep(MINUTE)
        here.put("L2")
    waits = [later - earlier for earlier, later in pairwise(left)]
    assert len(waits) >= 3
    assert all(HOUR <= wait < HOUR + 20 for wait in waits)
    await here.end()


@pytest.mark.rule("Q-01")
@told_in_virtual_time
@patch("hub.delivery.worker.POLL_SECONDS", 60.0)
async def test_after_five_days_of_failure_a_receiver_is_paused_with_an_alarm_until_an_operator_resumes_it() -> None:
    """Until then it is probed every quarter of an hour, and nothing else."""
    here = Quiet(1, lease_seconds=HOUR)
    [receiver] = here.all
    receiver.moods = [(0.0, "down"), (6 * DAY, "healthy")]
    await asyncio.sleep(MINUTE)
    left = here.departures()
    for number in range(6 * 24):
        here.put(f"L{number % 50}", told=False)
        await asyncio.sleep(HOUR)
    [(at, event)] = here.alarms
    assert event == "destination paused"
    assert 5 * DAY < at < 5 * DAY + HOUR
    assert max(left) <= at
    later = [after - before for before, after in pairwise(left) if before > 2 * HOUR]
    assert max(later) < 900 * 1.2 + 2 * MINUTE
    assert min(later) > 900 * 0.8 - 2 * MINUTE
    await asyncio.sleep(DAY)
    assert receiver.pushes == 0
    here.database.resume(receiver.party)
    await asyncio.sleep(HOUR)
    assert receiver.pushes == 50
    assert here.judge.missing(here.receivers) == []
    await here.end()


@pytest.mark.rule("Q-01")
@told_in_virtual_time
@patch("hub.delivery.worker.POLL_SECONDS", 60.0)
async def test_who_is_offline_for_five_days_is_paused_with_one_alarm_also_when_it_comes_back() -> None:
    """A partner that refuses connections is OFFLINE after two, and never tried again."""
    here = Quiet(1, lease_seconds=HOUR)
    [receiver] = here.all
    await asyncio.sleep(MINUTE)
    here.set_connection(Connection.OFFLINE)
    here.put("L1", told=False)
    await asyncio.sleep(5 * DAY - HOUR)
    assert here.alarms == []
    await asyncio.sleep(2 * DAY)
    [(at, event)] = here.alarms
    assert event == "destination paused"
    assert 5 * DAY < at < 5 * DAY + 2 * HOUR
    here.set_connection(Connection.CONNECTED)
    await asyncio.sleep(HOUR)
    assert receiver.pushes == 0
    here.database.resume(receiver.party)
    await asyncio.sleep(HOUR)
    assert receiver.pushes == 1
    assert here.judge.missing(here.receivers) == []
    await here.end()


@pytest.mark.rule("Q-01")
@told_in_virtual_time
async def test_a_call_of_a_partner_ends_its_back_off_at_once() -> None:
    here = Quiet(1)
    [receiver] = here.all
    receiver.moods = [(0.0, "down")]
    await asyncio.sleep(10)
    here.put("L1")
    left = here.departures()
    await asyncio.sleep(HOUR / 2)
    while here.loop.time() - left[-1] > 10:  # until just after a probe in vain
        await asyncio.sleep(5)
    receiver.moods = [(0.0, "healthy")]
    await asyncio.sleep(2 * MINUTE)
    assert receiver.pushes == 0
    here.worker.heard(receiver.platform)
    await asyncio.sleep(3)
    assert receiver.pushes == 1
    await here.end()


@pytest.mark.rule("Q-11", "F-25")
@told_in_virtual_time
async def test_300_receivers_that_return_at_once_are_begun_with_over_half_a_minute() -> None:
    here = Quiet(300)
    await asyncio.sleep(MINUTE)
    here.set_connection(Connection.OFFLINE)
    await asyncio.sleep(2)
    for number in range(3):
        here.put(f"L{number}")
    await asyncio.sleep(HOUR / 12)
    left, began = here.departures(), here.loop.time()
    here.set_connection(Connection.CONNECTED)
    await asyncio.sleep(MINUTE)
    assert here.judge.missing(here.receivers) == []
    assert len(left) == 3 * 300
    seconds = [int(at - began) for at in left]
    assert max(map(seconds.count, set(seconds))) < 3 * 30
    assert 25 < max(seconds) < 33
    await here.end()


@pytest.mark.rule("Q-11", "F-25")
@pytest.mark.parametrize("calls", [1, 3])
def test_300_receivers_that_call_while_they_are_backed_off_are_begun_with_over_half_a_minute(calls: int) -> None:
    """Whether they call at once, or within a few seconds."""

    async def story() -> None:
        here = Quiet(300)
        await asyncio.sleep(MINUTE)
        for receiver in here.all:
            receiver.moods = [(0.0, "broken")]
        here.put("L1")
        await asyncio.sleep(HOUR)
        assert all(held.failures > 3 for held in here.database.destinations.values())
        left, began = here.departures(), here.loop.time()
        for number in range(calls):
            for receiver in here.all[number::calls]:
                receiver.moods = [(0.0, "healthy")]
                here.worker.heard(receiver.platform)
            await asyncio.sleep(1)
        await asyncio.sleep(MINUTE)
        assert here.judge.missing(here.receivers) == []
        seconds = [int(at - began) for at in left if at < began + 40]
        assert max(map(seconds.count, set(seconds))) < 30
        assert 25 < max(seconds) < 33 + calls
        await here.end()

    virtual_time.run(story())
