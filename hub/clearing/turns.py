"""Whose turn it is to forward a CDR, among all processes that share the database (D-22, Q-07, Q-12).

Who forwards names its attempt in the CDR's delivery, for LEASE by the database's clock, and prolongs it while the receiver takes
its time. Who comes second looks again and again, holding nothing meanwhile: at what came of the first's attempt, or, when the
first is not heard of any more, at a CDR whose outcome nobody knows, which it forwards itself. A fast answer costs no statement.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID, uuid4

import structlog

from hub.clearing import repository
from hub.clearing.checks import CdrFacts
from hub.clearing.repository import Delivery
from hub.db.engine import Database, DatabaseAway
from ocpi_modules.status import RequestTimedOut

FIRST_PAUSE_SECONDS = 0.02
LONGEST_PAUSE_SECONDS = 0.5
_log = structlog.get_logger("hub.clearing")


class Turns:
    """`lease`: how long a process that is not heard of keeps its turn; also what an outage of PostgreSQL may take."""

    def __init__(self, database: Database, *, lease: timedelta = timedelta(seconds=5)) -> None:
        self._database = database
        self.lease = lease

    @contextlib.asynccontextmanager
    async def kept(self, facts: CdrFacts, attempt: UUID) -> AsyncIterator[None]:
        """Inside the block the turn does not end."""
        prolonging = asyncio.create_task(self._prolong(facts, attempt))
        try:
            yield
        finally:
            prolonging.cancel()

    async def wait(self, facts: CdrFacts, within: timedelta) -> tuple[Delivery, UUID | None]:
        """What came of another's attempt; with an attempt of our own when the other's process is gone.

        Raises RequestTimedOut (4002) after `within`, DatabaseAway.
        """
        clock, pause = asyncio.get_running_loop().time, FIRST_PAUSE_SECONDS
        deadline = clock() + within.total_seconds()
        while True:
            delivery, attempt = await self._look(facts)
            if attempt or delivery.told or delivery.guaranteed:
                return delivery, attempt
            if clock() + pause > deadline:
                raise RequestTimedOut(
                    f"CDR {facts.id_folded} was posted twice at once, and {delivery.receiver} has not answered within "
                    f"{within.total_seconds():g} seconds; post it again later."
                )
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def _look(self, facts: CdrFacts) -> tuple[Delivery, UUID | None]:
        async with self._database.connection() as connection:
            delivery = await repository.find_delivery(connection, facts.owner, facts.id_folded)
            assert delivery is not None
            if delivery.told or delivery.guaranteed or not delivery.lapsed:
                return delivery, None
            attempt = uuid4()
            mine = await repository.claim_attempt(connection, facts.owner, facts.id_folded, attempt, self.lease)
        return delivery, attempt if mine else None

    async def _prolong(self, facts: CdrFacts, attempt: UUID) -> None:
        """Ends when another took over."""
        mine = True
        while mine:
            await asyncio.sleep(self.lease.total_seconds() / 3)
            try:
                async with self._database.connection() as connection:
                    mine = await repository.prolong_attempt(
                        connection, facts.owner, facts.id_folded, attempt, self.lease
                    )
            except DatabaseAway as away:
                _log.warning("cdr_turn_not_prolonged", owner=str(facts.owner), reason=str(away))
