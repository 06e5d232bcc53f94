"""Messages with a transactionId that is no transaction's: which one they belong to, or none (R20, R21, R42).

A charger that never heard the answer to its StartTransaction goes on under a number of its own: 0, -1, or one it made up.
Who is billed depends on it, so a doubt is never decided here: what fits twice is kept for an operator.
"""

from dataclasses import replace

import structlog

from cpo_adapter.charging.events import Sampled, Stopped
from cpo_adapter.charging.stored import dump
from cpo_adapter.storage import charge_repository, fact_repository, facts
from cpo_adapter.storage.engine import Connection, Database
from cpo_adapter.transactions import REFUSED, Live, Transactions

log = structlog.get_logger(__name__)


class UnknownNumbers:
    """Finds the open transaction a message without a number of ours belongs to."""

    def __init__(self, database: Database, transactions: Transactions) -> None:
        self._database = database
        self._transactions = transactions

    async def ended_by(self, stop: Stopped) -> Live | None:
        """The transaction this stop ends; else it is stored and None: as a late fact, or unmatched. Raises DatabaseAway."""
        charger_key = stop.charger_id.casefold()
        async with self._database.connection() as connection:
            row = await charge_repository.charge_by_number(connection, charger_key, stop.transaction_id)
            placed = row is None and await _was_placed(connection, charger_key, stop)
        if row is not None:
            await self._transactions.add_late(row["session_id"], stop)
            return None
        if placed:
            return None
        if (live := await self._only_one(charger_key, stop)) is not None:
            return live
        async with self._database.connection() as connection:
            await fact_repository.insert_unmatched_fact(
                connection, facts.fact_key(stop), charger_key, dump(stop), stop.received_at
            )
        log.warning("stop_unmatched", charger_id=stop.charger_id, transaction_id=stop.transaction_id)
        return None

    async def sampled_for(self, fact: Sampled) -> tuple[Live, Sampled] | None:
        """The transaction whose charger invented the number of these samples, and the samples as information about it.

        It is the only open one of the connector, and its charger never heard the real number. Raises DatabaseAway.
        """
        charger_key = fact.charger_id.casefold()
        at_connector = [
            live for live in self._transactions.open_at(charger_key) if live.connector_id == fact.connector_id
        ]
        if fact.transaction_id is None or len(at_connector) != 1:
            return None
        async with self._database.connection() as connection:
            known = await charge_repository.charge_by_number(connection, charger_key, fact.transaction_id)
            unheard = await charge_repository.unheard_charges(connection, charger_key)
        if known is not None or at_connector[0].session_id not in {row["session_id"] for row in unheard}:
            return None
        return at_connector[0], replace(fact, transaction_id=None, invented_id=fact.transaction_id)

    async def _only_one(self, charger_key: str, stop: Stopped) -> Live | None:
        """R20: the only open transaction that this stop can end, by its tag (a) or because its number was not heard (b)."""
        fitting = [live for live in self._transactions.open_at(charger_key) if _may_end(live, stop)]
        if len(fitting) != 1:
            return None
        if stop.id_tag or await self._never_heard(fitting[0], stop):
            return fitting[0]
        return None

    async def _never_heard(self, live: Live, stop: Stopped) -> bool:
        """R20 (b). A refused start whose answer was lost as well may have charged all the same: then two fit."""
        started, used = live.transaction.started, live.transaction.numbers_used
        if started is None or started.meter_start < 0 or (used and stop.transaction_id not in used):
            return False
        async with self._database.connection() as connection:
            unheard = await charge_repository.unheard_charges(connection, live.charger_key)
        refused = any(row["state"] == REFUSED for row in unheard)
        return not refused and any(row["session_id"] == live.session_id for row in unheard)


async def _was_placed(connection: Connection, charger_key: str, stop: Stopped) -> bool:
    """Whether this stop without a number of ours ended one of the charger's transactions before: it is sent again (R21)."""
    numbers = await charge_repository.newest_numbers(connection, charger_key)
    keys = [facts.fact_key(replace(stop, transaction_id=number)) for number in numbers]
    return await fact_repository.has_fact(connection, charger_key, keys)


def _may_end(live: Live, stop: Stopped) -> bool:
    """Begun before, by the same tag if the stop names one, with a meter that can have reached the stop."""
    started = live.transaction.started
    if started is None or (stop.id_tag and started.id_tag.casefold() != stop.id_tag.casefold()):
        return False
    return started.at <= stop.at and started.meter_start <= stop.meter_stop
