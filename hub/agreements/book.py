"""The agreements in memory, asked for every half second: a change reaches every process within a second."""

import asyncio
from collections.abc import AsyncIterator, Collection
from typing import TypeVar

import structlog

from hub.agreements import repository
from hub.agreements.policy import AgreementBook, Pair, Terms
from hub.db.engine import Database, DatabaseAway

PAUSE_SECONDS = 0.5
AT_ONCE = 500
"""So many are read before others have their turn: there may be a hundred thousand."""
Item = TypeVar("Item")
_log = structlog.get_logger(__name__)


async def read(book: AgreementBook, database: Database) -> None:
    """Let the book hold what is stored, if that changed. Raises DatabaseAway."""
    async with database.connection() as connection:
        revision = await repository.revision(connection)
        if revision == book.revision:
            return
        rows = await repository.all_rows(connection)
    before = book.all()
    changed: dict[Pair, Terms] = {}
    stored: set[Pair] = set()
    async for row in _in_turns(rows):
        item = repository.agreement(row)
        pair = frozenset((item.cpo, item.emsp))
        stored.add(pair)
        if before.get(pair) != item.terms:
            changed[pair] = item.terms
    gone = [pair async for pair in _in_turns(before) if pair not in stored]
    book.change(changed, gone)
    book.revision = revision


async def _in_turns(items: Collection[Item]) -> AsyncIterator[Item]:
    """Each of them; now and then others have their turn."""
    for number, item in enumerate(items):
        if number % AT_ONCE == 0:
            await asyncio.sleep(0)
        yield item


async def keep_up_to_date(book: AgreementBook, database: Database) -> None:
    """Read for ever; while PostgreSQL is away the last known agreements hold."""
    while True:
        try:
            await read(book, database)
        except DatabaseAway as away:
            _log.warning("agreements_not_refreshed", reason=str(away))
        await asyncio.sleep(PAUSE_SECONDS)
