"""Charges of an offline time whose token nobody knew: it is looked up again, and once it is known they are billed (R32)."""

from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from cpo_adapter.charging.events import Started
from cpo_adapter.charging.stored import dump_opening, load, load_opening
from cpo_adapter.party.authorize import Authorizer, cdr_token
from cpo_adapter.storage import charge_repository
from cpo_adapter.storage.engine import Database, Row
from cpo_adapter.transactions import HELD, Transactions
from ocpi_modules.message import Clock

log = structlog.get_logger(__name__)

FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=1)
LOOKED_UP_FOR = timedelta(days=7)
"""From the arrival of the start; a Token that comes later may well be another driver's."""


class TokenLookups:
    """One round looks at what is due. The answer to a start stays as it was; what is known of whose it is changes."""

    def __init__(self, database: Database, authorizer: Authorizer, transactions: Transactions, clock: Clock) -> None:
        self._database = database
        self._authorizer = authorizer
        self._transactions = transactions
        self._clock = clock

    async def look_up_due(self) -> None:
        """Raises DatabaseAway; what was not looked up is due in the next round."""
        async with self._database.connection() as connection:
            rows = await charge_repository.due_lookups(connection, self._clock())
        for row in rows:
            try:
                await self._look_up(row)
            except (LookupError, TypeError, ValueError):
                log.exception("token_lookup_unreadable", session_id=str(row["session_id"]))
                await self._postpone(row, None)

    async def _look_up(self, row: Row) -> None:
        """It is due until it goes on in memory too, so that an outage in between strands nothing."""
        if row["state"] == HELD and not await self._release(row):
            await self._postpone(row, _next(row, self._clock()))
            return
        await self._transactions.find(row["charger_key"], row["transaction_id"])
        await self._postpone(row, None)

    async def _release(self, row: Row) -> bool:
        """Whether its token is known now, which is then written down."""
        started = load(row["first_fact"])
        token = await self._authorizer.owner(started.id_tag, started.at) if isinstance(started, Started) else None
        if token is None:
            return False
        opening = replace(load_opening(row["opening"]), cdr_token=cdr_token(token))
        async with self._database.connection() as connection:
            await charge_repository.release(connection, row["session_id"], dump_opening(opening))
        log.info("token_found", session_id=str(row["session_id"]))
        return True

    async def _postpone(self, row: Row, look_up_at: datetime | None) -> None:
        async with self._database.connection() as connection:
            await charge_repository.postpone_lookup(connection, row["session_id"], look_up_at)


def _next(row: Row, now: datetime) -> datetime | None:
    """Twice the pause each time, up to an hour; None when it was looked up for long enough."""
    at: datetime = now + min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(row["lookups"], 10))
    return at if at <= row["created_at"] + LOOKED_UP_FOR else None
