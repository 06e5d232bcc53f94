"""What chargers report, taken in: stored before it is answered (the `Facts` of charging.events; R17 to R24, R32 to R34, R42)."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import uuid4

import msgspec
import structlog

from cpo_adapter.chargers import ChargerBook
from cpo_adapter.charging.events import (
    Booted,
    Decision,
    Sampled,
    StartAnswer,
    Started,
    StatusReported,
    Stopped,
    TokenAnswer,
)
from cpo_adapter.charging.stored import dump
from cpo_adapter.charging.transaction import Opening, repaired
from cpo_adapter.config import Site
from cpo_adapter.numbers import permuted
from cpo_adapter.party.authorize import REFUSED, Authorized, Authorizer, cdr_token
from cpo_adapter.statuses import Statuses
from cpo_adapter.storage import charge_repository, charger_repository, facts
from cpo_adapter.storage.engine import Connection, Database
from cpo_adapter.transactions import Transactions
from cpo_adapter.unknown_numbers import UnknownNumbers
from ocpi_modules.message import Clock

log = structlog.get_logger(__name__)

REPLAYED_AFTER = timedelta(minutes=2)
UNKNOWN_TOKEN = {"country_code": "", "party_id": "", "uid": "", "type": "OTHER", "contract_id": ""}


class StoredFacts:
    """`status_changed` is called when EVSE statuses may have changed."""

    def __init__(
        self,
        database: Database,
        book: ChargerBook,
        site: Site,
        authorizer: Authorizer,
        transactions: Transactions,
        statuses: Statuses,
        number_key: bytes,
        status_changed: Callable[[], None],
        clock: Clock,
    ) -> None:
        self._database = database
        self._book = book
        self._site = site
        self._authorizer = authorizer
        self._transactions = transactions
        self._statuses = statuses
        self._number_key = number_key
        self._status_changed = status_changed
        self._clock = clock
        self._unknown_numbers = UnknownNumbers(database, transactions)

    async def knows(self, charger_id: str, password: str | None) -> str | None:
        return await self._book.knows(charger_id, password)

    async def connected(self, charger_id: str, at: datetime) -> None:
        self._statuses.connected(charger_id)
        log.info("charger_connected", charger_id=charger_id)
        self._status_changed()

    async def disconnected(self, charger_id: str, at: datetime) -> None:
        """Ends nothing (R3)."""
        self._statuses.disconnected(charger_id, at)
        log.info("charger_disconnected", charger_id=charger_id)

    async def booted(self, fact: Booted) -> None:
        async with self._database.connection() as connection:
            body = msgspec.json.encode(fact)
            await charger_repository.remember_boot(connection, fact.charger_id.casefold(), body, fact.received_at)

    async def status_reported(self, fact: StatusReported) -> None:
        charger_key = fact.charger_id.casefold()
        live = self._transactions.open_on(charger_key, fact.connector_id)
        if live is not None:
            await self._transactions.add(live, fact, urgent=True)
        if self._statuses.report(fact):
            async with self._database.connection() as connection:
                body = dump(fact)
                await charger_repository.put_connector_status(connection, charger_key, fact.connector_id, body)
            self._status_changed()

    async def token_asked(self, charger_id: str, id_tag: str) -> TokenAnswer:
        return (await self._authorizer.decide(charger_id.casefold(), id_tag)).answer

    async def started(self, fact: Started) -> StartAnswer:
        """Sent twice it gets the same answer (R18); another one on an open connector is true as well (R19)."""
        async with self._database.connection() as connection:
            key = await _start_key(connection, fact)
            known = await charge_repository.charge_by_start(connection, key)
            if known is not None and known["answer_undelivered"]:
                await charge_repository.set_answer_undelivered(connection, key, False)
        if known is not None:
            await self._transactions.find(fact.charger_id.casefold(), known["transaction_id"])
            return facts.read_answer(known["answer"])
        live = fact.received_at - fact.at < REPLAYED_AFTER
        charger_key = fact.charger_id.casefold()
        decided = await self._authorizer.decide(charger_key, fact.id_tag, live=live) if fact.id_tag else REFUSED
        if self._site.place(charger_key, fact.connector_id) is None:
            log.error("connector_without_place", charger_id=fact.charger_id, connector_id=fact.connector_id)
            decided = replace(decided, answer=REFUSED.answer)
        async with self._database.connection() as connection:
            number = permuted(self._number_key, await charge_repository.next_transaction_number(connection))
        answer = StartAnswer(number, decided.answer)
        opening = await self._opening(fact, number, decided, live=live)
        return await self._transactions.begin(opening, fact, key, answer, self._clock())

    async def sampled(self, fact: Sampled) -> None:
        """Samples of no known transaction change nothing and end nothing (R42)."""
        charger_key = fact.charger_id.casefold()
        if fact.transaction_id is None:
            live = self._transactions.open_on(charger_key, fact.connector_id)
        else:
            live = await self._transactions.find(charger_key, fact.transaction_id)
            if live is None and (found := await self._unknown_numbers.sampled_for(fact)) is not None:
                live, fact = found
        if live is not None:
            await self._transactions.add(live, fact)

    async def start_unheard(self, fact: Started) -> None:
        """Noted, so that a stop under another number finds its transaction, also after a restart (R20)."""
        async with self._database.connection() as connection:
            key = await _start_key(connection, fact)
            row = await charge_repository.set_answer_undelivered(connection, key, True)
        if row is not None:
            log.warning("start_unheard", charger_id=fact.charger_id, session_id=str(row["session_id"]))
            await self._transactions.find(fact.charger_id.casefold(), row["transaction_id"])

    async def stopped(self, fact: Stopped) -> TokenAnswer | None:
        """Always taken: it is a report (R20, R21, R34)."""
        charger_key = fact.charger_id.casefold()
        live = await self._transactions.find(charger_key, fact.transaction_id)
        if live is None:
            live = await self._unknown_numbers.ended_by(fact)
            if live is None:
                return None
            assert live.transaction.opening.transaction_id is not None
            fact = replace(fact, transaction_id=live.transaction.opening.transaction_id)
        await self._transactions.add(live, fact, ends=True)
        return None

    async def _opening(self, fact: Started, number: int, decided: Authorized, *, live: bool) -> Opening:
        """What began before it was reported is not refused any more, whatever its start is answered (R32)."""
        place = self._site.place(fact.charger_id.casefold(), fact.connector_id)
        accepted = decided.token is not None and decided.answer.decision is Decision.Accepted
        refused = place is None or (live and not accepted)
        location = self._site.locations[place.location_id.casefold()] if place else {}
        return Opening(
            session_id=str(uuid4()),
            charger_id=fact.charger_id,
            connector_id=fact.connector_id,
            location=location,
            evse_uid=place.evse_uid if place else "",
            connector=self._site.connector(place) if place else {},
            tariffs=self._site.tariffs_of(place) if place else [],
            cdr_token=cdr_token(decided.token) if decided.token else UNKNOWN_TOKEN,
            auth_method=decided.auth_method,
            authorization_reference=decided.authorization_reference,
            meter_id=await self._book.meter_serial_number(fact.charger_id),
            time_zone=location.get("time_zone", "UTC"),
            max_power_w=place.max_power_w if place else None,
            transaction_id=number,
            refused=refused,
            too_late=not (live or accepted),
        )


async def _start_key(connection: Connection, fact: Started) -> str:
    """What tells this start from others, also of a charger whose clock stands still (R18, R23)."""
    if repaired(fact).raw_at is None:
        return facts.start_key(fact)
    finished = await charge_repository.count_finished(connection, fact.charger_id.casefold(), fact.connector_id)
    return facts.start_key(fact, finished)
