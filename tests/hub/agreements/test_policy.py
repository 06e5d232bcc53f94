"""Agreements as they are stored, read and asked."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from hub.agreements import book, repository
from hub.agreements.policy import AgreementBook, CdrMode, DefaultPolicy, Policy, Terms
from hub.agreements.repository import Agreement
from hub.db.engine import Database
from ocpi_modules import json
from ocpi_modules.message import PartyId
from ocpi_modules.spec import ModuleID
from tests.hub.network import CPO, EMSP, eventually, network
from tests.hub.support import opened
from tests.support import objects
from tests.support.postgres import FreshDatabase

OTHER = PartyId("FR", "OTH")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
async def database(hub_database: FreshDatabase) -> AsyncIterator[Database]:
    async with opened(hub_database.app_dsn) as database:
        yield database


async def put(database: Database, *agreements: Agreement) -> None:
    async with database.transaction() as connection:
        await repository.put_agreements(connection, agreements)


async def test_an_agreement_holds_in_both_directions_for_its_modules(database: Database) -> None:
    await put(
        database,
        Agreement(CPO, EMSP, Terms(frozenset({ModuleID.sessions}))),
        Agreement(CPO, OTHER, Terms(frozenset({ModuleID.cdrs}))),
    )
    await put(database, Agreement(OTHER, CPO, Terms()))
    agreements = AgreementBook()
    await book.read(agreements, database)
    policy = Policy(DefaultPolicy.agreement, agreements, lambda: NOW)
    assert policy.allows(CPO, EMSP, ModuleID.sessions)
    assert policy.allows(EMSP, CPO, ModuleID.sessions)
    assert not policy.allows(CPO, EMSP, ModuleID.cdrs)
    assert policy.allows(OTHER, CPO, ModuleID.tokens)
    assert not policy.allows(EMSP, OTHER, ModuleID.tokens)
    assert Policy(DefaultPolicy.open, agreements, lambda: NOW).allows(EMSP, OTHER, ModuleID.tokens)


async def test_many_agreements_put_together_are_one_statement(database: Database) -> None:
    many = [Agreement(CPO, PartyId("DE", f"{number:03}"), Terms(frozenset(ModuleID))) for number in range(500)]
    await put(database, *many)
    async with database.connection() as connection:
        assert await repository.all_agreements(connection) == many
        assert await repository.revision(connection) <= 2  # an INSERT, which may be an UPDATE


@pytest.mark.parametrize(
    ("terms", "holds"),
    [
        (Terms(), True),
        (Terms(valid_from=NOW), True),
        (Terms(valid_from=NOW + timedelta(microseconds=1)), False),
        (Terms(valid_until=NOW), False),
        (Terms(valid_until=NOW + timedelta(microseconds=1)), True),
        (Terms(valid_from=NOW - HOUR, valid_until=NOW + HOUR), True),
    ],
)
def test_it_holds_from_its_first_instant_to_before_its_last(terms: Terms, holds: bool) -> None:
    agreements = AgreementBook()
    agreements.replace({frozenset((CPO, EMSP)): terms})
    policy = Policy(DefaultPolicy.agreement, agreements, lambda: NOW)
    assert policy.allows(CPO, EMSP, ModuleID.cdrs) is holds
    assert policy.terms(EMSP, CPO) == (terms if holds else None)
    assert list(policy.partners_of(CPO)) == ([EMSP] if holds else [])
    assert list(policy.partners_of(EMSP)) == ([CPO] if holds else [])


def test_terms_are_the_defaults_where_everybody_may_talk_to_everybody() -> None:
    agreements = AgreementBook()
    ended = Terms(valid_until=NOW, cdr_mode=CdrMode.guaranteed)
    agreements.replace({frozenset((CPO, EMSP)): Terms(cdr_mode=CdrMode.guaranteed), frozenset((CPO, OTHER)): ended})
    policy = Policy(DefaultPolicy.open, agreements, lambda: NOW)
    kept = [policy.terms(*pair) for pair in ((CPO, EMSP), (CPO, OTHER), (EMSP, OTHER))]
    assert [terms.cdr_mode for terms in kept if terms] == ["guaranteed", "transparent", "transparent"]


async def test_a_change_reaches_every_process_and_what_did_not_change_is_not_read(
    database: Database, hub_database: FreshDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[int] = []
    everything = repository.all_agreements

    async def counted(connection: object) -> list[Agreement]:
        reads.append(1)
        return await everything(connection)

    monkeypatch.setattr(repository, "all_agreements", counted)
    assert book.PAUSE_SECONDS < 1
    async with AsyncExitStack() as stack:
        books = [AgreementBook(), AgreementBook()]
        tasks = []
        for copy in books:
            process = await stack.enter_async_context(opened(hub_database.app_dsn))
            tasks.append(asyncio.create_task(book.keep_up_to_date(copy, process)))
        await put(database, Agreement(CPO, EMSP, Terms()))
        await eventually(lambda: all(copy.between(CPO, EMSP) for copy in books))
        assert len(reads) <= 4
        async with database.transaction() as connection:
            assert await repository.drop_agreement(connection, EMSP, CPO)
        await eventually(lambda: not any(copy.between(CPO, EMSP) for copy in books))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_two_parties_have_one_agreement_whoever_is_called_the_cpo(database: Database) -> None:
    await put(database, Agreement(CPO, EMSP, Terms()))
    await put(database, Agreement(EMSP, CPO, Terms(valid_from=NOW)))
    async with database.connection() as connection:
        assert await repository.all_agreements(connection) == [Agreement(EMSP, CPO, Terms(valid_from=NOW))]
    with pytest.raises(asyncpg.CheckViolationError):
        await put(database, Agreement(CPO, EMSP, Terms(valid_from=NOW, valid_until=NOW)))


@pytest.mark.rule("R-28")
async def test_an_agreement_that_ended_a_moment_ago_lets_nothing_pass(hub_database: FreshDatabase) -> None:
    """At send time and at read time, without a re-read."""
    location = objects.location(country_code="NL", party_id="CPO", id="L1")
    async with network(hub_database, policy=DefaultPolicy.agreement) as net:
        ends = net.time[0] + HOUR
        net.policy.replace({frozenset((CPO, EMSP)): Terms(valid_until=ends)})

        async def asked() -> tuple[int, int]:
            direct = await net.call(net.emsp, "GET", "/receiver/tokens/DE/MSP/T1", to=CPO)
            listed = await net.call(net.emsp, "GET", "/sender/locations")
            return direct.status_code, len(listed.document["data"])

        put = await net.call(net.cpo, "PUT", "/receiver/locations/NL/CPO/L1", json.encode(location))
        assert put.status_code == 1000
        assert await asked() == (1000, 1)
        net.time[0] = ends
        assert await asked() == (4001, 0)
