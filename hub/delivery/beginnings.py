"""What two parties missed of each other while no agreement let it through is owed once one does.

A cursor passes what may not go to its receiver. A trigger notes each pair for which something passes that did not before; the
note is taken out in the transaction that owes it, so one process does it, and a kill in between leaves it to be done. Entitlement
is asked again when it is sent.
"""

import asyncio

import structlog

from hub.agreements import repository as agreements
from hub.db.engine import Database, DatabaseAway, allow_long_statements
from hub.delivery import repository

LOOK_SECONDS = 1.0
KNOWN_SECONDS = 5.0
"""After so long every process that delivers knows of an agreement; until then another may still pass over what is owed."""
DEADLINE_SECONDS = 120.0
"""For all that two parties have; they may be hundreds of thousands of objects."""
REASON = "An agreement let it through."
_log = structlog.get_logger(__name__)


class Beginnings:
    """One per process, where parties need agreements. `known_seconds`: agreements that are younger wait."""

    def __init__(self, database: Database, *, known_seconds: float = KNOWN_SECONDS) -> None:
        self._database = database
        self._known_seconds = known_seconds

    async def run(self) -> None:
        """Look for ever."""
        while True:
            try:
                while await self.owe_one():
                    pass
            except DatabaseAway as away:
                _log.warning("beginnings_not_owed", reason=str(away))
            await asyncio.sleep(LOOK_SECONDS)

    async def owe_one(self) -> bool:
        """Owe two parties what they missed of each other; False when there are none. Raises DatabaseAway."""
        async with self._database.transaction(DEADLINE_SECONDS) as connection:
            pair = await agreements.take_beginning(connection, self._known_seconds)
            if pair is None:
                return False
            await allow_long_statements(connection, DEADLINE_SECONDS)
            for party, owner in (pair, pair[::-1]):
                await repository.owe_all_of(connection, party, owner, REASON, DEADLINE_SECONDS)
        _log.info("agreement_began", one=pair[0], other=pair[1])
        return True
