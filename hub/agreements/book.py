"""The agreements in memory, asked for every half second: a change reaches every process within a second."""

import asyncio

import structlog

from hub.agreements import repository
from hub.agreements.policy import AgreementBook, Pair, Terms
from hub.db.engine import Database, DatabaseAway

PAUSE_SECONDS = 0.5
AT_ONCE = 500
"""So many are read before others have their turn: there may be a hundred thousand."""
_log = structlog.get_logger(__name__)


async def read(book: AgreementBook, database: Database) -> None:
    """Replace what the book holds by what is stored, if that changed. Raises DatabaseAway."""
    async with database.connection() as connection:
        revision = await repository.revision(connection)
        if revision == book.revision:
            return
        rows = await repository.all_rows(connection)
    terms: dict[Pair, Terms] = {}
    for number, row in enumerate(rows):
        item = repository.agreement(row)
        before = book.between(item.cpo, item.emsp)
        terms[frozenset((item.cpo, item.emsp))] = before if before is not None and before == item.terms else item.terms
        if number % AT_ONCE == 0:
            await asyncio.sleep(0)
    book.replace(terms)
    book.revision = revision


async def keep_up_to_date(book: AgreementBook, database: Database) -> None:
    """Read for ever; while PostgreSQL is away the last known agreements hold."""
    while True:
        try:
            await read(book, database)
        except DatabaseAway as away:
            _log.warning("agreements_not_refreshed", reason=str(away))
        await asyncio.sleep(PAUSE_SECONDS)
