"""The agreements in memory, asked for every half second: a change reaches every process within a second."""

import asyncio

import structlog

from hub.agreements import repository
from hub.agreements.policy import AgreementBook
from hub.db.engine import Database, DatabaseAway

PAUSE_SECONDS = 0.5
_log = structlog.get_logger(__name__)


async def read(book: AgreementBook, database: Database) -> None:
    """Replace what the book holds by what is stored, if that changed. Raises DatabaseAway."""
    async with database.connection() as connection:
        revision = await repository.revision(connection)
        if revision == book.revision:
            return
        found = await repository.all_agreements(connection)
    book.replace({frozenset((item.cpo, item.emsp)): item.terms for item in found})
    book.revision = revision


async def keep_up_to_date(book: AgreementBook, database: Database) -> None:
    """Read for ever; while PostgreSQL is away the last known agreements hold."""
    while True:
        try:
            await read(book, database)
        except DatabaseAway as away:
            _log.warning("agreements_not_refreshed", reason=str(away))
        await asyncio.sleep(PAUSE_SECONDS)
