"""What was passed over because it might not go to its receiver is owed once it may.

A cursor passes what may not go to its receiver. Where an agreement lets something through, a trigger notes the two parties, and
what they missed of each other is owed. Where a platform gains a role, a party or a Receiver endpoint, its parties are noted as it
is stored, and where the default policy becomes `open` all receivers: they are walked through every object, which costs a place
and not a row for each, and shows them once more what they have: of a receiver nothing is known but its place. A note is taken out
in the transaction that owes it, so one process does it, and a kill in between leaves it to be done. Entitlement is asked again
when it is sent.
"""

import asyncio

import structlog

from hub.agreements import repository as agreements
from hub.db.engine import Database, DatabaseAway, allow_long_statements
from hub.delivery import beginnings_repository as repository

LOOK_SECONDS = 1.0
KNOWN_SECONDS = 5.0
"""After so long every process that delivers knows of it; until then another may still pass over what is owed."""
DEADLINE_SECONDS = 120.0
"""For all that two parties have; they may be hundreds of thousands of objects."""
REASON = "An agreement let it through."
_log = structlog.get_logger(__name__)


class Beginnings:
    """One per process. `open_to_all`: nobody needs an agreement here. `known_seconds`: what began later than that waits."""

    def __init__(self, database: Database, *, open_to_all: bool = False, known_seconds: float = KNOWN_SECONDS) -> None:
        self._database = database
        self._open_to_all = open_to_all
        self._known_seconds = known_seconds

    async def run(self) -> None:
        """Look for ever."""
        while True:
            try:
                await self.note_policy()
                while await self.walk_one() or (not self._open_to_all and await self.owe_one()):
                    pass
            except DatabaseAway as away:
                _log.warning("beginnings_not_owed", reason=str(away))
            await asyncio.sleep(LOOK_SECONDS)

    async def note_policy(self) -> None:
        """Remember the default policy of this process, and note who hears more by it. Raises DatabaseAway."""
        async with self._database.transaction() as connection:
            await repository.note_policy(connection, open_to_all=self._open_to_all)

    async def walk_one(self) -> bool:
        """Let a receiver that hears more be walked through all there is; False when there is none. Raises DatabaseAway."""
        async with self._database.transaction() as connection:
            party = await repository.take_receiver(connection, self._known_seconds)
            if party is None:
                return False
            await repository.walk(connection, party)
        _log.info("receiver_hears_more", party=party)
        return True

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
