"""From facts to what partners see: the Session as it grows, and one CDR when nothing more is waited for (R19, R67 to R70)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog

from cpo_adapter.charging.cdr import CdrHeld, TokenUnknown, is_worth_a_cdr, ready_for_cdr, to_cdr
from cpo_adapter.charging.clock import set_right
from cpo_adapter.charging.events import Orphaned
from cpo_adapter.charging.session import session_changes, to_session
from cpo_adapter.charging.transaction import Transaction
from cpo_adapter.lookups import FIRST_PAUSE
from cpo_adapter.storage import charge_repository
from cpo_adapter.storage import outbox_repository as outbox
from cpo_adapter.storage.engine import Connection, Database
from cpo_adapter.transactions import DONE, HELD, OPEN, Live, Transactions
from ocpi_modules import json
from ocpi_modules.message import Clock, PartyId

log = structlog.get_logger(__name__)

ORPHANED_AFTER = timedelta(hours=24)
URGENT = ("status", "end_date_time")


@dataclass(frozen=True)
class Pace:
    """`session`: least time between two tellings of one session. `settle`: how long a stop is waited on (R67)."""

    session: timedelta
    settle: timedelta


class Settler:
    """One round looks at every unfinished transaction. `told` is called when something new is to be pushed."""

    def __init__(
        self, database: Database, transactions: Transactions, party: PartyId, pace: Pace, told: Any, clock: Clock
    ) -> None:
        self._database = database
        self._transactions = transactions
        self._party = party
        self._pace = pace
        self._told = told
        self._clock = clock

    async def settle_due(self) -> None:
        """Raises DatabaseAway; what was not done is done in the next round."""
        for live in self._transactions.all():
            try:
                await self._settle(live)
            except (ArithmeticError, LookupError, TypeError, ValueError) as error:
                log.exception("transaction_unreadable", session_id=str(live.session_id))
                await self._hold(live, f"Its facts cannot be read: {error}")

    async def _settle(self, live: Live) -> None:
        now = self._clock()
        if live.dirty and (live.urgent or live.told_at is None or now - live.told_at >= self._pace.session):
            await self._tell(live, now)
        told = not live.dirty  # a stop that came while we told the session is told in the next round, before the CDR
        if told and live.state != OPEN and ready_for_cdr(live.transaction, now, self._pace.settle):
            await self._finish(live, now)
        elif live.state == OPEN:
            await self._orphan(live, now)

    async def _tell(self, live: Live, now: datetime) -> None:
        transaction = live.transaction
        if transaction.opening.is_somebodys:
            await self._tell_somebody(live, transaction, now)
        if live.transaction is transaction:
            live.dirty = live.urgent = False
        live.told_at = now

    async def _tell_somebody(self, live: Live, transaction: Transaction, now: datetime) -> None:
        session = to_session(set_right(transaction), self._party, now)
        key = str(live.session_id)
        async with self._database.connection() as connection:
            row = await outbox.document(connection, "sessions", key)
        before = json.decode(row["body"]) if row else {}
        if session_changes(before, session) is not None:
            urgent = any(before.get(name) != session.get(name) for name in URGENT)
            async with self._database.transaction() as connection:
                await self._keep(connection, "sessions", key, session, now, urgent)
            self._told()

    async def _finish(self, live: Live, now: datetime) -> None:
        """The CDR and the end of the transaction are one commit: made once, whatever happens (R67)."""
        key = str(live.session_id)
        try:
            cdr = to_cdr(set_right(live.transaction), key, self._party, now)
        except CdrHeld as held:
            looked_up = isinstance(held, TokenUnknown) and _has_tag(live.transaction)
            await self._hold(live, held.reason, now + FIRST_PAUSE if looked_up else None)
            return
        async with self._database.transaction() as connection:
            if is_worth_a_cdr(cdr) and await outbox.insert_cdr(
                connection, live.session_id, cdr["id"], json.encode(cdr), now
            ):
                await self._keep(connection, "cdrs", key, cdr, now, urgent=True)
            await charge_repository.set_charge_state(connection, live.session_id, DONE)
        self._transactions.drop(live)
        log.info("session_settled", session_id=key, kwh=str(cdr["total_energy"]))
        self._told()

    async def _hold(self, live: Live, reason: str, look_up_at: datetime | None = None) -> None:
        """No CDR is better than a wrong one: a person decides."""
        log.warning("cdr_held", session_id=str(live.session_id), reason=reason)
        async with self._database.connection() as connection:
            await charge_repository.set_charge_state(connection, live.session_id, HELD, reason, look_up_at)
        self._transactions.drop(live)

    async def _keep(
        self, connection: Connection, module: str, key: str, document: Any, now: datetime, urgent: bool
    ) -> None:
        token = document["cdr_token"]
        receiver = str(PartyId.of(token["country_code"], token["party_id"]))
        body = json.encode(document)
        await outbox.put_document(connection, module, key, body, receiver, now)
        await outbox.want(connection, receiver, module, key, body, now, urgent)

    async def _orphan(self, live: Live, now: datetime) -> None:
        """A day after its connector began another transaction or became Available no stop is expected any more (R19, R29)."""
        over_at = self._over_at(live, now - ORPHANED_AFTER)
        if over_at is not None:
            log.warning("transaction_orphaned", session_id=str(live.session_id), over_at=over_at.isoformat())
            await self._transactions.add(
                live, Orphaned(live.transaction.opening.charger_id, over_at, now), urgent=True, ends=True
            )

    def _over_at(self, live: Live, long_ago: datetime) -> datetime | None:
        newer = self._transactions.open_on(live.charger_key, live.connector_id)
        if newer is not None and newer is not live and newer.created_at <= long_ago:
            return newer.transaction.start
        last = live.transaction.statuses[-1] if live.transaction.statuses else None
        if last is None or last.status != "Available" or last.received_at > long_ago:
            return None
        return last.at or last.received_at


def _has_tag(transaction: Transaction) -> bool:
    return transaction.started is not None and bool(transaction.started.id_tag.strip())
