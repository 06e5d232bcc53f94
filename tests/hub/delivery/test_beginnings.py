"""What two parties missed of each other before their agreement held reaches them once it does, and nobody else."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from hub.agreements import book
from hub.agreements import repository as agreements
from hub.agreements.policy import CdrMode, DefaultPolicy, Terms
from hub.agreements.repository import Agreement
from hub.db.engine import DatabaseAway
from hub.delivery.beginnings import Beginnings
from hub.delivery.beginnings_repository import note_gains
from hub.delivery.store import PostgresStore
from hub.objects.changelog import Position
from hub.parties import repository as parties
from ocpi_modules import json
from ocpi_modules.message import PartyId
from ocpi_modules.spec import ModuleID
from tests.hub.delivery.world import PATIENCE, World, pushed, until, world
from tests.hub.network import CPO, EMSP, FailingCommit
from tests.support import objects
from tests.support.postgres import FreshDatabase

LATER = "2026-03-01T12:20:00Z"
TOKEN = "/receiver/tokens/DE/MSP/T1?type=APP_USER"
HOUR = timedelta(hours=1)
YESTERDAY = datetime.now(UTC) - timedelta(days=1)


@pytest.fixture
async def here(hub_database: FreshDatabase) -> AsyncIterator[World]:
    async with world(hub_database, policy=DefaultPolicy.agreement) as built:
        yield built


async def agree(here: World, terms: Terms | None, cpo: PartyId = CPO) -> None:
    """As an operator does, and every process knows it; None ends it."""
    async with here.net.database.transaction() as connection:
        if terms is None:
            await agreements.drop_agreement(connection, cpo, EMSP)
        else:
            await agreements.put_agreements(connection, [Agreement(cpo, EMSP, terms)])
    await book.read(here.net.policy, here.net.database)


async def owe(here: World) -> int:
    """What each process does every second; for how many pairs there was something to do."""
    beginnings, pairs = Beginnings(here.net.database, known_seconds=0.0), 0
    while await beginnings.owe_one():
        pairs += 1
    return pairs


async def put_token(here: World, **fields: Any) -> None:
    own = {"country_code": "DE", "party_id": "MSP", "uid": "T1", "type": "APP_USER"}
    answer = await here.net.call(here.net.emsp, "PUT", TOKEN, json.encode(objects.token(**own | fields)))
    assert answer.status_code == 1000, answer.message


async def debts(here: World) -> list[tuple[str, str]]:
    rows = await here.net.rows("SELECT party, key_folded FROM undelivered ORDER BY party, key_folded")
    return [(row["party"], row["key_folded"]) for row in rows]


async def with_cursors(here: World) -> None:
    """Each party has a destination, as any process makes it."""
    await PostgresStore(here.net.database).beat(uuid4())


async def passed_over(here: World) -> None:
    """Until every cursor is behind the last change, and nothing is under way."""
    [row] = await here.net.rows("SELECT xid::text, seq FROM change_log ORDER BY change_log.xid DESC, seq DESC LIMIT 1")
    last = Position(int(row["xid"]), row["seq"])
    of = here.net.delivery.destinations
    await until(lambda: all(one.cursor >= last and one.idle for one in of.values()))


async def paid(here: World) -> None:
    """Until nothing is owed."""
    async with asyncio.timeout(PATIENCE):
        while await debts(here):
            await asyncio.sleep(0.02)


@pytest.mark.rule("Q-13", "R-41")
async def test_a_token_revoked_while_no_agreement_held_reaches_the_cpo_when_one_is_set_again(here: World) -> None:
    other = await here.join("CP2", "CPO")
    await agree(here, Terms())
    await owe(here)
    async with here.delivering():
        await put_token(here)
        await here.put("L1")
        await until(lambda: pushed(here.net.cpo) and pushed(here.net.emsp))
        await agree(here, None)
        await put_token(here, valid=False, last_updated=LATER)
        await here.put("L1", last_updated=LATER)
        await passed_over(here)
        assert [len(pushed(one)) for one in (here.net.cpo, here.net.emsp)] == [1, 1]
        await agree(here, Terms())
        assert await owe(here) == 1
        await until(lambda: len(pushed(here.net.cpo)) == len(pushed(here.net.emsp)) == 2)
        assert json.decode(pushed(here.net.cpo)[-1].body)["valid"] is False
        assert json.decode(pushed(here.net.emsp)[-1].body)["last_updated"] == LATER
        await paid(here)
    assert [len(pushed(one)) for one in (here.net.cpo, here.net.emsp, other)] == [2, 2, 0]


async def test_what_was_deleted_meanwhile_is_deleted_there_too(here: World) -> None:
    tariff = json.encode(objects.tariff(country_code="NL", party_id="CPO", id="t1"))
    path = "/receiver/tariffs/NL/CPO/t1"
    await agree(here, Terms())
    await owe(here)
    async with here.delivering():
        await here.net.call(here.net.cpo, "PUT", path, tariff)
        await until(lambda: pushed(here.net.emsp))
        await agree(here, None)
        await here.net.call(here.net.cpo, "DELETE", path)
        await passed_over(here)
        await agree(here, Terms())
        await owe(here)
        await until(lambda: len(pushed(here.net.emsp)) == 2)
    assert [seen.method for seen in pushed(here.net.emsp)] == ["PUT", "DELETE"]


async def test_only_the_modules_of_the_agreement_are_owed_and_tokens_are_due_first(here: World) -> None:
    await with_cursors(here)
    await put_token(here)
    await here.put("L1")
    await agree(here, Terms(frozenset({ModuleID.locations})))
    await owe(here)
    assert await debts(here) == [("DE*MSP", "L1")]
    await agree(here, Terms())
    await owe(here)
    rows = await here.net.rows("SELECT module FROM undelivered ORDER BY next_attempt_at")
    assert [row["module"] for row in rows] == ["tokens", "locations"]


@pytest.mark.parametrize(
    ("terms", "pairs"),
    [
        (Terms(frozenset({ModuleID.locations}), YESTERDAY), 0),
        (Terms(frozenset({ModuleID.locations}), YESTERDAY, cdr_mode=CdrMode.guaranteed), 0),
        (Terms(frozenset({ModuleID.locations}), YESTERDAY, datetime.now(UTC) + HOUR), 0),
        (Terms(frozenset({ModuleID.locations, ModuleID.tariffs}), YESTERDAY), 1),
        (Terms(frozenset(), YESTERDAY), 1),
    ],
    ids=["the same", "the CDR mode", "an end", "one more module", "all modules"],
)
async def test_terms_that_let_nothing_more_through_owe_nothing(here: World, terms: Terms, pairs: int) -> None:
    """A restart, an import of what is there, the end of an agreement."""
    await agree(here, Terms(frozenset({ModuleID.locations}), YESTERDAY))
    assert (await owe(here), await owe(here)) == (1, 0)
    await agree(here, terms)
    assert await owe(here) == pairs


async def test_an_agreement_that_begins_later_or_resumes_owes_when_it_does(here: World) -> None:
    await with_cursors(here)
    await here.put("L1")
    await agree(here, Terms(valid_from=datetime.now(UTC) + HOUR))
    assert await owe(here) == 0
    await here.net.rows("UPDATE agreement_beginning SET begins_at = begins_at - interval '1 hour'")
    assert (await owe(here), await debts(here)) == (1, [("DE*MSP", "L1")])
    await agree(here, Terms(valid_from=YESTERDAY, valid_until=datetime.now(UTC) - HOUR))
    await owe(here)
    await agree(here, Terms(valid_from=YESTERDAY))
    assert await owe(here) == 1, "it had ended"


async def test_one_process_owes_and_what_it_did_not_commit_another_does(hub_database: FreshDatabase) -> None:
    async with world(hub_database, policy=DefaultPolicy.agreement, wrap=FailingCommit) as here:
        await with_cursors(here)
        await here.put("L1")
        await agree(here, Terms())
        here.net.seen_database.away = True
        with pytest.raises(DatabaseAway):
            await Beginnings(here.net.seen_database, known_seconds=0.0).owe_one()
        assert await debts(here) == []
        assert sorted(await asyncio.gather(owe(here), owe(here))) == [0, 1]
        assert await debts(here) == [("DE*MSP", "L1")]


# Receivers that hear more than before


async def walks(here: World) -> list[str]:
    """Who is to be walked through everything, or is being."""
    rows = await here.net.rows("SELECT party FROM destination WHERE walk_after IS NOT NULL ORDER BY party")
    return [row["party"] for row in rows]


async def stored_anew(here: World, roles: list[tuple[str, str]], modules: list[str]) -> None:
    """As PUT credentials of the CPO does, with Receivers of these modules."""
    platform = here.net.cpo.platform_id
    async with here.net.database.transaction() as connection:
        await note_gains(connection, platform, roles, modules)
        await parties.drop_endpoints(connection, platform)
        endpoints = [(name, "RECEIVER", here.net.cpo.endpoint(name, "RECEIVER")) for name in modules]
        await parties.add_endpoints(connection, platform, endpoints)
        await parties.touch(connection, platform)
    await here.net.directory.refresh()


OWN = [("NL*CPO", "CPO")]


async def test_a_platform_that_adds_a_receiver_gets_what_was_passed_over_for_lack_of_it(
    hub_database: FreshDatabase,
) -> None:
    async with world(hub_database) as here:
        look = Beginnings(here.net.database, known_seconds=0.0).walk_one
        await stored_anew(here, OWN, ["sessions"])
        async with here.delivering():
            await put_token(here)
            await passed_over(here)
            assert pushed(here.net.cpo) == []
            await stored_anew(here, OWN, ["sessions", "tokens"])
            assert (await look(), await look()) == (True, False)
            await until(lambda: pushed(here.net.cpo))
            await stored_anew(here, OWN, ["sessions", "tokens"])
            assert not await look(), "nothing more than before"
            await until(lambda: all(one.walk is None and one.live for one in here.net.delivery.destinations.values()))
        assert len(pushed(here.net.cpo)) == 1


@pytest.mark.parametrize(
    ("roles", "modules", "more"),
    [
        (OWN, ["tokens"], False),
        (OWN, ["tokens", "cdrs", "sessions"], False),
        (OWN, ["tokens", "locations"], True),
        ([*OWN, ("NL*CPO", "EMSP")], ["tokens"], True),
        ([*OWN, ("NL*NEW", "CPO")], ["tokens"], True),
        ([], ["tokens", "locations"], False),
    ],
    ids=["the same", "what is not broadcast", "a module", "a role", "a party", "nobody"],
)
async def test_only_who_hears_more_is_noted(
    here: World, roles: list[tuple[str, str]], modules: list[str], more: bool
) -> None:
    await stored_anew(here, OWN, ["tokens"])
    await here.net.rows("DELETE FROM receiver_beginning")
    await stored_anew(here, roles, modules)
    assert bool(await here.net.rows("SELECT FROM receiver_beginning")) == more


async def test_who_holds_a_destination_that_is_to_be_walked_through_everything_moves_its_cursor_no_more(
    here: World,
) -> None:
    store, worker = PostgresStore(here.net.database), uuid4()
    await store.beat(worker)
    [before] = await store.take(worker, [str(EMSP)])
    await here.net.rows("INSERT INTO receiver_beginning VALUES ('DE*MSP', now()), ('NL*GONE', now())")
    look = Beginnings(here.net.database, known_seconds=0.0).walk_one
    assert (await look(), await look(), await look()) == (True, True, False)
    assert await walks(here) == ["DE*MSP"]
    assert await store.renew([before.destination]) == {}
    assert await store.take(worker, [str(EMSP)]) == [], "its lease lasts as long as it would"
    await here.net.rows("UPDATE destination SET lease_until = now() - interval '1 second'")
    [after] = await store.take(worker, [str(EMSP)])
    assert (after.same_cluster, after.destination.walk) == (True, ())


async def test_who_reads_for_itself_is_not_walked_through_everything(here: World) -> None:
    await with_cursors(here)
    await here.net.rows('UPDATE platform SET switches = \'{"resync": "pull"}\'')
    await here.net.rows("INSERT INTO receiver_beginning VALUES ('DE*MSP', now())")
    assert await Beginnings(here.net.database, known_seconds=0.0).walk_one()
    assert await walks(here) == []


async def test_a_default_policy_that_becomes_open_owes_what_was_passed_over_once_nobody_asks_for_agreements(
    here: World,
) -> None:
    strict = Beginnings(here.net.database)
    lenient = Beginnings(here.net.database, open_to_all=True, known_seconds=0.0)
    former, later = PostgresStore(here.net.database), PostgresStore(here.net.database, open_to_all=True)
    old, new = uuid4(), uuid4()
    await strict.note_policy()
    await former.beat(old)
    async with here.delivering():
        await here.put("L1")
        await passed_over(here)
    await later.beat(new)
    await lenient.note_policy()
    assert not await lenient.walk_one(), "another process still asks for agreements"
    await former.leave(old)
    await here.net.rows("DELETE FROM delivery_worker WHERE NOT open")
    await asyncio.gather(lenient.note_policy(), lenient.note_policy())
    assert [await lenient.walk_one() for _ in range(3)] == [True, True, False]
    assert await walks(here) == ["DE*MSP", "NL*CPO"]
    await lenient.note_policy()
    assert not await lenient.walk_one(), "it was so before"
    here.net.delivery._audience._policy.open = True
    async with here.delivering():
        await until(lambda: pushed(here.net.emsp))


async def test_a_policy_that_was_open_before_anybody_said_so_owes_nothing(here: World) -> None:
    """As after the update that brought this."""
    await with_cursors(here)
    await here.net.rows("DELETE FROM delivery_worker")
    await Beginnings(here.net.database, open_to_all=True).note_policy()
    assert await here.net.rows("SELECT FROM receiver_beginning") == []


async def test_nothing_is_owed_before_every_process_knows_the_agreement(here: World) -> None:
    await agree(here, Terms())
    assert not await Beginnings(here.net.database).owe_one()
    await here.net.rows("UPDATE agreement_beginning SET begins_at = begins_at - interval '6 seconds'")
    assert await Beginnings(here.net.database).owe_one()
