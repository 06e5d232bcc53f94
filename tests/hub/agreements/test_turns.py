"""Whoever asks is told of each agreement that changed, began or ended, and of no other."""

from datetime import UTC, datetime, timedelta

from hub.agreements import book, repository, turns
from hub.agreements.policy import AgreementBook, Pair, Terms
from hub.agreements.repository import Agreement
from hub.agreements.turns import Turns
from ocpi_modules.message import PartyId
from tests.hub.network import CPO, EMSP
from tests.hub.support import opened
from tests.support.postgres import FreshDatabase

OTHER = PartyId("FR", "OTH")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
ONE: Pair = frozenset((CPO, EMSP))
TWO: Pair = frozenset((CPO, OTHER))


def test_a_beginning_and_an_end_are_told_when_they_come_and_once() -> None:
    agreements = AgreementBook()
    asked = Turns(agreements)
    agreements.replace({ONE: Terms(valid_from=NOW + HOUR, valid_until=NOW + 3 * HOUR), TWO: Terms()})
    assert asked.take(NOW) == {ONE, TWO}
    told = [asked.take(NOW + number * HOUR / 2) for number in range(8)]
    assert told == [set(), set(), {ONE}, set(), set(), set(), {ONE}, set()]


def test_only_what_is_new_other_or_gone_is_told_to_each_who_asks() -> None:
    agreements = AgreementBook()
    asked, other = Turns(agreements), Turns(agreements)
    kept = Terms()
    agreements.replace({ONE: kept, TWO: Terms()})
    asked.take(NOW)
    agreements.replace({ONE: kept})
    assert (asked.take(NOW), asked.take(NOW), other.take(NOW)) == ({TWO}, set(), {ONE, TWO})
    assert (set(agreements.of(CPO)), set(agreements.of(OTHER))) == ({EMSP}, set())


def test_dates_of_terms_that_were_changed_do_not_pile_up() -> None:
    agreements = AgreementBook()
    asked = Turns(agreements)
    for number in range(2 * turns.MOST_STALE):
        agreements.replace({ONE: Terms(valid_until=NOW + HOUR + timedelta(seconds=number))})
    assert len(asked._ahead) <= turns.MOST_STALE + 4
    asked.take(NOW)
    assert asked.take(NOW + 2 * HOUR) == {ONE}


async def test_what_is_read_again_as_it_was_has_not_changed(hub_database: FreshDatabase) -> None:
    async with opened(hub_database.app_dsn) as database:
        agreements = AgreementBook()
        asked = Turns(agreements)
        for others in ([EMSP, OTHER], [OTHER]):
            async with database.transaction() as connection:
                for other in others:
                    await repository.put_agreements(connection, [Agreement(CPO, other, Terms(valid_until=NOW))])
            await book.read(agreements, database)
        assert asked.take(NOW) == {ONE, TWO}
        async with database.transaction() as connection:
            await repository.put_agreements(connection, [Agreement(CPO, OTHER, Terms())])
        await book.read(agreements, database)
        assert asked.take(NOW) == {TWO}
