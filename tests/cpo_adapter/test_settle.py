"""Transactions whose stop never comes, and those no CDR can be right for, with a clock of the test."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import asyncpg
import pytest

from cpo_adapter.app import Adapter, create_adapter
from cpo_adapter.charging.events import Decision, Sample, Sampled, Started, StatusReported, Stopped
from cpo_adapter.csms import facts16
from cpo_adapter.storage import outbox_repository as outbox
from cpo_adapter.storage import token_repository
from cpo_adapter.storage.engine import Connection
from ocpi_modules import json
from ocpi_modules.types import format_datetime
from tests.cpo_adapter.fake_hub import EMSP
from tests.cpo_adapter.running_adapter import settings_of, token
from tests.cpo_adapter.still_adapter import Clock, at, facts_of, sampled, started, states
from tests.support.postgres import FreshDatabase


async def test_an_open_transaction_is_given_up_a_day_after_the_next_one_began(
    adapter: Adapter, adapter_database: FreshDatabase, clock: Clock
) -> None:
    facts = facts_of(adapter)
    number = (await facts.started(started())).transaction_id
    await facts.sampled(sampled(number, 10, 3000))
    clock.now = at(60)
    await facts.started(started(60, 4000))
    clock.now = at(60) + timedelta(hours=23)
    await adapter.settler.settle_due()
    assert await states(adapter_database) == [("OPEN", None), ("OPEN", None)]
    clock.now = at(60) + timedelta(hours=25)
    await adapter.settler.settle_due()
    clock.now += timedelta(minutes=2)
    await adapter.settler.settle_due()
    (first, _), (second, _) = await states(adapter_database)
    assert (first, second) == ("DONE", "OPEN")


async def test_a_free_connector_ends_its_forgotten_transaction_after_a_day(
    adapter: Adapter, adapter_database: FreshDatabase, clock: Clock
) -> None:
    facts = facts_of(adapter)
    number = (await facts.started(started())).transaction_id
    await facts.sampled(sampled(number, 10, 3000))
    await facts.status_reported(StatusReported("CP-1", 1, "Available", at(20), at(20)))
    clock.now = at(20) + timedelta(hours=23)
    await adapter.settler.settle_due()
    assert await states(adapter_database) == [("OPEN", None)]
    clock.now = at(20) + timedelta(hours=25)
    await adapter.settler.settle_due()
    clock.now += timedelta(minutes=2)
    await adapter.settler.settle_due()
    assert await states(adapter_database) == [("DONE", None)]


async def test_energy_no_connector_can_deliver_is_held_and_not_billed(
    adapter: Adapter, adapter_database: FreshDatabase, clock: Clock
) -> None:
    facts = facts_of(adapter)
    number = (await facts.started(started())).transaction_id
    await facts.stopped(Stopped("CP-1", number, Decimal(99_000_000), at(5), at(5)))
    clock.now = at(10)
    await adapter.settler.settle_due()
    ((state, reason),) = await states(adapter_database)
    assert state == "HELD"
    assert reason is not None
    assert "more energy than the connector can deliver" in reason


async def test_a_second_stop_with_other_values_makes_no_second_cdr(
    adapter: Adapter, adapter_database: FreshDatabase, clock: Clock
) -> None:
    facts = facts_of(adapter)
    number = (await facts.started(started())).transaction_id
    await facts.stopped(Stopped("CP-1", number, Decimal(3000), at(5), at(5)))
    clock.now = at(6)
    await adapter.settler.settle_due()
    await facts.stopped(Stopped("CP-1", number, Decimal(4000), at(7), at(7)))
    await adapter.settler.settle_due()
    connection = await asyncpg.connect(adapter_database.admin_dsn)
    try:
        bodies = [row["body"] for row in await connection.fetch("SELECT body FROM cdr")]
        kept = await connection.fetchval("SELECT count(*) FROM fact")
    finally:
        await connection.close()
    assert [json.decode(body)["total_energy"] for body in bodies] == [2]
    assert kept == 3


async def test_a_charger_whose_clock_stands_still_gets_a_transaction_for_each_charge(
    adapter: Adapter, clock: Clock, adapter_database: FreshDatabase
) -> None:
    """Same tag, same meter, same 1970: only a start that was not stopped is the same one (R18, R23)."""
    facts, stuck = facts_of(adapter), datetime(1970, 1, 1, tzinfo=UTC)
    numbers = []
    for minutes in (0, 60):
        clock.now = at(minutes)
        start = Started("CP-1", 1, "DRIVER01", Decimal(0), stuck, clock.now)
        number = (await facts.started(start)).transaction_id
        assert (await facts.started(start)).transaction_id == number
        clock.now = at(minutes + 30)
        await facts.stopped(Stopped("CP-1", number, Decimal(5000), stuck, clock.now))
        clock.now = at(minutes + 40)
        await adapter.settler.settle_due()
        numbers.append(number)
    assert len(set(numbers)) == 2
    assert [state for state, _ in await states(adapter_database)] == ["DONE", "DONE"]


async def test_a_start_and_a_stop_without_a_readable_time_are_one_charge_and_said_to_be_corrected(
    adapter: Adapter, clock: Clock, adapter_database: FreshDatabase
) -> None:
    """The arrival stands in for the time; sent again it is the same start, and the CDR says so (R18, R23)."""
    facts = facts_of(adapter)
    start = {"connectorId": 1, "idTag": "DRIVER01", "meterStart": 0}
    clock.now = at(0)
    number = (await facts.started(facts16.started("CP-1", start, at(0)))).transaction_id
    assert (await facts.started(facts16.started("CP-1", start, at(1)))).transaction_id == number
    for minutes in (180, 181):
        stop = {"transactionId": number, "meterStop": 5000, "timestamp": "yesterday"}
        await facts.stopped(facts16.stopped("CP-1", stop, at(minutes)))
    clock.now = at(190)
    await adapter.settler.settle_due()
    await adapter.settler.settle_due()
    assert await states(adapter_database) == [("DONE", None)]
    async with adapter.database.connection() as connection:
        rows = await outbox.documents(connection, "cdrs", str(EMSP), None, None, 0, 10)
    assert [json.decode(row["body"])["remark"] for row in rows] == ["time corrected"]


@pytest.mark.parametrize(
    ("behind", "start_waited", "remark", "started_at"),
    [(-5, 0, "time corrected", at(0)), (-5, 90, None, at(-300)), (-0.7, 0, None, at(-42))],
)
async def test_local_time_sent_as_utc_is_set_right_when_start_and_stop_were_live(
    adapter: Adapter, clock: Clock, behind: float, start_waited: int, remark: str | None, started_at: datetime
) -> None:
    """Five hours behind from start to stop is a zone; a start that waited, and 42 minutes, are none (R23)."""
    facts, hours = facts_of(adapter), timedelta(hours=behind)
    clock.now = at(start_waited)
    begun = replace(started(), at=at(0) + hours, received_at=clock.now)
    number = (await facts.started(begun)).transaction_id
    clock.now = at(60)
    sample = Sample(at(30) + hours, "Energy.Active.Import.Register", Decimal(3000), "Wh", "3000")
    await facts.sampled(Sampled("CP-1", 1, number, (sample,), at(30)))
    await facts.stopped(Stopped("CP-1", number, Decimal(6000), at(60) + hours, at(60) + timedelta(seconds=20)))
    await adapter.settler.settle_due()
    clock.now = at(120)
    await adapter.settler.settle_due()
    async with adapter.database.connection() as connection:
        documents = [
            await outbox.documents(connection, name, str(EMSP), None, None, 0, 10) for name in ("sessions", "cdrs")
        ]
    session, cdr = (json.decode(rows[0]["body"]) for rows in documents)
    assert session["start_date_time"] == cdr["start_date_time"] == format_datetime(started_at)
    assert cdr["end_date_time"] == format_datetime(started_at + timedelta(hours=1))
    assert (cdr.get("remark"), cdr["total_energy"]) == (remark, 5)


async def test_a_stop_without_its_number_sent_again_ends_no_other_transaction(
    adapter: Adapter, clock: Clock, adapter_database: FreshDatabase
) -> None:
    """The answer to it was lost; by then the same tag charges at the other connector (R20, R21)."""
    facts = facts_of(adapter)
    await facts.started(started())
    clock.now = at(30)
    stop = Stopped("CP-1", -1, Decimal(6000), at(30), at(30), "DRIVER01")
    await facts.stopped(stop)
    other = await facts.started(started(20, 2000, connector_id=2))
    await facts.stopped(replace(stop, received_at=at(32)))
    await adapter.settler.settle_due()
    await adapter.settler.settle_due()
    await facts.stopped(replace(stop, received_at=at(33)))
    assert await states(adapter_database) == [("DONE", None), ("OPEN", None)]
    await facts.stopped(Stopped("CP-1", other.transaction_id, Decimal(9000), at(60), at(60), "DRIVER01"))
    connection = await asyncpg.connect(adapter_database.admin_dsn)
    assert await connection.fetchval("SELECT count(*) FROM unmatched_fact") == 0
    await connection.close()


@pytest.mark.promise("S-48")
async def test_a_charger_cannot_stop_the_transaction_of_another(adapter: Adapter, clock: Clock) -> None:
    facts = facts_of(adapter)
    number = (await facts.started(started())).transaction_id
    await facts.stopped(Stopped("CP-2", number, Decimal(3000), at(5), at(5)))
    live = adapter.transactions.by_number("cp-1", number)
    assert live is not None
    assert live.state == "OPEN"


async def test_what_was_committed_without_our_knowing_it_counts(
    adapter: Adapter, adapter_database: FreshDatabase, tmp_path: Path, clock: Clock
) -> None:
    """Another adapter stands for the one whose answer from the database was lost."""
    other = await create_adapter(settings_of(adapter_database, tmp_path), clock)
    try:
        answer = await facts_of(other).started(started())
        assert await facts_of(adapter).started(started()) == answer
        number = answer.transaction_id
        await facts_of(other).sampled(sampled(number, 2, 1500))
        stop = Stopped("CP-1", number, Decimal(3000), at(5), at(5))
        await facts_of(other).stopped(stop)
    finally:
        await other.close()
    await facts_of(adapter).sampled(sampled(number, 2, 1500))
    await facts_of(adapter).stopped(stop)
    clock.now = at(6)
    await adapter.settler.settle_due()
    assert await states(adapter_database) == [("DONE", None)]
    connection = await asyncpg.connect(adapter_database.admin_dsn)
    try:
        bodies = [row["body"] for row in await connection.fetch("SELECT body FROM cdr")]
    finally:
        await connection.close()
    assert [json.decode(body)["total_energy"] for body in bodies] == [2]


async def test_a_stop_that_comes_while_the_session_is_told_is_told_before_the_cdr(
    adapter: Adapter, adapter_database: FreshDatabase, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = facts_of(adapter)
    number = (await facts.started(started())).transaction_id
    await facts.sampled(sampled(number, 10, 3000))
    clock.now = at(10)
    read = outbox.document

    async def read_while_the_charger_stops(connection: Connection, module: str, key: str) -> object:
        monkeypatch.setattr(outbox, "document", read)
        await facts.stopped(Stopped("CP-1", number, Decimal(3000), at(10), at(10)))
        return await read(connection, module, key)

    monkeypatch.setattr(outbox, "document", read_while_the_charger_stops)
    for _ in range(3):
        await adapter.settler.settle_due()
    assert await states(adapter_database) == [("DONE", None)]
    async with adapter.database.connection() as connection:
        rows = await connection.fetch("SELECT body FROM document WHERE module = 'sessions'")
    assert [json.decode(row["body"])["status"] for row in rows] == ["COMPLETED"]


async def charged_offline(
    adapter: Adapter, clock: Clock, tag: str, *, waited: int = 120, reason: str = "Local"
) -> Decision:
    """A charge from 0 to 60 minutes, reported when it is long over (or, with 0, while it goes on); what its start was told."""
    facts = facts_of(adapter)
    clock.now = at(waited)
    answer = await facts.started(replace(started(), id_tag=tag, received_at=clock.now))
    await facts.sampled(sampled(answer.transaction_id, 30, 3000))
    await facts.stopped(Stopped("CP-1", answer.transaction_id, Decimal(6000), at(60), clock.now, reason=reason))
    for minutes in (150, 151):
        clock.now = at(minutes)
        await adapter.settler.settle_due()
    return answer.token.decision


async def told_of(adapter: Adapter) -> list[dict[str, object]]:
    """Every session and CDR that is for anybody."""
    async with adapter.database.connection() as connection:
        rows = await connection.fetch("SELECT body FROM document ORDER BY module DESC")
    return [json.decode(row["body"]) for row in rows]


async def block(adapter: Adapter) -> None:
    async with adapter.database.connection() as connection:
        blocked = json.encode(token(valid=False))
        await token_repository.put_token(connection, "DE", "EMS", "driver01", "APP_USER", blocked, at(90))


async def test_a_charge_of_an_offline_time_is_billed_also_when_its_token_is_blocked_by_now(
    adapter: Adapter, adapter_database: FreshDatabase, clock: Clock
) -> None:
    """It happened, and whose it is is known (R32)."""
    await block(adapter)
    assert await charged_offline(adapter, clock, "DRIVER01") is Decision.Blocked
    assert await states(adapter_database) == [("DONE", None)]
    session, cdr = await told_of(adapter)
    assert (session["status"], cdr["total_energy"]) == ("COMPLETED", 5)


async def test_a_charge_that_went_on_until_its_token_was_refused_waits_for_an_operator(
    adapter: Adapter, adapter_database: FreshDatabase, clock: Clock
) -> None:
    """So does one of a charger whose clock is behind, which only seems to have been offline (R32, R33)."""
    await block(adapter)
    await charged_offline(adapter, clock, "DRIVER01", reason="DeAuthorized")
    ((state, reason),) = await states(adapter_database)
    assert (state, "its token was refused" in (reason or "")) == ("HELD", True)


async def test_a_blocked_token_that_charges_now_is_refused_and_not_billed(
    adapter: Adapter, adapter_database: FreshDatabase, clock: Clock
) -> None:
    """R33."""
    await block(adapter)
    assert await charged_offline(adapter, clock, "DRIVER01", waited=0) is Decision.Blocked
    assert await states(adapter_database) == [("REFUSED", None)]
    assert await told_of(adapter) == []


@pytest.mark.parametrize("tag", ["NOBODYS", ""])
async def test_a_charge_of_an_offline_time_whose_token_nobody_knows_waits_for_an_operator_with_all_its_facts(
    adapter: Adapter, adapter_database: FreshDatabase, clock: Clock, tag: str
) -> None:
    """R32: whose session it is cannot be told, so that nobody is told of it."""
    assert await charged_offline(adapter, clock, tag) is Decision.Invalid
    ((state, reason),) = await states(adapter_database)
    assert (state, "a token that nobody here knows" in (reason or "")) == ("HELD", True)
    assert await told_of(adapter) == []
    async with adapter.database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM fact") == 3
