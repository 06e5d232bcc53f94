"""A charger that never heard its transaction's number, and whose bill its stop is (R20, R21, R42)."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from cpo_adapter.app import Adapter, create_adapter
from cpo_adapter.charging.events import Sampled, Started, Stopped
from cpo_adapter.facts import StoredFacts
from ocpi_modules import json
from ocpi_modules.message import OcpiRequest, OcpiResponse
from ocpi_modules.spec import ModuleID
from tests.cpo_adapter.csms.recorder import RawCharger, raw_charger
from tests.cpo_adapter.csms.recorder import eventually as becomes
from tests.cpo_adapter.fake_hub import FakeHub, now
from tests.cpo_adapter.running_adapter import eventually, joined_adapter, running_adapter, settings_of
from tests.cpo_adapter.still_adapter import Clock, at, facts_of, sampled, started, states
from tests.cpo_adapter.test_faults import put_token
from tests.support.postgres import FreshDatabase

STOP = Stopped("CP-1", -1, Decimal(6000), at(60), at(60))


async def unheard(facts: StoredFacts, start: Started) -> int:
    """The number of a start whose answer the charger did not get."""
    number = (await facts.started(start)).transaction_id
    await facts.start_unheard(start)
    return number


def invented(number: int, minutes: float, value: int, connector_id: int = 1) -> Sampled:
    return replace(sampled(number, minutes, value), connector_id=connector_id)


async def unmatched(adapter: Adapter) -> int:
    async with adapter.database.connection() as connection:
        return int(await connection.fetchval("SELECT count(*) FROM unmatched_fact"))


async def billed(adapter: Adapter) -> list[Decimal]:
    async with adapter.database.connection() as connection:
        rows = await connection.fetch("SELECT body FROM cdr")
    return [json.decode(row["body"])["total_energy"] for row in rows]


@pytest.mark.parametrize("number", [0, -1, 777, 4_294_967_295, 10**20])
async def test_a_stop_without_a_tag_ends_the_transaction_whose_number_was_never_heard(
    adapter: Adapter, adapter_database: FreshDatabase, clock: Clock, number: int
) -> None:
    facts = facts_of(adapter)
    await unheard(facts, started())
    clock.now = at(60)
    await facts.sampled(invented(number, 30, 3000))
    for _ in range(2):
        await facts.stopped(replace(STOP, transaction_id=number))
    for _ in range(2):
        await adapter.settler.settle_due()
    await facts.stopped(replace(STOP, transaction_id=number, received_at=at(70)))
    assert await states(adapter_database) == [("DONE", None)]
    assert (await billed(adapter), await unmatched(adapter)) == ([5], 0)
    await facts.stopped(replace(STOP, transaction_id=number, meter_stop=Decimal(7000)))
    assert await unmatched(adapter) == 1


async def test_that_it_was_never_heard_outlives_a_restart(
    adapter: Adapter, adapter_database: FreshDatabase, tmp_path: Path, clock: Clock
) -> None:
    await unheard(facts_of(adapter), started())
    await facts_of(adapter).sampled(invented(777, 30, 3000))
    other = await create_adapter(settings_of(adapter_database, tmp_path), clock)
    try:
        await other.transactions.load()
        clock.now = at(60)
        await facts_of(other).stopped(replace(STOP, transaction_id=778))
        assert (await states(adapter_database), await unmatched(other)) == ([("OPEN", None)], 1)
        await facts_of(other).stopped(replace(STOP, transaction_id=777))
        for _ in range(2):
            await other.settler.settle_due()
    finally:
        await other.close()
    assert (await states(adapter_database), await billed(adapter)) == ([("DONE", None)], [5])


async def it_was_heard(facts: StoredFacts) -> None:
    await facts.started(started())


async def the_start_was_sent_again_and_answered(facts: StoredFacts) -> None:
    await unheard(facts, started())
    await facts.started(started())


async def its_number_came_with_samples(facts: StoredFacts) -> None:
    await facts.sampled(sampled(await unheard(facts, started()), 10, 2000))


async def its_samples_came_under_another_invented_number(facts: StoredFacts) -> None:
    await unheard(facts, started())
    await facts.sampled(invented(777, 10, 2000))


async def one_fits_at_the_other_connector_too(facts: StoredFacts) -> None:
    await unheard(facts, started())
    await facts.started(started(10, 3000, connector_id=2))


async def one_at_the_other_connector_was_not_heard_either(facts: StoredFacts) -> None:
    await unheard(facts, started())
    await unheard(facts, started(10, 3000, connector_id=2))


async def a_start_of_the_same_connector_was_stamped_anew(facts: StoredFacts) -> None:
    await unheard(facts, started())
    await unheard(facts, started(1))


async def a_refused_start_was_not_heard_either(facts: StoredFacts) -> None:
    await unheard(facts, started())
    await unheard(facts, replace(started(10, 3000, connector_id=2), id_tag="NOBODYS"))


async def it_began_after_the_stop(facts: StoredFacts) -> None:
    await unheard(facts, started(61))


async def it_began_with_more_than_the_stop_reads(facts: StoredFacts) -> None:
    await unheard(facts, started(0, 6001))


async def its_own_meter_was_not_known(facts: StoredFacts) -> None:
    await unheard(facts, started(0, -1))


@pytest.mark.parametrize(
    "before",
    [
        it_was_heard,
        the_start_was_sent_again_and_answered,
        its_number_came_with_samples,
        its_samples_came_under_another_invented_number,
        one_fits_at_the_other_connector_too,
        one_at_the_other_connector_was_not_heard_either,
        a_start_of_the_same_connector_was_stamped_anew,
        a_refused_start_was_not_heard_either,
        it_began_after_the_stop,
        it_began_with_more_than_the_stop_reads,
        its_own_meter_was_not_known,
    ],
)
async def test_a_stop_that_may_be_anothers_is_kept_for_an_operator(
    adapter: Adapter, adapter_database: FreshDatabase, clock: Clock, before: Callable[[StoredFacts], Awaitable[None]]
) -> None:
    clock.now = at(5)
    await before(facts_of(adapter))
    clock.now = at(62)
    await facts_of(adapter).stopped(STOP)
    assert {state for state, _ in await states(adapter_database)} <= {"OPEN", "REFUSED"}
    assert (await billed(adapter), await unmatched(adapter)) == ([], 1)


@pytest.mark.parametrize("tag", ["SOMEBODY", "DRIVER02"])
async def test_a_stop_with_another_tag_ends_nothing(adapter: Adapter, clock: Clock, tag: str) -> None:
    await unheard(facts_of(adapter), started())
    clock.now = at(60)
    await facts_of(adapter).stopped(replace(STOP, id_tag=tag))
    assert await unmatched(adapter) == 1


async def test_a_refused_start_stands_in_the_way_only_until_its_connector_begins_another(
    adapter: Adapter, adapter_database: FreshDatabase, clock: Clock
) -> None:
    facts = facts_of(adapter)
    await unheard(facts, replace(started(), id_tag="NOBODYS"))
    await unheard(facts, started(10))
    clock.now = at(60)
    await facts.stopped(STOP)
    assert [state for state, _ in await states(adapter_database)] == ["REFUSED", "STOPPED"]


async def test_samples_under_an_invented_number_show_how_far_it_is_and_decide_nothing(
    adapter: Adapter, adapter_database: FreshDatabase, clock: Clock
) -> None:
    """The only open transaction of the connector, whose number was not heard (R42)."""
    facts = facts_of(adapter)
    await unheard(facts, started())
    clock.now = at(30)
    await facts.sampled(invented(777, 30, 3000))
    await facts.sampled(invented(777, 30, 9000, connector_id=2))
    await adapter.settler.settle_due()
    async with adapter.database.connection() as connection:
        body = await connection.fetchval("SELECT body FROM document WHERE module = 'sessions'")
    assert json.decode(body)["kwh"] == 2
    await facts.sampled(invented(777, 59, 60_000))
    clock.now = at(60)
    await facts.stopped(replace(STOP, transaction_id=777))
    for _ in range(2):
        await adapter.settler.settle_due()
    assert await billed(adapter) == [5]


async def test_samples_under_a_strange_number_are_left_out_where_the_right_one_was_heard_or_is_another_ones(
    adapter: Adapter, clock: Clock
) -> None:
    facts = facts_of(adapter)
    first = (await facts.started(started())).transaction_id
    clock.now = at(5)
    await facts.sampled(invented(777, 4, 2000))
    await facts.stopped(Stopped("CP-1", first, Decimal(3000), at(5), at(5)))
    for _ in range(2):
        await adapter.settler.settle_due()
    await unheard(facts, started(6, 3000))
    await facts.sampled(invented(first, 7, 3100))
    (live,) = adapter.transactions.all()
    assert (live.transaction.information, live.transaction.numbers_used) == ((), frozenset())


class HubThatCutsTheCharger(FakeHub):
    """While it is asked about a token the charger's socket dies, and the adapter notices."""

    charger: RawCharger
    noticed: Callable[[], object]

    async def handle(self, request: OcpiRequest) -> OcpiResponse:
        if request.module is ModuleID.tokens:
            self.charger.socket.transport.abort()
            await becomes(self.noticed)
        return await super().handle(request)


async def test_a_charger_cut_off_before_its_start_is_answered_is_billed_by_its_stop_after_a_restart(
    adapter_database: FreshDatabase, tmp_path: Path
) -> None:
    settings = settings_of(adapter_database, tmp_path)
    async with HubThatCutsTheCharger(authorization={"allowed": "ALLOWED"}) as hub:
        async with joined_adapter(settings, hub) as adapter:
            await put_token(hub, whitelist="NEVER")
            async with raw_charger(adapter.ocpp.port) as charger:
                await becomes(lambda: adapter.ocpp.registry.is_online("CP-1"))
                rpc = adapter.ocpp.registry.find("CP-1")
                hub.charger, hub.noticed = charger, lambda: rpc is None or rpc._ended
                start = {"connectorId": 1, "idTag": "DRIVER01", "meterStart": 1000, "timestamp": now().isoformat()}
                await charger.write([2, "start", "StartTransaction", start])
                await becomes(lambda: not adapter.ocpp.registry.is_online("CP-1"))
        async with running_adapter(settings) as adapter, raw_charger(adapter.ocpp.port) as charger:
            until = (now() + timedelta(seconds=4)).isoformat()
            stop = {"transactionId": 777, "meterStop": 2000, "timestamp": until, "reason": "EVDisconnected"}
            assert (await charger.ask("StopTransaction", stop))[2] == {}
            cdr = (await eventually(lambda: hub.of("cdrs")))[0].document
    assert (cdr["total_energy"], cdr["cdr_token"]["uid"]) == (1, "DRIVER01")
