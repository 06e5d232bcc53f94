"""Transactions that are not finished: in memory as the sum of their stored facts, so that a restart loses nothing."""

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import structlog

from cpo_adapter.charging.events import StartAnswer, Started
from cpo_adapter.charging.stored import dump, dump_opening, load, load_opening
from cpo_adapter.charging.transaction import Fact, Opening, Transaction, apply
from cpo_adapter.storage import charge_repository, fact_repository, facts
from cpo_adapter.storage.engine import Database, Row

log = structlog.get_logger(__name__)

OPEN, STOPPED, DONE, HELD, REFUSED = "OPEN", "STOPPED", "DONE", "HELD", "REFUSED"


@dataclass(eq=False)
class Live:
    """One unfinished transaction. `urgent`: its session is to be told at once; `told_at`: when it was told last."""

    session_id: UUID
    charger_key: str
    connector_id: int
    state: str
    transaction: Transaction
    created_at: datetime
    dirty: bool = True
    urgent: bool = True
    told_at: datetime | None = None
    one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)


class Transactions:
    """`changed` is set when a session has to be told or settled."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._of_charger: dict[str, list[Live]] = defaultdict(list)
        self.changed = asyncio.Event()

    async def load(self) -> None:
        """Read what is unfinished and apply its facts again. Raises DatabaseAway."""
        async with self._database.connection() as connection:
            rows = await charge_repository.unfinished_charges(connection)
        for row in rows:
            await self._recall(row)
        self.changed.set()

    def all(self) -> list[Live]:
        """Everything unfinished, for each charger in the order it began."""
        return [live for of_charger in self._of_charger.values() for live in of_charger]

    def open_on(self, charger_key: str, connector_id: int) -> Live | None:
        """The newest open transaction on a connector."""
        found = [live for live in self.open_at(charger_key) if live.connector_id == connector_id]
        return found[-1] if found else None

    def open_at(self, charger_key: str) -> list[Live]:
        return [live for live in self._of_charger.get(charger_key, ()) if live.state == OPEN]

    def by_number(self, charger_key: str, number: int) -> Live | None:
        return next(
            (
                live
                for live in self._of_charger.get(charger_key, ())
                if live.transaction.opening.transaction_id == number
            ),
            None,
        )

    async def find(self, charger_key: str, number: int) -> Live | None:
        """An unfinished transaction by its number, from the database where memory does not know it: a commit whose answer
        was lost on the way is known there only. Raises DatabaseAway."""
        live = self.by_number(charger_key, number)
        if live is not None:
            return live
        async with self._database.connection() as connection:
            row = await charge_repository.charge_by_number(connection, charger_key, number)
        return await self._recall(row) if row is not None and row["state"] in (OPEN, STOPPED) else None

    async def _recall(self, row: Row) -> Live:
        transaction = await self._replayed(row["session_id"], load_opening(row["opening"]))
        if known := self.by_number(row["charger_key"], row["transaction_id"]):
            return known
        live = Live(
            row["session_id"], row["charger_key"], row["connector_id"], row["state"], transaction, row["created_at"]
        )
        self._of_charger[live.charger_key].append(live)
        self.changed.set()
        return live

    async def _replayed(self, session_id: UUID, opening: Opening) -> Transaction:
        async with self._database.connection() as connection:
            bodies = await fact_repository.facts(connection, session_id)
        transaction = Transaction(opening)
        for body in bodies:
            transaction = apply(transaction, load(body))
        return transaction

    async def begin(self, opening: Opening, fact: Started, key: str, answer: StartAnswer, now: datetime) -> StartAnswer:
        """Store a new transaction with its first fact; the answer that counts, which is an earlier one for a start with the
        same `key`, sent twice (R18). Raises DatabaseAway."""
        charger_key = fact.charger_id.casefold()
        state = REFUSED if opening.refused else OPEN
        session_id = UUID(opening.session_id)
        async with self._database.transaction() as connection:
            is_new = await charge_repository.insert_charge(
                connection,
                session_id=session_id,
                charger_key=charger_key,
                connector_id=fact.connector_id,
                transaction_id=answer.transaction_id,
                start_key=key,
                state=state,
                opening=dump_opening(opening),
                answer=facts.write_answer(answer),
                at=now,
            )
            if is_new:
                await fact_repository.insert_fact(
                    connection, session_id, facts.fact_key(fact), dump(fact), fact.received_at
                )
            else:
                row = await charge_repository.charge_by_start(connection, key)
        if not is_new:
            assert row is not None
            await self.find(charger_key, row["transaction_id"])
            return facts.read_answer(row["answer"])
        if state == OPEN:
            transaction = apply(Transaction(opening), fact)
            live = Live(session_id, charger_key, fact.connector_id, state, transaction, now)
            self._of_charger[charger_key].append(live)
            self.changed.set()
        return answer

    async def add(self, live: Live, fact: Fact, *, urgent: bool = False, ends: bool = False) -> None:
        """Store one more fact and apply it; a fact told twice changes nothing. Raises DatabaseAway.

        When it was stored before, memory may lack it (the answer to that commit was lost), so all stored facts are applied anew.
        """
        async with live.one_at_a_time:
            async with self._database.transaction() as connection:
                is_new = await fact_repository.insert_fact(
                    connection, live.session_id, facts.fact_key(fact), dump(fact), fact.received_at
                )
                if ends and live.state == OPEN:
                    await charge_repository.set_charge_state(connection, live.session_id, STOPPED)
            if is_new:
                live.transaction = apply(live.transaction, fact)
            else:
                live.transaction = await self._replayed(live.session_id, live.transaction.opening)
            if ends and live.state == OPEN:
                live.state = STOPPED
            live.dirty, live.urgent = True, live.urgent or urgent or ends
            if live.urgent:
                self.changed.set()

    async def add_late(self, session_id: UUID, fact: Fact) -> None:
        """A fact of a finished transaction: kept, without effect (R21). Raises DatabaseAway."""
        async with self._database.connection() as connection:
            is_new = await fact_repository.insert_fact(
                connection, session_id, facts.fact_key(fact), dump(fact), fact.received_at
            )
        if is_new:
            log.warning("late_fact", session_id=str(session_id), fact=type(fact).__name__)

    def drop(self, live: Live) -> None:
        """It is finished."""
        self._of_charger[live.charger_key].remove(live)
        if not self._of_charger[live.charger_key]:
            del self._of_charger[live.charger_key]
