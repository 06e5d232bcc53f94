"""One conversation: answered once, in order, deadlines, disconnects (R6 to R10, S-49)."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from cpo_adapter.charging.events import RemoteAnswer
from cpo_adapter.csms.remote import RemoteChargers
from cpo_adapter.csms.rpc import Disconnected, Limits, Rpc
from cpo_adapter.csms.socket import Listener
from tests.cpo_adapter.csms.conftest import QUICK
from tests.cpo_adapter.csms.recorder import RawCharger, Recorder, bare_charger, eventually, now, raw_charger

START = {"connectorId": 1, "idTag": "T", "meterStart": 0, "timestamp": "2026-03-02T10:00:00Z"}


@pytest.fixture
async def charger(listener: Listener) -> AsyncIterator[RawCharger]:
    async with raw_charger(listener.port) as charger:
        yield charger


@asynccontextmanager
async def limited(facts: Recorder, **limits: Any) -> AsyncIterator[tuple[Listener, RawCharger]]:
    async with Listener(facts, now, replace(QUICK, limits=replace(QUICK.limits, **limits))) as listener:
        async with raw_charger(listener.port) as charger:
            yield listener, charger


@pytest.mark.parametrize("id", ["text", 17, "17", -5, 123456789012345678901234567890, "ä\u2028\"'"])
async def test_a_call_is_answered_once_with_its_id_as_received(charger: RawCharger, id: Any) -> None:
    await charger.write(json.dumps([2, id, "Heartbeat", {}]))
    await charger.write([2, "next", "Heartbeat", {}])
    first, second = await charger.read(), await charger.read()
    assert first[:2] == [3, id]
    assert type(first[1]) is type(id)
    assert second[:2] == [3, "next"]


async def test_an_unknown_action_gets_a_callerror(charger: RawCharger) -> None:
    assert (await charger.ask("MakeCoffee", {}, 9))[:3] == [4, 9, "NotImplemented"]
    assert (await charger.ask("Reset", {"type": "Soft"}, 10))[:3] == [4, 10, "NotSupported"]


@pytest.mark.parametrize(
    "frame",
    [
        "garbage",
        "",
        "[]",
        "[2]",
        "{}",
        "null",
        '[2,"cut',
        b"\xff\xfe\x00binary",
        '[2,null,"Heartbeat",{}]',
        '[2,{"a":1},"Heartbeat",{}]',
        '[9,"id","Heartbeat",{}]',
        '[3,"unasked",{}]',
        '[4,"unasked","GenericError","",{}]',
        '[4,"unasked"]',
        "[" * 100_000,
    ],
)
async def test_what_has_no_readable_message_id_is_not_answered_and_ends_nothing(
    charger: RawCharger, frame: Any
) -> None:
    await charger.write(frame)
    assert (await charger.ask("Heartbeat", {}, "after"))[:2] == [3, "after"]


@pytest.mark.parametrize(
    ("frame", "id"),
    [
        ('[2,"cut-off","MeterValues",{"connectorId":1,"meterVal', "cut-off"),
        ('[2,77,"MeterValues",{"connectorId":', 77),
        ('[2,"x",["Heartbeat"],{}]', "x"),
        ('[2,"x","Heartbeat",[1]]', "x"),
        ('[2,"x","Heartbeat","text"]', "x"),
        ('[2,"x"]', "x"),
    ],
)
async def test_a_broken_call_with_a_readable_id_gets_one_formation_violation(
    charger: RawCharger, frame: str, id: Any
) -> None:
    await charger.write(frame)
    assert (await charger.read())[:3] == [4, id, "FormationViolation"]
    assert (await charger.ask("Heartbeat", {}, "after"))[:2] == [3, "after"]


@pytest.mark.parametrize(
    "frame",
    ['["2","x","Heartbeat",{}]', '[2,"x","Heartbeat"]', '[2,"x","Heartbeat",null]', '[2,"x","Heartbeat",{},"surplus"]',
     '\ufeff[2,"x","Heartbeat",{"odd":NaN,"tab":"\t"}]\0', r'[2,"x","Heartbeat",{"half":"\ud800","pair":"\ud83d\ude00"}]',
     r'[2,"x","Authorize",{"idTag":"A\udc00"}]'],
)  # fmt: skip
async def test_a_call_that_can_be_understood_is_answered(charger: RawCharger, frame: str) -> None:
    await charger.write(frame)
    assert (await charger.read())[:2] == [3, "x"]


async def test_calls_are_worked_on_in_order(charger: RawCharger, facts: Recorder) -> None:
    for number in range(20):
        await charger.write([2, number, "StatusNotification", status(number)])
    assert [(await charger.read())[1] for _ in range(20)] == list(range(20))
    assert [fact.connector_id for fact in facts.statuses] == list(range(20))


async def test_a_handler_that_fails_makes_the_charger_repeat(charger: RawCharger, facts: Recorder) -> None:
    async def away() -> None:
        raise ConnectionError("the storage is away")

    facts.hooks["booted"] = away
    boot = {"chargePointVendor": "V", "chargePointModel": "M"}
    code, description = (await charger.ask("BootNotification", boot))[2:4]
    assert code == "InternalError"
    assert "storage" not in description
    facts.hooks.clear()
    assert (await charger.ask("BootNotification", boot))[0] == 3


async def test_a_handler_that_hangs_is_cut_off(facts: Recorder) -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    facts.hooks["booted"] = hang
    async with limited(facts, answer_seconds=0.1) as (_, charger):
        assert (await charger.ask("BootNotification", {}))[2] == "InternalError"


async def test_a_slow_handler_does_not_hold_up_the_answer_to_our_call(
    charger: RawCharger, listener: Listener, facts: Recorder
) -> None:
    await charger.ask("Heartbeat", {})
    release = asyncio.Event()

    facts.hooks["status_reported"] = held_until(release)
    await charger.write([2, "slow", "StatusNotification", status(1)])
    call = asyncio.create_task(remote(listener).remote_stop("CP-1", 5))
    kind, id, action, payload = await charger.read()
    assert (kind, action, payload) == (2, "RemoteStopTransaction", {"transactionId": 5})
    await charger.write([3, id, {"status": "Accepted"}])
    assert await asyncio.wait_for(call, 1) is RemoteAnswer.Accepted
    release.set()
    assert (await charger.read())[:2] == [3, "slow"]


async def test_our_calls_go_out_one_at_a_time(charger: RawCharger, listener: Listener) -> None:
    await charger.ask("Heartbeat", {})
    calls = [asyncio.create_task(remote(listener).unlock("CP-1", number)) for number in (1, 2)]
    first = await charger.read()
    with pytest.raises(TimeoutError):
        await charger.read(0.1)
    await charger.write([3, first[1], {"status": "Unlocked"}])
    second = await charger.read()
    await charger.write([3, second[1], {"status": "UnlockFailed"}])
    assert await asyncio.gather(*calls) == [RemoteAnswer.Accepted, RemoteAnswer.Failed]


async def test_a_call_without_an_answer_ends_at_its_deadline_counted_from_the_request(
    charger: RawCharger, listener: Listener
) -> None:
    await charger.ask("Heartbeat", {})
    began = time.monotonic()
    answers = await asyncio.gather(*(remote(listener, 1).unlock("CP-1", number) for number in range(5)))
    assert answers == [RemoteAnswer.NoAnswer] * 5
    assert time.monotonic() - began < 4  # one after the other they would take 5


async def test_a_late_answer_is_dropped_and_not_taken_for_the_next(charger: RawCharger, listener: Listener) -> None:
    await charger.ask("Heartbeat", {})
    assert await remote(listener, 0.1).unlock("CP-1", 1) is RemoteAnswer.NoAnswer
    late = await charger.read()
    call = asyncio.create_task(remote(listener).unlock("CP-1", 2))
    asked = await charger.read()
    await charger.write([3, late[1], {"status": "Unlocked"}])
    await charger.write([3, asked[1], {"status": "NotSupported"}])
    assert await call is RemoteAnswer.NotSupported


async def test_a_disconnect_fails_the_pending_call_at_held_until(listener: Listener) -> None:
    async with raw_charger(listener.port) as charger:
        await charger.ask("Heartbeat", {})
        call = asyncio.create_task(remote(listener, 60).unlock("CP-1", 1))
        await charger.read()
        charger.socket.transport.abort()
        assert await asyncio.wait_for(call, 2) is RemoteAnswer.Offline
    assert await remote(listener).unlock("CP-1", 1) is RemoteAnswer.Offline


async def test_a_newer_socket_fails_the_pending_call_of_a_dead_one_at_held_until(facts: Recorder) -> None:
    async with Listener(facts, now, replace(QUICK, close_seconds=3)) as listener:
        reader, writer = await bare_charger(listener.port)
        await reader.readuntil(b"\r\n\r\n")
        call = asyncio.create_task(remote(listener, 60).unlock("CP-1", 1))
        await reader.readuntil(b"UnlockConnector")
        async with raw_charger(listener.port):
            assert await asyncio.wait_for(call, 1) is RemoteAnswer.Offline
        writer.close()


async def test_a_disconnect_fails_the_pending_call_also_while_calls_of_the_charger_pile_up(facts: Recorder) -> None:
    release = asyncio.Event()
    facts.hooks["status_reported"] = held_until(release)
    async with limited(facts, queued_calls=1, drain_seconds=5) as (listener, charger):
        await charger.ask("Heartbeat", {})
        for number in range(4):
            await charger.write([2, number, "StatusNotification", status(number)])
        call = asyncio.create_task(remote(listener, 60).unlock("CP-1", 1))
        await charger.read()
        charger.socket.transport.abort()
        assert await asyncio.wait_for(call, 1) is RemoteAnswer.Offline
        release.set()


async def test_a_charger_we_do_not_read_for_a_while_is_not_taken_for_dead(facts: Recorder) -> None:
    release = asyncio.Event()
    facts.hooks["status_reported"] = held_until(release)
    limits = replace(QUICK.limits, queued_calls=1)
    async with Listener(facts, now, replace(QUICK, ping_seconds=0.1, pong_seconds=0.1, limits=limits)) as listener:
        async with raw_charger(listener.port, ping_interval=None) as charger:
            for number in range(40):
                await charger.write([2, number, "StatusNotification", status(number)])
            with pytest.raises(TimeoutError):
                await charger.read(0.8)
            release.set()
            assert [(await charger.read())[1] for _ in range(40)] == list(range(40))


async def test_nothing_is_asked_before_the_charger_was_answered_held_until(facts: Recorder) -> None:
    async with limited(facts, silence_seconds=60) as (listener, charger):
        await eventually(lambda: listener.registry.is_online("CP-1"))
        call = asyncio.create_task(remote(listener).unlock("CP-1", 1))
        await charger.write([2, "boot", "BootNotification", {}])
        assert (await charger.read())[1] == "boot"
        id = (await charger.read())[1]
        await charger.write([3, id, {"status": "Unlocked"}])
        assert await call is RemoteAnswer.Accepted


async def test_a_silent_charger_is_asked_after_a_while(facts: Recorder) -> None:
    async with limited(facts, silence_seconds=0.1) as (listener, charger):
        await eventually(lambda: listener.registry.is_online("CP-1"))
        call = asyncio.create_task(remote(listener).unlock("CP-1", 1))
        await charger.write([3, (await charger.read())[1], {"status": "Unlocked"}])
        assert await call is RemoteAnswer.Accepted


@pytest.mark.promise("S-49")
async def test_a_charger_that_sends_too_fast_is_read_slowly_and_loses_nothing(facts: Recorder) -> None:
    async with limited(facts, messages_per_second=50, burst=5, queued_calls=4) as (_, charger):
        began = time.monotonic()
        for number in range(30):
            await charger.write([2, number, "StatusNotification", status(number)])
        assert [(await charger.read())[1] for _ in range(30)] == list(range(30))
        assert time.monotonic() - began >= 0.45
    assert [fact.connector_id for fact in facts.statuses] == list(range(30))


async def test_what_was_read_before_the_socket_died_is_still_worked_off_before_the_next_socket_is(
    listener: Listener, facts: Recorder
) -> None:
    release = asyncio.Event()
    facts.hooks["status_reported"] = held_until(release)
    async with raw_charger(listener.port) as old:
        for number in range(3):
            await old.write([2, number, "StatusNotification", status(number)])
        await asyncio.wait_for(await old.socket.ping(), 5)
        old.socket.transport.abort()
    async with raw_charger(listener.port) as new:
        await new.write([2, "new", "Heartbeat", {}])
        with pytest.raises(TimeoutError):
            await new.read(0.3)
        assert facts.statuses == []
        release.set()
        assert (await new.read())[:2] == [3, "new"]
        assert [fact.connector_id for fact in facts.statuses] == [0, 1, 2]


async def test_a_start_whose_answer_the_dead_socket_cannot_take_is_told_before_the_next_socket_is_served(
    listener: Listener, facts: Recorder
) -> None:
    release = asyncio.Event()
    facts.hooks["started"] = held_until(release)
    async with raw_charger(listener.port) as old:
        await old.write([2, 1, "StartTransaction", START])
        await asyncio.wait_for(await old.socket.ping(), 5)
        old.socket.transport.abort()
    async with raw_charger(listener.port) as new:
        await new.write([2, "new", "Heartbeat", {}])
        release.set()
        assert (await new.read())[:2] == [3, "new"]
        assert facts.unheard
        facts.hooks.clear()
        await new.ask("StartTransaction", {**START, "connectorId": 2})
        await new.ask("Heartbeat", {})
    assert [start.connector_id for start in facts.unheard] == [1]


async def test_a_start_that_was_answered_with_an_error_was_not_heard(charger: RawCharger, facts: Recorder) -> None:
    async def away() -> None:
        raise ConnectionError("the answer of the database was lost")

    facts.hooks["started"] = away
    assert (await charger.ask("StartTransaction", START))[2] == "InternalError"
    assert (await charger.ask("StartTransaction", {"idTag": "T"}))[2] == "OccurenceConstraintViolation"
    await charger.ask("Heartbeat", {})
    assert [start.connector_id for start in facts.unheard] == [1]


async def test_a_start_that_is_given_up_with_its_socket_was_not_heard(facts: Recorder) -> None:
    facts.hooks["started"] = held_until(asyncio.Event())
    async with limited(facts, drain_seconds=0.2, answer_seconds=60) as (listener, charger):
        await charger.write([2, 1, "StartTransaction", START])
        await asyncio.wait_for(await charger.socket.ping(), 5)
        charger.socket.transport.abort()
        await eventually(lambda: not listener.registry.is_online("CP-1"))
        assert [start.connector_id for start in facts.unheard] == [1]


async def test_that_nobody_could_note_it_ends_no_conversation(charger: RawCharger, facts: Recorder) -> None:
    async def away() -> None:
        raise ConnectionError("the storage is away")

    facts.hooks.update(started=away, start_unheard=away)
    assert (await charger.ask("StartTransaction", START))[2] == "InternalError"
    assert (await charger.ask("Heartbeat", {}))[0] == 3


async def test_calls_that_pile_up_for_one_charger_are_refused(facts: Recorder) -> None:
    async with limited(facts, waiting_calls=2) as (listener, charger):
        await charger.ask("Heartbeat", {})
        calls = [asyncio.create_task(remote(listener, 0.5).unlock("CP-1", number)) for number in range(3)]
        done, _ = await asyncio.wait(calls, timeout=0.3)
        assert [call.result() for call in done] == [RemoteAnswer.NoAnswer]
        await asyncio.gather(*calls)


async def test_an_ended_conversation_takes_no_call() -> None:
    class Gone:
        async def wait_closed(self) -> None:
            await asyncio.Event().wait()

    rpc = Rpc("CP-1", Gone(), None, None, Limits())  # type: ignore[arg-type]
    rpc.fail_pending("gone")
    with pytest.raises(Disconnected):
        await rpc.call("Reset", {}, 1)


def held_until(release: asyncio.Event) -> Callable[[], Awaitable[None]]:
    async def wait() -> None:
        await release.wait()

    return wait


def status(connector_id: int) -> dict[str, Any]:
    return {"connectorId": connector_id, "status": "Available", "errorCode": "NoError"}


def remote(listener: Listener, seconds: float = 5) -> RemoteChargers:
    return RemoteChargers(listener.registry, seconds)
