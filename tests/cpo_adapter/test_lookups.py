"""A charge of an offline time whose token nobody knew, and what becomes of it when somebody does (R32)."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from cpo_adapter.app import Adapter, create_adapter
from cpo_adapter.charging.events import Stopped
from cpo_adapter.storage import charge_repository, token_repository
from cpo_adapter.storage.engine import DatabaseAway
from ocpi_modules import json
from ocpi_modules.types import format_datetime
from tests.cpo_adapter.running_adapter import settings_of, token
from tests.cpo_adapter.still_adapter import Clock, at, facts_of, started, states
from tests.support.postgres import FreshDatabase

HELD_AT = 120


async def held(adapter: Adapter, clock: Clock, tag: str = "CARD77", reason: str = "Local") -> None:
    """A charge from 0 to 60 minutes with `tag`, reported and held at 120."""
    facts, clock.now = facts_of(adapter), at(HELD_AT)
    number = (await facts.started(replace(started(), id_tag=tag, received_at=clock.now))).transaction_id
    await facts.stopped(Stopped("CP-1", number, Decimal(6000), at(60), clock.now, reason=reason))
    for _ in range(2):
        await adapter.settler.settle_due()


async def push_token(adapter: Adapter, **fields: Any) -> None:
    document = token(uid="Card77", type="RFID", **fields)
    async with adapter.database.connection() as connection:
        owner = document["country_code"], document["party_id"]
        await token_repository.put_token(connection, *owner, "card77", "RFID", json.encode(document), at(HELD_AT))


async def look(adapter: Adapter, clock: Clock, minutes: float) -> None:
    """One round of each loop so many minutes after it was held."""
    clock.now = at(HELD_AT + minutes)
    await adapter.lookups.look_up_due()
    for _ in range(2):
        await adapter.settler.settle_due()


async def told(adapter: Adapter) -> list[dict[str, Any]]:
    async with adapter.database.connection() as connection:
        rows = await connection.fetch("SELECT body FROM document ORDER BY module DESC")
    return [json.decode(row["body"]) for row in rows]


async def due_at(adapter: Adapter) -> datetime | None:
    async with adapter.database.connection() as connection:
        at: datetime | None = await connection.fetchval("SELECT look_up_at FROM charge")
    return at


@pytest.mark.parametrize("valid", [True, False])
async def test_it_is_told_and_billed_once_its_token_is_known_also_a_blocked_one(
    adapter: Adapter, adapter_database: FreshDatabase, clock: Clock, valid: bool
) -> None:
    await held(adapter, clock)
    await look(adapter, clock, 1)
    assert await told(adapter) == []
    assert "next look at" in (await adapter.held.listed(1))[0]["way_out"]
    await push_token(adapter, valid=valid)
    await look(adapter, clock, 1.5)
    assert await told(adapter) == []
    await look(adapter, clock, 3)
    session, cdr = await told(adapter)
    assert (session["status"], cdr["total_energy"], cdr["cdr_token"]["uid"]) == ("COMPLETED", 5, "Card77")
    assert (await states(adapter_database), await due_at(adapter)) == ([("DONE", None)], None)
    await look(adapter, clock, 60)
    async with adapter.database.connection() as connection:
        pushed = await connection.fetch("SELECT receiver, module FROM push ORDER BY module")
    assert [tuple(row) for row in pushed] == [("DE*EMS", "cdrs"), ("DE*EMS", "sessions")]


async def test_it_is_looked_up_ever_more_seldom_and_not_for_ever(adapter: Adapter, clock: Clock) -> None:
    await held(adapter, clock)
    pauses, looks = [], 0
    while (due := await due_at(adapter)) is not None and looks < 200:
        pauses.append((due - clock.now) // timedelta(minutes=1))
        await look(adapter, clock, (due - at(HELD_AT)) / timedelta(minutes=1))
        looks += 1
    assert pauses[:9] == [1, 1, 2, 4, 8, 16, 32, 60, 60]
    assert timedelta(days=6, hours=22) < clock.now - at(HELD_AT) <= timedelta(days=7)
    assert looks < 200
    await push_token(adapter)
    await look(adapter, clock, 60 * 24 * 8)
    assert await told(adapter) == []
    assert (await adapter.held.listed(1))[0]["way_out"].startswith("Find out which eMSP")


async def test_nobody_is_billed_where_two_parties_have_the_token(adapter: Adapter, clock: Clock) -> None:
    await held(adapter, clock)
    await push_token(adapter)
    await push_token(adapter, party_id="OTH")
    await look(adapter, clock, 1)
    assert await told(adapter) == []


@pytest.mark.parametrize(("changed", "billed"), [(at(0), True), (at(0.1), False)], ids=["before", "after"])
async def test_nobody_is_billed_by_a_token_that_was_changed_after_the_charge_began(
    adapter: Adapter, clock: Clock, changed: datetime, billed: bool
) -> None:
    """It may have been issued, or given to somebody else, since."""
    await held(adapter, clock)
    await push_token(adapter, last_updated=format_datetime(changed))
    await look(adapter, clock, 1)
    assert bool(await told(adapter)) is billed


async def test_a_start_allowed_since_does_not_say_who_charged_before(adapter: Adapter, clock: Clock) -> None:
    await held(adapter, clock)
    await adapter.commander._authorizer.expect("cp-1", "CARD77", token(uid="CARD77"), "COMMAND", None)
    await look(adapter, clock, 1)
    assert await told(adapter) == []


@pytest.mark.parametrize("tag", ["", " "])
async def test_a_charge_without_a_tag_is_not_looked_up(adapter: Adapter, clock: Clock, tag: str) -> None:
    await held(adapter, clock, tag)
    assert await due_at(adapter) is None


async def test_one_that_stopped_because_it_was_refused_stays_held(
    adapter: Adapter, adapter_database: FreshDatabase, clock: Clock
) -> None:
    await held(adapter, clock, reason="DeAuthorized")
    await push_token(adapter)
    await look(adapter, clock, 1)
    ((state, reason),) = await states(adapter_database)
    assert (state, "its token was refused" in (reason or "")) == ("HELD", True)
    assert await due_at(adapter) is None


async def test_an_outage_after_the_token_was_found_strands_nothing(
    adapter: Adapter, adapter_database: FreshDatabase, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(charger_key: str, number: int) -> None:
        raise DatabaseAway("PostgreSQL is away.")

    await held(adapter, clock)
    await push_token(adapter)
    with monkeypatch.context() as broken:
        broken.setattr(adapter.transactions, "find", away)
        with pytest.raises(DatabaseAway):
            await look(adapter, clock, 1)
    assert await states(adapter_database) == [("STOPPED", None)]
    await push_token(adapter, party_id="OTH")
    await look(adapter, clock, 1.2)
    assert await states(adapter_database) == [("DONE", None)]


async def test_a_restart_between_changes_nothing(
    adapter: Adapter, adapter_database: FreshDatabase, tmp_path: Path, clock: Clock
) -> None:
    await held(adapter, clock)
    await push_token(adapter)
    other = await create_adapter(settings_of(adapter_database, tmp_path), clock)
    try:
        await other.transactions.load()
        await look(other, clock, 1)
    finally:
        await other.close()
    assert await states(adapter_database) == [("DONE", None)]


async def test_one_that_cannot_be_read_stands_in_nobodys_way(
    adapter: Adapter, adapter_database: FreshDatabase, clock: Clock
) -> None:
    await held(adapter, clock)
    async with adapter.database.connection() as connection:
        await connection.execute("UPDATE fact SET body = '{}'")
        assert len(await charge_repository.due_lookups(connection, at(HELD_AT + 1))) == 1
    await look(adapter, clock, 1)
    assert await due_at(adapter) is None
    assert (await states(adapter_database))[0][0] == "HELD"
