"""The entries of the journal: identity, body and delivery of a CDR, written in one transaction before anything is forwarded.

What was sent before is found by its identity, and is the same CDR or refused; what credits another is checked against it.
"""

import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from hub.clearing import guaranteed_repository, repository
from hub.clearing.canonical import HASH_VERSION
from hub.clearing.checks import CdrFacts
from hub.clearing.credits import check_credit
from hub.clearing.repository import Delivery
from hub.db.engine import Database, DatabaseAway
from hub.objects.listed_repository import OWNER, CountChange, Counter, count_objects
from ocpi_modules import headers as names
from ocpi_modules.message import Clock, OcpiRequest, PartyId
from ocpi_modules.spec import ModuleID
from ocpi_modules.status import InvalidParameters, NotAvailable


class Entries:
    """`lease`: how long an attempt is somebody's; `guaranteed` and `alarm` as in `CdrJournal`."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        lease: Callable[[], timedelta],
        alarm: Callable[..., None],
        guaranteed: Callable[[PartyId, PartyId], bool],
    ) -> None:
        self._database = database
        self._clock = clock
        self._lease = lease
        self._alarm = alarm
        self._guaranteed = guaranteed

    async def take(
        self, request: OcpiRequest, facts: CdrFacts, digest: bytes, receiver: PartyId
    ) -> tuple[Delivery, UUID | None]:
        """The entry, made now or before, and the attempt that is ours to make; committed when this returns.

        Raises InvalidParameters (2001), NotAvailable (503, nothing is written).
        """
        now, attempt = self._clock(), None if self._guaranteed(facts.owner, receiver) else uuid4()
        try:
            async with self._database.transaction() as connection:
                first = await repository.claim_identity(
                    connection, facts.owner, facts.id_folded, digest, HASH_VERSION, now
                )
                if not first:
                    await self._check_same(connection, facts, digest)
                    return await self._take_again(connection, request, facts, receiver, attempt)
                await check_credit(connection, facts, receiver, self._alarm, guaranteed=attempt is None)
                delivery = await self._write(connection, request, facts, receiver, now, attempt)
                if attempt is None:
                    delivery = await self._guarantee(connection, request, facts, delivery)
                return delivery, attempt
        except DatabaseAway:
            raise away() from None

    async def _take_again(
        self, connection: Any, request: OcpiRequest, facts: CdrFacts, receiver: PartyId, attempt: UUID | None
    ) -> tuple[Delivery, UUID | None]:
        delivery = await self._delivery(connection, facts, receiver)
        if delivery.delivered:
            return delivery, None
        await check_credit(connection, facts, receiver, self._alarm, guaranteed=attempt is None)
        if attempt is None:
            return await self._guarantee(connection, request, facts, delivery), None
        mine = not delivery.guaranteed and await repository.claim_attempt(
            connection, facts.owner, facts.id_folded, attempt, self._lease()
        )
        return delivery, attempt if mine else None

    async def _write(
        self,
        connection: Any,
        request: OcpiRequest,
        facts: CdrFacts,
        receiver: PartyId,
        now: datetime,
        attempt: UUID | None,
    ) -> Delivery:
        """Identity and body carry the same instant: it names the body's partition."""
        identity = facts.owner, facts.id_folded
        await repository.ensure_partition(connection, now)
        owners, receivers = (Counter(str(facts.owner), ModuleID.cdrs, whose) for whose in (OWNER, str(receiver)))
        places = await count_objects(connection, [CountChange(owners, 1, 1), CountChange(receivers, 1, 1)])
        await repository.insert_cdr(
            connection,
            *identity,
            receiver,
            received_at=now,
            last_updated=facts.last_updated,
            credit_reference_id=facts.credit_reference_id,
            body=request.body,
            owner_place=places[owners],
            receiver_place=places[receivers],
        )
        reference = secrets.token_urlsafe(24)
        return await repository.insert_delivery(connection, *identity, receiver, reference, now, attempt, self._lease())

    async def _guarantee(self, connection: Any, request: OcpiRequest, facts: CdrFacts, delivery: Delivery) -> Delivery:
        """With a credit also what it credits, which goes before it."""
        receiver = PartyId.read(delivery.receiver)
        for id_folded in filter(None, (facts.credit_reference_id, facts.id_folded)):
            await guaranteed_repository.guarantee(connection, facts.owner, id_folded, receiver, request.correlation_id)
        return replace(delivery, guaranteed=True)

    async def _check_same(self, connection: Any, facts: CdrFacts, digest: bytes) -> None:
        known = await repository.find_identity(connection, facts.owner, facts.id_folded)
        if known and known.hash_version == HASH_VERSION and known.hash != digest:
            self._alarm("cdr changed", owner=str(facts.owner), id=facts.id_folded)
            raise InvalidParameters(
                f"CDR {facts.id_folded} was sent before with another content; a CDR cannot change, send a Credit CDR."
            )

    async def _delivery(self, connection: Any, facts: CdrFacts, receiver: PartyId) -> Delivery:
        delivery = await repository.find_delivery(connection, facts.owner, facts.id_folded)
        assert delivery is not None
        if delivery.receiver != str(receiver):
            raise InvalidParameters(f"CDR {facts.id_folded} was sent before to {delivery.receiver}, not to {receiver}.")
        return delivery


def away() -> NotAvailable:
    """PostgreSQL is away: what was not journalled is not forwarded."""
    return NotAvailable(
        "The hub cannot journal CDRs now; post it again after the time in Retry-After.",
        headers={names.RETRY_AFTER: "3"},
    )
