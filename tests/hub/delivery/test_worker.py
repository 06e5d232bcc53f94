"""What the worker sends, in which order, and what it does when a receiver is away, slow, or says no."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from hub.agreements.policy import CdrMode, DefaultPolicy, Terms
from hub.delivery import backoff, worker
from hub.delivery.send import Deadlines
from ocpi_modules import json
from ocpi_modules.message import PartyId
from ocpi_modules.spec import ModuleID
from tests.hub.delivery.world import World, pushed, states, until, world
from tests.hub.network import CPO, EMSP, Seen, accepted
from tests.support import objects
from tests.support.postgres import FreshDatabase

NO = (200, {}, b'{"status_code":2001,"status_message":"no","timestamp":"2026-01-01T00:00:00Z"}')


@pytest.fixture
async def here(hub_database: FreshDatabase) -> AsyncIterator[World]:
    async with world(hub_database) as built:
        yield built


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits of seconds become waits of hundredths."""
    monkeypatch.setattr(backoff, "OBJECT_SECONDS", (0.05, 0.05))
    monkeypatch.setattr(backoff, "QUICK_SECONDS", 0.05)
    monkeypatch.setattr(backoff, "STEP_SECONDS", 0.3)


async def debts(here: World) -> list[dict[str, Any]]:
    return await here.net.rows("SELECT * FROM undelivered ORDER BY key_folded")


async def destination(here: World, party: str = "DE*MSP") -> dict[str, Any]:
    return (await here.net.rows("SELECT * FROM destination WHERE party = $1", party))[0]


async def eventually(condition: Any, seconds: float = 8) -> None:
    """Until an awaited condition holds."""
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.02)


# What is sent


@pytest.mark.rule("L-24")
async def test_a_patch_goes_out_as_it_came_to_who_has_the_state_before_it(here: World) -> None:
    async with here.delivering():
        await here.put()
        await until(lambda: pushed(here.net.emsp))
        patch = await here.patch("L1", name="new", last_updated="2026-03-01T12:10:00Z")
        await until(lambda: len(pushed(here.net.emsp)) == 2)
        seen = pushed(here.net.emsp)[1]
        assert (seen.method, seen.body) == ("PATCH", patch)


@pytest.mark.rule("L-24")
async def test_a_refused_patch_is_followed_by_the_whole_object(here: World) -> None:
    async with here.delivering():
        await here.put()
        await until(lambda: pushed(here.net.emsp))
        here.net.emsp.answer = lambda seen: (404, {}, NO[2]) if seen.method == "PATCH" else accepted()
        await here.patch("L1", name="new", last_updated="2026-03-01T12:10:00Z")
        await until(lambda: len(pushed(here.net.emsp)) == 3)
        last = pushed(here.net.emsp)[2]
        assert (last.method, json.decode(last.body)["name"]) == ("PUT", "new")
    assert await debts(here) == []


async def test_a_receiver_that_lacks_the_state_before_a_patch_gets_the_whole_object(here: World) -> None:
    await here.put()
    await here.patch("L1", name="new", last_updated="2026-03-01T12:10:00Z")
    async with here.delivering():
        await until(lambda: pushed(here.net.emsp))
        await here.patch("L1", name="newer", last_updated="2026-03-01T12:20:00Z")
        await until(lambda: len(pushed(here.net.emsp)) == 2)
        first, second = pushed(here.net.emsp)
        assert (first.method, json.decode(first.body)["name"], second.method) == ("PUT", "new", "PATCH")


@pytest.mark.rule("U-21")
async def test_the_states_of_one_object_arrive_in_order_and_end_with_the_last(here: World) -> None:
    async def slowly(seen: Seen) -> Any:
        await asyncio.sleep(0.03)
        return accepted()

    here.net.emsp.answer = slowly
    times = [f"2026-03-01T12:{minute:02}:00Z" for minute in range(25)]
    async with here.delivering():
        for time in times:
            last = await here.put(last_updated=time)
        await until(lambda: list(states(here.net.emsp).values()) == [last])
        seen = [json.decode(one.body)["last_updated"] for one in pushed(here.net.emsp)]
        assert seen == sorted(seen)
        assert len(seen) < len(times)


async def test_revoked_tokens_go_first(here: World) -> None:
    await here.set_connection(here.net.cpo, "OFFLINE")

    async def token(uid: str, **fields: Any) -> None:
        body = json.encode(objects.token(country_code="DE", party_id="MSP", uid=uid, type="RFID", **fields))
        assert (await here.net.call(here.net.emsp, "PUT", f"/receiver/tokens/DE/MSP/{uid}", body)).status_code == 1000

    for number in range(20):
        await token(f"T{number}")
    await token("STOLEN", valid=False)
    async with here.delivering():
        await here.set_connection(here.net.cpo, "CONNECTED")
        await until(lambda: len(pushed(here.net.cpo)) == 21)
        assert pushed(here.net.cpo)[0].target.endswith("/STOLEN")


@pytest.mark.rule("Q-13")
async def test_the_agreement_is_asked_for_when_it_is_sent(hub_database: FreshDatabase) -> None:
    async with world(hub_database, policy=DefaultPolicy.agreement) as here:
        other = await here.join("NSP", "NSP")
        both = {frozenset({CPO, party}): frozenset({ModuleID.locations}) for party in (EMSP, other.party)}
        here.net.policy.replace(both)
        await here.put()
        here.net.policy.replace({frozenset({CPO, other.party}): frozenset()})
        async with here.delivering():
            await until(lambda: pushed(other))
            await eventually(lambda: caught_up(here))
            assert pushed(here.net.emsp) == []


# Receivers that are away


@pytest.mark.rule("Q-01", "R-48", "H-10", "B-10")
async def test_a_receiver_that_was_away_gets_one_state_for_each_object(here: World) -> None:
    other = await here.join("NSP", "NSP")
    async with here.delivering():
        await here.put("L0")
        await until(lambda: pushed(here.net.emsp) and pushed(other))
        await eventually(lambda: caught_up(here))
        await here.set_connection(here.net.emsp, "OFFLINE")
        bodies = {}
        for minute in range(10):
            for name in ("L1", "L2", "L3"):
                bodies[name] = await here.put(name, last_updated=f"2026-03-01T12:{minute:02}:00Z")
        await until(lambda: set(bodies.values()) <= set(states(other).values()))
        assert len(pushed(here.net.emsp)) == 1
        held = here.net.delivery.destinations[EMSP]
        assert (len(held.pending), len(held.unsettled)) == (0, 0)
        await here.set_connection(here.net.emsp, "CONNECTED")
        await until(lambda: set(bodies.values()) <= set(states(here.net.emsp).values()))
        await eventually(lambda: caught_up(here))
        assert len(pushed(here.net.emsp)) == 1 + 3


@pytest.mark.rule("U-22", "R-48")
async def test_who_reads_for_itself_is_pushed_nothing_that_it_missed(here: World) -> None:
    async with here.net.database.transaction() as connection:
        await connection.execute(
            'UPDATE platform SET switches = \'{"resync": "pull"}\' WHERE platform_id = $1', here.net.emsp.platform_id
        )
    await here.set_connection(here.net.emsp, "OFFLINE")
    async with here.delivering():
        await until(lambda: EMSP in here.net.delivery.destinations)
        await until(lambda: here.net.delivery.destinations[EMSP].away)
        await here.put("MISSED")
        await here.set_connection(here.net.emsp, "CONNECTED")
        await until(lambda: here.net.delivery.destinations[EMSP].live)
        await here.put("L2")
        await until(lambda: pushed(here.net.emsp))
        await eventually(lambda: caught_up(here))
        assert [seen.target[-2:] for seen in pushed(here.net.emsp)] == ["L2"]


@pytest.mark.rule("Q-01", "F-15")
async def test_a_dead_receiver_is_left_alone_and_gets_everything_later(here: World, quick: None) -> None:
    dead = True
    tried: list[float] = []

    def answer(seen: Seen) -> Any:
        tried.append(asyncio.get_running_loop().time())
        return None if dead else accepted()

    here.net.emsp.answer = answer
    async with here.delivering():
        bodies = {f"L{number}": await here.put(f"L{number}") for number in range(12)}
        await eventually(lambda: failing(here))
        assert (await destination(here))["last_error"]
        assert len(tried) <= 12
        dead = False
        await until(lambda: set(states(here.net.emsp).values()) >= set(bodies.values()))
        await eventually(lambda: not_failing(here))


@pytest.mark.rule("Q-01")
async def test_a_call_of_the_partner_ends_its_back_off(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "QUICK_SECONDS", 0.05)
    here.net.emsp.answer = lambda seen: (500, {}, b"")
    async with here.delivering():
        for number in range(6):
            await here.put(f"L{number}")
        await eventually(lambda: failing(here))
        here.net.emsp.answer = lambda seen: accepted()
        before = len(pushed(here.net.emsp))
        await here.net.call(here.net.emsp, "GET", "/sender/locations")
        await until(lambda: len(pushed(here.net.emsp)) > before, 5)
        await until(lambda: len(states(here.net.emsp)) == 6)


@pytest.mark.rule("F-23")
async def test_retry_after_is_obeyed(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    here.net.emsp.answer = lambda seen: (429, {"Retry-After": "86400"}, NO[2])
    async with here.delivering():
        await here.put()
        await eventually(lambda: failing(here))
        [row] = await here.net.rows(
            "SELECT extract(epoch FROM next_attempt_at - clock_timestamp()) AS wait FROM destination WHERE party = 'DE*MSP'"
        )
        assert 3500 < row["wait"] <= 3600
    assert await debts(here) == []


# Receivers that say no, and slow ones


@pytest.mark.rule("Q-08")
async def test_an_object_a_receiver_refuses_is_tried_three_times_and_holds_up_nothing(here: World, quick: None) -> None:
    here.net.emsp.answer = lambda seen: NO if seen.target.endswith("BAD") else accepted()
    async with here.delivering():
        await here.put("BAD")
        good = await here.put("GOOD")
        await until(lambda: good in states(here.net.emsp).values())

        async def quarantined() -> bool:
            return [row["next_attempt_at"] for row in await debts(here)] == [None]

        await eventually(quarantined)
        assert [fields["reason"] for fields in here.net.alarm_fields] == ["HTTP 200, OCPI 2001"]
        assert len([seen for seen in pushed(here.net.emsp) if seen.target.endswith("BAD")]) == 3
        [debt] = await debts(here)
        assert (debt["attempts"], "no" in debt["last_error"]) == (3, True)
        assert here.net.alarms == ["object quarantined"]
        assert (await destination(here))["failures"] == 0
        here.net.emsp.answer = lambda seen: accepted()
        newer = await here.put("BAD", last_updated="2026-03-01T12:10:00Z")
        await until(lambda: newer in states(here.net.emsp).values())

        async def nothing_owed() -> bool:
            return await debts(here) == []

        await eventually(nothing_owed)


@pytest.mark.rule("Q-08", "F-23")
async def test_an_object_a_receiver_stumbles_over_is_told_from_a_receiver_that_fails(here: World, quick: None) -> None:
    here.net.emsp.answer = lambda seen: (500, {}, b"oops") if seen.target.endswith("BAD") else accepted()
    async with here.delivering():
        for number in range(8):
            await here.put("BAD" if number == 3 else f"L{number}")
        await until(lambda: len(states(here.net.emsp)) == 8)
        await eventually(lambda: owes(here, "BAD"))


@pytest.mark.rule("Q-10", "F-17", "F-20")
async def test_a_slow_receiver_holds_up_no_other(hub_database: FreshDatabase) -> None:
    async with world(hub_database, deadlines=Deadlines(push=1.0)) as here:
        slow = await here.join("SLO", "EMSP")

        async def never(seen: Seen) -> Any:
            await asyncio.sleep(30)

        slow.answer = never
        async with here.delivering():
            await until(lambda: slow.party in here.net.delivery.destinations)
            began = asyncio.get_running_loop().time()
            for number in range(60):
                await here.put(f"L{number}")
            await until(lambda: len(states(here.net.emsp)) == 60)
            assert asyncio.get_running_loop().time() - began < 5
            held = here.net.delivery.destinations[slow.party]
            assert len(held.in_flight) <= held.concurrency.most
            await until(lambda: held.failures > 0)
            assert held.concurrency.limit < 4


# Who is a destination


@pytest.mark.rule("Q-14")
async def test_who_leaves_is_forgotten_with_its_debts(here: World) -> None:
    async with here.delivering():
        await eventually(lambda: known(here, EMSP))
        async with here.net.database.transaction() as connection:
            await connection.execute(
                "UPDATE platform SET state = 'UNREGISTERED' WHERE platform_id = $1", here.net.emsp.platform_id
            )

        async def gone() -> bool:
            return not await known(here, EMSP)

        await eventually(gone)
        await until(lambda: EMSP not in here.net.delivery.destinations)


async def test_who_registers_gets_what_changed_since(here: World) -> None:
    await here.put("L1")
    newcomer = await here.join("NEW", "EMSP")
    async with here.delivering():
        await until(lambda: pushed(newcomer))


async def test_who_registers_gets_what_was_begun_before_and_committed_after(here: World) -> None:
    await here.put("L1")
    newcomer = await here.join("NEW", "EMSP")
    async with here.net.database.transaction() as connection:
        await connection.execute(
            "UPDATE platform SET registered_at = (SELECT max(changed_at) FROM change_log) + interval '10 seconds' "
            "WHERE platform_id = $1",
            newcomer.platform_id,
        )
    async with here.delivering():
        await until(lambda: pushed(newcomer))


@pytest.mark.rule("F-51")
async def test_a_cursor_of_another_cluster_leads_to_a_walk_through_everything(here: World) -> None:
    bodies = {f"L{number}": await here.put(f"L{number}") for number in range(5)}
    async with here.delivering():
        await until(lambda: len(states(here.net.emsp)) == 5)
        await eventually(lambda: caught_up(here))
    async with here.net.database.transaction() as connection:
        await connection.execute("UPDATE destination SET system_identifier = 1, cursor_xid = '999999999'")
    here.net.emsp.seen.clear()
    async with here.delivering():
        await until(lambda: set(states(here.net.emsp).values()) == set(bodies.values()))
        extra = await here.put("L9")
        await until(lambda: extra in states(here.net.emsp).values())

        async def walked() -> bool:
            return (await destination(here))["walk_after"] is None

        await eventually(walked)


# Sessions that were missed


async def session(here: World, status: int, /, **fields: Any) -> bytes:
    """The CPO pushes a Session to the eMSP and reads this OCPI status."""
    token = objects.cdr_token(country_code="DE", party_id="MSP")
    own = {"country_code": "NL", "party_id": "CPO", "id": "S1", "cdr_token": token}
    body = json.encode(objects.session(**own | {"last_updated": "2026-03-01T12:00:00Z"} | fields))
    path = f"/receiver/sessions/NL/CPO/{fields.get('id', 'S1')}"
    answer = await here.net.call(here.net.cpo, "PUT", path, body, to=EMSP)
    assert answer.status_code == status, answer.message
    return body


@pytest.mark.rule("R-23", "Q-01")
async def test_a_session_that_met_nobody_is_put_when_the_receiver_is_back(here: World) -> None:
    async with here.delivering():
        await until(lambda: EMSP in here.net.delivery.destinations)
        await session(here, 1000)
        await here.set_connection(here.net.emsp, "OFFLINE")
        await session(here, 4003, last_updated="2026-03-01T12:05:00Z")
        patch = json.encode({"kwh": json.decode(b"7.25"), "last_updated": "2026-03-01T12:10:00Z"})
        answer = await here.net.call(here.net.cpo, "PATCH", "/receiver/sessions/NL/CPO/S1", patch, to=EMSP)
        assert answer.status_code == 4003
        assert len(pushed(here.net.emsp)) == 1
        await here.set_connection(here.net.emsp, "CONNECTED")
        await until(lambda: len(pushed(here.net.emsp)) == 2)
        seen = pushed(here.net.emsp)[1]
        assert (seen.method, seen.routing) == ("PUT", ("DE*MSP", "NL*CPO"))
        assert str(json.decode(seen.body)["kwh"]) == "7.25"

        async def nothing_owed() -> bool:
            return await debts(here) == []

        await eventually(nothing_owed)


@pytest.mark.rule("R-22")
async def test_a_session_nobody_answered_for_in_time_is_put_again(hub_database: FreshDatabase) -> None:
    async with world(hub_database, deadlines=Deadlines(direct=0.2)) as here:

        async def never(seen: Seen) -> Any:
            await asyncio.sleep(30)

        here.net.emsp.answer = never
        async with here.delivering():
            await until(lambda: EMSP in here.net.delivery.destinations)
            body = await session(here, 4002)
            here.net.emsp.answer = lambda seen: accepted()
            await until(lambda: len(pushed(here.net.emsp)) == 2)
            assert pushed(here.net.emsp)[1].body == body


@pytest.mark.rule("R-22", "R-23")
@pytest.mark.parametrize("code", [4002, 4003])
async def test_a_session_another_hub_could_not_bring_to_the_receiver_is_put_again(here: World, code: int) -> None:
    """The receiver's platform is a hub itself; the owner reads what that says, and the latest state goes out again."""
    away = (200, {}, b'{"status_code":%d,"status_message":"not there","timestamp":"2026-01-01T00:00:00Z"}' % code)
    here.net.emsp.answer = lambda seen: away
    async with here.delivering():
        await until(lambda: EMSP in here.net.delivery.destinations)
        await session(here, code)
        last = await session(here, code, status="COMPLETED", last_updated="2026-03-01T12:10:00Z")
        here.net.emsp.answer = lambda seen: accepted()
        before = len(pushed(here.net.emsp))
        await until(lambda: len(pushed(here.net.emsp)) > before)
        assert pushed(here.net.emsp)[-1].body == last

        async def nothing_owed() -> bool:
            return await debts(here) == []

        await eventually(nothing_owed)


LATER, LATEST, TOO_LATE = "2026-03-01T12:05:00Z", "2026-03-01T12:10:00Z", "2027-03-01T12:05:00Z"


@pytest.mark.rule("R-23")
@pytest.mark.parametrize("not_kept", [{"kwh": "odd", "last_updated": LATER}, {"last_updated": TOO_LATE}])
@pytest.mark.parametrize("status", ["ACTIVE", "COMPLETED"])
async def test_who_missed_what_is_not_kept_as_well_gets_the_newest_state_that_is(
    here: World, status: str, not_kept: dict[str, Any]
) -> None:
    async with here.delivering():
        await until(lambda: EMSP in here.net.delivery.destinations)
        await here.set_connection(here.net.emsp, "OFFLINE")
        kept = await session(here, 4003, status=status)
        await session(here, 4003, status=status, **not_kept)
        await session(here, 4003, id="S2", **not_kept)
        assert [row["key_folded"] for row in await debts(here)] == ["S1"]
        await here.set_connection(here.net.emsp, "CONNECTED")
        await eventually(lambda: owes_nothing(here))
        assert [seen.body for seen in pushed(here.net.emsp)] == [kept]


@pytest.mark.rule("R-23")
async def test_a_change_of_who_missed_what_is_not_kept_is_put_with_what_was_there_before(here: World) -> None:
    async with here.delivering():
        await until(lambda: EMSP in here.net.delivery.destinations)
        await session(here, 1000)
        await here.set_connection(here.net.emsp, "OFFLINE")
        await session(here, 4003, last_updated=LATER, kwh="odd")
        patch = json.encode({"status": "COMPLETED", "last_updated": LATEST})
        answer = await here.net.call(here.net.cpo, "PATCH", "/receiver/sessions/NL/CPO/S1", patch, to=EMSP)
        assert answer.status_code == 4003
        await here.set_connection(here.net.emsp, "CONNECTED")
        await until(lambda: len(pushed(here.net.emsp)) == 2)
        assert json.decode(pushed(here.net.emsp)[1].body)["status"] == "COMPLETED"


@pytest.mark.rule("R-22")
@pytest.mark.parametrize("not_kept", [{"kwh": "odd", "last_updated": LATER}, {"last_updated": TOO_LATE}])
@pytest.mark.parametrize(("status", "told"), [("ACTIVE", False), ("COMPLETED", True), ("INVALID", True)])
async def test_after_what_may_have_arrived_nothing_older_is_put_but_the_end_of_a_session(
    hub_database: FreshDatabase, status: str, told: bool, not_kept: dict[str, Any]
) -> None:
    async with world(hub_database, deadlines=Deadlines(direct=0.1)) as here:
        async with here.delivering():
            await until(lambda: EMSP in here.net.delivery.destinations)
        await here.set_connection(here.net.emsp, "OFFLINE")
        kept = await session(here, 4003, status=status)
        await here.set_connection(here.net.emsp, "CONNECTED")

        async def never(seen: Seen) -> Any:
            await asyncio.sleep(30)

        here.net.emsp.answer = never
        await session(here, 4002, status=status, **not_kept)
        here.net.emsp.answer = lambda seen: accepted()
        async with here.delivering():
            await eventually(lambda: owes_nothing(here))
        assert [seen.body for seen in pushed(here.net.emsp)[1:]] == ([kept] if told else [])


@pytest.mark.rule("R-23")
@pytest.mark.parametrize("not_kept", [{"kwh": "odd", "last_updated": LATER}, {"last_updated": TOO_LATE}])
async def test_what_is_owed_is_let_go_once_its_receiver_took_what_is_newer_and_not_kept(
    here: World, not_kept: dict[str, Any]
) -> None:
    async with here.delivering():
        await until(lambda: EMSP in here.net.delivery.destinations)
    await here.set_connection(here.net.emsp, "OFFLINE")
    await session(here, 4003, status="COMPLETED")
    await here.set_connection(here.net.emsp, "CONNECTED")
    newer = await session(here, 1000, status="COMPLETED", **not_kept)
    async with here.delivering():
        await eventually(lambda: owes_nothing(here))
    assert [seen.body for seen in pushed(here.net.emsp)] == [newer]


@pytest.mark.rule("R-23")
async def test_what_is_older_than_what_is_owed_changes_nothing(here: World) -> None:
    async with here.delivering():
        await until(lambda: EMSP in here.net.delivery.destinations)
        await here.set_connection(here.net.emsp, "OFFLINE")
        last = await session(here, 4003, last_updated=LATEST, status="COMPLETED")
        await session(here, 4003, last_updated=LATER, kwh="odd")
        await here.set_connection(here.net.emsp, "CONNECTED")
        await until(lambda: len(pushed(here.net.emsp)) == 1)
        assert pushed(here.net.emsp)[0].body == last


@pytest.mark.parametrize("guaranteed", [False, True])
@pytest.mark.parametrize("taken", [True, False])
async def test_the_last_state_of_a_session_goes_before_its_cdr(here: World, guaranteed: bool, taken: bool) -> None:
    net, mode = here.net, CdrMode.guaranteed if guaranteed else CdrMode.transparent
    net.policy.replace({frozenset((CPO, EMSP)): Terms(cdr_mode=mode)})
    async with here.delivering():
        await until(lambda: EMSP in net.delivery.destinations)
    await here.set_connection(net.emsp, "OFFLINE")
    await session(here, 4003, last_updated="2026-03-01T12:05:00Z")
    last = await session(here, 4003, last_updated="2026-03-01T12:10:00Z", status="COMPLETED")
    await session(here, 4003, id="S2")
    await here.set_connection(net.emsp, "CONNECTED")
    net.emsp.answer = lambda seen: accepted() if taken or "/cdrs" in seen.target else NO
    cdr = objects.cdr(
        country_code="NL", party_id="CPO", id="C1", session_id="s1", credit=None, credit_reference_id=None
    )
    cdr["cdr_token"] |= {"country_code": "DE", "party_id": "MSP"}
    answer = await net.call(net.cpo, "POST", "/receiver/cdrs", json.encode(cdr), to=EMSP)
    assert answer.status_code == 1000, answer.message
    assert not guaranteed or await net.guaranteed.round()
    put, posted = net.emsp.seen
    assert (put.method, put.target, put.body) == ("PUT", "/msp/receiver/v/sessions/NL/CPO/S1", last)
    assert put.routing == ("DE*MSP", "NL*CPO")
    assert (posted.method, posted.target) == ("POST", "/msp/receiver/v/cdrs")
    assert sorted(row["key_folded"] for row in await debts(here)) == (["S2"] if taken else ["S1", "S2"])


async def test_a_session_the_receiver_refused_is_not_put_again(here: World) -> None:
    here.net.emsp.answer = lambda seen: NO
    await session(here, 2001)
    assert await here.net.rows("SELECT * FROM kept_object") == []


async def caught_up(here: World) -> bool:
    """Every cursor that is not away stands at the last row of the log, and nothing is under way."""
    rows = await here.net.rows("SELECT xid::text, seq FROM change_log ORDER BY change_log.xid DESC, seq DESC LIMIT 1")
    end = [(int(row["xid"]), row["seq"]) for row in rows]
    held = [one for one in here.net.delivery.destinations.values() if not one.away]
    return all(one.live and one.idle and not one.unsettled and [one.cursor] >= end for one in held)


async def failing(here: World) -> bool:
    rows = await here.net.rows("SELECT 1 FROM destination WHERE party = 'DE*MSP' AND next_attempt_at IS NOT NULL")
    return bool(rows)


async def not_failing(here: World) -> bool:
    return not await failing(here)


async def owes_nothing(here: World) -> bool:
    return await debts(here) == []


async def owes(here: World, key: str) -> bool:
    return [row["key_folded"] for row in await debts(here)] == [key]


async def known(here: World, party: PartyId) -> bool:
    return bool(await here.net.rows("SELECT 1 FROM destination WHERE party = $1", str(party)))


@pytest.mark.rule("Q-04")
async def test_a_worker_whose_database_is_another_waits_for_no_answer_when_it_ends(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "STOP_SECONDS", 3600.0)
    over = asyncio.Event()

    async def hang(seen: Seen) -> Any:
        await over.wait()
        return accepted()

    here.net.emsp.answer = hang
    async with here.delivering():
        await here.put()
        await until(lambda: pushed(here.net.emsp))
        here.net.delivery._moved = lambda: True
    over.set()
