"""The simulated charger against a real listener: its ledger equals the facts, whatever happens on the way."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from cpo_adapter.charging.events import Decision, RemoteAnswer, TokenAnswer
from cpo_adapter.csms.remote import RemoteChargers
from cpo_adapter.csms.socket import Listener
from cpo_adapter.simulator.charger import SimulatedCharger
from cpo_adapter.simulator.ledger import Charge, Ledger
from cpo_adapter.simulator.run import run
from cpo_adapter.simulator.settings import ChargerSettings
from tests.cpo_adapter.csms.conftest import QUICK
from tests.cpo_adapter.csms.recorder import PASSWORD, Recorder, eventually, now

FAST = ChargerSettings(
    sample_seconds=0.05, charge_wh=Decimal(30), backoff_seconds=(0.05, 0.2), repeat_seconds=0.05, patience_seconds=2
)  # 30 Wh at 350 kW: a third of a second


@pytest.fixture
def facts() -> Recorder:
    return Recorder()


@pytest.fixture
async def listener(facts: Recorder) -> AsyncIterator[Listener]:
    async with Listener(facts, now, QUICK) as listener:
        yield listener


def url(listener: Listener) -> str:
    return f"ws://127.0.0.1:{listener.port}/ocpp"


@asynccontextmanager
async def simulated(listener: Listener, **settings: Any) -> AsyncIterator[SimulatedCharger]:
    async with SimulatedCharger(url(listener), "CP-1", PASSWORD, replace(FAST, **settings)) as charger:
        await charger.wait_online(5)
        yield charger


def assert_told(facts: Recorder, charge: Charge | None) -> None:
    """The facts say of this charge what the ledger says: at least once, and nothing else."""
    assert charge is not None
    assert charge.wh is not None
    starts = {(fact.connector_id, fact.id_tag, fact.meter_start, fact.at) for fact in facts.starts}
    stops = {(fact.transaction_id, fact.meter_stop, fact.at, fact.reason) for fact in facts.stops}
    assert starts == {(charge.connector_id, charge.id_tag, charge.meter_start, charge.started_at)}
    assert stops == {(charge.transaction_id, charge.meter_stop, charge.stopped_at, charge.reason)}
    registers = [sample.value for fact in facts.samples for sample in fact.samples if sample.unit == "Wh"]
    assert registers == sorted(value for value in registers if value is not None)
    assert all(charge.meter_start <= value <= (charge.meter_stop or 0) for value in registers if value is not None)
    assert {fact.transaction_id for fact in facts.samples} == {charge.transaction_id}


async def test_the_ledger_equals_the_facts_received(listener: Listener, facts: Recorder) -> None:
    async with simulated(listener) as charger:
        await eventually(lambda: [fact for fact in facts.statuses if fact.connector_id == 1])
        charge = await charger.plug_in_and_charge("TAG-1")
        await charger.settle(5)
        await eventually(lambda: facts.statuses[-1].status == "Available" and facts.statuses[-1].connector_id == 1)
    assert_told(facts, charge)
    assert charge is not None
    assert charge.wh == 30
    assert charge.meter_start > 0
    assert charge.stopped_at is not None
    seconds = (charge.stopped_at - charge.started_at).total_seconds()
    assert seconds >= 30 / 350_000 * 3600
    assert facts.boots[0].model == "SIM-350"
    assert facts.tokens == ["TAG-1"]
    seen = [fact.status for fact in facts.statuses if fact.connector_id == 1]
    assert seen == ["Available", "Preparing", "Charging", "Finishing", "Available"]
    assert {fact.transaction_id for fact in facts.stops} == {1001}


async def test_power_is_reported_in_watts_beside_the_register(listener: Listener, facts: Recorder) -> None:
    async with simulated(listener, power_kw=Decimal("360.5")) as charger:
        await charger.plug_in_and_charge("TAG-1")
        await charger.settle(5)
    power, register = {}, {}
    for sample in facts.samples[0].samples:
        (power if sample.measurand == "Power.Active.Import" else register)[sample.unit] = sample.value
    assert power == {"W": Decimal("360500.0")}
    assert list(register) == ["Wh"]


async def test_a_refused_token_charges_nothing(listener: Listener, facts: Recorder) -> None:
    facts.token = TokenAnswer(Decision.Blocked)
    async with simulated(listener) as charger:
        assert await charger.plug_in_and_charge("TAG-1") is None
        assert charger.ledger.charges == []
    assert facts.starts == []


async def test_a_start_whose_token_is_refused_is_stopped_as_deauthorized(listener: Listener, facts: Recorder) -> None:
    facts.token = TokenAnswer(Decision.Invalid)
    async with simulated(listener) as charger:
        charge = await charger.plug_in_and_charge("TAG-1", authorize=False)
        await charger.settle(5)
    assert charge is not None
    assert (charge.reason, charge.transaction_id) == ("DeAuthorized", 1001)
    assert facts.stops[0].reason == "DeAuthorized"


async def test_a_parked_car_is_suspended_and_takes_no_energy(listener: Listener, facts: Recorder) -> None:
    async with simulated(listener) as charger:
        charge = await charger.plug_in_and_charge("TAG-1", parking_seconds=0.3)
        await charger.settle(5)
    assert_told(facts, charge)
    assert charge is not None
    assert charge.wh == 30
    assert "SuspendedEV" in [fact.status for fact in facts.statuses]
    assert facts.samples[-1].samples[-1].value == 0


async def test_a_remote_start_and_a_remote_stop_are_obeyed(listener: Listener, facts: Recorder) -> None:
    chargers = RemoteChargers(listener.registry, 5)
    async with simulated(listener, charge_wh=Decimal(100_000)) as charger:
        assert await chargers.remote_start("CP-1", 1, "REMOTE-1") is RemoteAnswer.Accepted
        assert await chargers.remote_start("CP-1", 1, "REMOTE-2") is RemoteAnswer.Rejected
        await eventually(lambda: facts.samples)
        assert await chargers.remote_stop("CP-1", 999) is RemoteAnswer.Rejected
        assert await chargers.remote_stop("CP-1", facts.answers.popitem()[1].transaction_id) is RemoteAnswer.Accepted
        await eventually(lambda: facts.stops)
        await charger.settle(5)
        assert_told(facts, charger.ledger.charges[0])
        assert charger.ledger.charges[0].reason == "Remote"
        assert await chargers.unlock("CP-1", 1) is RemoteAnswer.Accepted
        assert await chargers.unlock("CP-1", 7) is RemoteAnswer.NotSupported
        boots = len(facts.boots)
        assert await chargers.trigger("CP-1", "BootNotification") is RemoteAnswer.Accepted
        await eventually(lambda: len(facts.boots) > boots)
        assert await chargers.trigger("CP-1", "DiagnosticsStatusNotification") is RemoteAnswer.NotSupported
    assert await chargers.remote_start("CP-1", 1, "x" * 21) is RemoteAnswer.Failed


async def test_an_action_that_is_not_simulated_is_not_supported(listener: Listener, facts: Recorder) -> None:
    async with simulated(listener):
        rpc = listener.registry.find("CP-1")
        assert rpc is not None
        with pytest.raises(Exception, match="NotImplemented"):
            await rpc.call("GetDiagnostics", {"location": "ftp://x"}, 5)


@pytest.mark.rule("F-47")
@pytest.mark.parametrize("action", ["StartTransaction", "MeterValues", "StopTransaction"])
@pytest.mark.parametrize("fault", ["cut_before", "cut_after", "duplicate", "truncate"])
async def test_the_ledger_equals_the_facts_whatever_goes_wrong(
    listener: Listener, facts: Recorder, fault: str, action: str
) -> None:
    async with simulated(listener) as charger:
        charger.faults.order(fault, action)
        charge = await charger.plug_in_and_charge("TAG-1")
        await charger.settle(10)
        times = charger.connections
    assert_told(facts, charge)
    if fault.startswith("cut"):
        assert times == 2
    told: dict[str, list[Any]] = {"StartTransaction": facts.starts, "StopTransaction": facts.stops}
    if fault in ("duplicate", "cut_after") and action in told:
        assert len(told[action]) == 2
    assert len(facts.answers) == 1


@pytest.mark.rule("F-47")
async def test_what_happens_offline_is_told_later_in_order_with_its_own_times(
    listener: Listener, facts: Recorder
) -> None:
    async with simulated(listener) as charger:
        await charger.go_offline()
        charges = [await charger.plug_in_and_charge(tag) for tag in ("TAG-1", "TAG-2")]
        back_at = now()
        assert facts.starts == []
        charger.come_back()
        await charger.settle(10)
    assert [fact.id_tag for fact in facts.starts] == ["TAG-1", "TAG-2"]
    for charge, start, stop in zip(charges, facts.starts, facts.stops, strict=True):
        assert charge is not None
        assert (start.at, start.meter_start) == (charge.started_at, charge.meter_start)
        assert (stop.at, stop.meter_stop, stop.transaction_id) == (
            charge.stopped_at,
            charge.meter_stop,
            charge.transaction_id,
        )
        assert stop.at < back_at < stop.received_at
    assert charges[0] is not None
    assert facts.starts[1].meter_start == charges[0].meter_stop


async def test_a_message_that_could_not_be_stored_is_repeated_until_it_is(listener: Listener, facts: Recorder) -> None:
    failures = [1, 2, 3]

    async def away() -> None:
        if failures:
            failures.pop()
            raise ConnectionError("the storage is away")

    facts.hooks.update(started=away, stopped=away)
    async with simulated(listener) as charger:
        charge = await charger.plug_in_and_charge("TAG-1")
        await charger.settle(10)
    assert failures == []
    assert_told(facts, charge)


async def test_a_charger_that_is_killed_tells_after_its_restart_what_it_owed(
    listener: Listener, facts: Recorder, tmp_path: Path
) -> None:
    async with simulated(listener, state=tmp_path, charge_wh=Decimal(100_000)) as charger:
        charger.spawn(charger.plug_in_and_charge("TAG-1"))
        await eventually(lambda: len(facts.samples) > 2)
        await charger.go_offline()
        await asyncio.sleep(0)
    assert facts.stops == []
    async with simulated(listener, state=tmp_path) as charger:
        await charger.settle(5)
        charge = charger.ledger.charges[0]
    assert charge.reason == "PowerLoss"
    assert_told(facts, charge)
    assert [(vars(line)) for line in Ledger(tmp_path / "CP-1.ledger.jsonl").charges] == [vars(charge)]
    assert json.loads((tmp_path / "CP-1.queue.json").read_text()) == []


async def test_the_charger_comes_back_when_the_listener_does(facts: Recorder) -> None:
    async with Listener(facts, now, QUICK) as listener:
        port = listener.port
        charger = SimulatedCharger(url(listener), "CP-1", PASSWORD, FAST)
        await charger.start()
        await charger.wait_online(5)
    await eventually(lambda: not charger.is_online)
    async with Listener(facts, now, replace(QUICK, port=port)):
        await charger.wait_online(5)
        await charger.stop()
    assert len(facts.boots) == 2


async def test_two_connectors_charge_at_once(listener: Listener, facts: Recorder) -> None:
    async with simulated(listener, connectors=2) as charger:
        charges = await asyncio.gather(*(charger.plug_in_and_charge(f"TAG-{id}", id) for id in (1, 2)))
        with pytest.raises(KeyError):
            await charger.plug_in_and_charge("TAG-3", 3)
        await charger.settle(5)
    assert {charge.transaction_id for charge in charges if charge} == {1001, 1002}
    by_id = {stop.transaction_id: stop.meter_stop for stop in facts.stops}
    assert by_id == {charge.transaction_id: charge.meter_stop for charge in charges if charge}


async def test_the_command_charges_and_tells(listener: Listener, facts: Recorder) -> None:
    told: list[str] = []
    tell: Callable[[str], None] = told.append
    charges = await run(
        url(listener),
        "CP-1",
        PASSWORD,
        FAST,
        id_tag="TAG-1",
        charge_wh=Decimal(20),
        faults=["duplicate:StopTransaction"],
        tell=tell,
    )
    assert [charge.wh for charge in charges] == [20]
    assert len(facts.stops) == 2
    assert "20 Wh" in told[-1]
    with pytest.raises(ValueError, match="explode"):
        await run(url(listener), "CP-1", PASSWORD, FAST, id_tag="TAG-1", faults=["explode:StopTransaction"])
