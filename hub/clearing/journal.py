"""The CDR journal: taken before it is forwarded, delivered once in effect, never changed (Q-07, D-18 to D-22).

    POST -> identity + body + RECEIVED in one transaction -> forward -> DELIVERED | UNDELIVERED | IN_DOUBT -> the CPO's answer

    state        what happened                                    the same CDR posted again
    RECEIVED     journalled; the hub stopped before it knew more  forwarded again (as IN_DOUBT)
    DELIVERED    the receiver answered 1xxx                       answered from the journal
    UNDELIVERED  certainly not taken: refused or never sent       forwarded again
    IN_DOUBT     sent, answer unknown                             forwarded again; the receiver knows the CDR by its id

Where the agreement says `guaranteed` the CPO is answered 1000 once the CDR is journalled, and `guaranteed.py` posts it until
it is taken. This is opted in, because the specification asks clients not to queue.

Another content under the same id is refused with 2001, whatever the state. Two posts at once are one attempt with one answer
(`attempts`); in two processes the second waits on the identity row until the first has committed its journal entry and is then
forwarded too, as a duplicate the receiver knows by the id. Of a CDR that is not guaranteed only the CPO starts an attempt.
"""

import secrets
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol
from urllib.parse import urljoin, urlsplit

from hub.clearing import guaranteed_repository, repository
from hub.clearing.attempts import Attempts
from hub.clearing.canonical import HASH_VERSION, content_hash
from hub.clearing.checks import CdrFacts, read_facts
from hub.clearing.repository import Delivery
from hub.db.engine import Database, DatabaseAway
from hub.delivery.outcome import Delivered, Outcome, may_have_arrived
from hub.delivery.verdict import reason_of
from hub.objects.listed_repository import OWNER, CountChange, count_objects
from ocpi_modules import envelope
from ocpi_modules import headers as names
from ocpi_modules.http.paths import endpoint_url
from ocpi_modules.message import Clock, OcpiRequest, OcpiResponse, PartyId
from ocpi_modules.spec import InterfaceRole, ModuleID
from ocpi_modules.status import InvalidParameters, NotAvailable, NotFound

MOST_FINDINGS = 20
Send = Callable[[], Awaitable[Outcome]]
Relay = Callable[[Outcome], OcpiResponse]


class CdrState(StrEnum):
    RECEIVED = "RECEIVED"
    DELIVERED = "DELIVERED"
    UNDELIVERED = "UNDELIVERED"
    IN_DOUBT = "IN_DOUBT"


class Later(Protocol):
    """Work that is tried again from memory when PostgreSQL is back."""

    def add(self, work: Callable[[Any], Awaitable[None]]) -> None: ...


@dataclass(frozen=True)
class Located:
    """Where a Location of ours leads: the receiver's URL, or a body out of the journal."""

    owner: PartyId
    receiver: PartyId
    url: str | None


class CdrJournal:
    """`alarm(event, **fields)` tells the operator what a partner should never do.

    `guaranteed(cpo, emsp)`: whether the hub owns the delivery between the two; `wake` tells that such a CDR came.
    """

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        public_url: str,
        later: Later,
        alarm: Callable[..., None],
        guaranteed: Callable[[PartyId, PartyId], bool],
        wake: Callable[[], None],
    ) -> None:
        self._database = database
        self._clock = clock
        self._endpoint = endpoint_url(public_url, ModuleID.cdrs, InterfaceRole.RECEIVER)
        self._later = later
        self._alarm = alarm
        self._guaranteed = guaranteed
        self._wake = wake
        self._attempts = Attempts()

    async def post(
        self,
        request: OcpiRequest,
        sender: PartyId,
        receiver: PartyId,
        send: Send,
        relay: Relay,
        endpoint: str,
        findings: tuple[str, ...] = (),
    ) -> OcpiResponse:
        """Journal, forward, record, answer. `endpoint` is the receiver's URL, against which a relative Location is read.

        `findings` are what is odd about it: no reason against a forward, but the hub guarantees for nothing it would not take.
        Raises InvalidParameters (2001), NotAvailable (503, nothing was forwarded), and what `relay` raises.
        """
        facts, digest = read_facts(request.document, sender), content_hash(request.document)
        if findings and self._guaranteed(sender, receiver):
            raise InvalidParameters(" ".join(findings[:MOST_FINDINGS]))

        async def attempt() -> OcpiResponse:
            return await self._post(request, facts, digest, receiver, send, relay, endpoint)

        return await self._attempts.join((facts.owner, facts.id_folded, receiver, digest), attempt)

    async def _post(
        self,
        request: OcpiRequest,
        facts: CdrFacts,
        digest: bytes,
        receiver: PartyId,
        send: Send,
        relay: Relay,
        endpoint: str,
    ) -> OcpiResponse:
        sender = facts.owner
        delivery = await self._take(request, facts, digest, receiver)
        if delivery.state == CdrState.DELIVERED:
            return self._again(delivery, sender)
        if delivery.guaranteed:
            self._wake()
            return self._acknowledged(delivery)
        outcome = await send()
        await self.record(facts.owner, facts.id_folded, outcome, location_of(outcome, endpoint))
        if isinstance(outcome, Delivered):
            response = relay(outcome)
            location = {names.LOCATION: self._url(delivery.reference)}
            return OcpiResponse(response.http_status, response.body, {**response.headers, **location})
        meanwhile = await self._delivered_meanwhile(facts)
        return self._again(meanwhile, sender) if meanwhile else relay(outcome)

    async def _delivered_meanwhile(self, facts: CdrFacts) -> Delivery | None:
        """The same CDR, posted twice at once: where the other post was taken, this one was too."""
        try:
            async with self._database.connection() as connection:
                delivery = await repository.find_delivery(connection, facts.owner, facts.id_folded)
        except DatabaseAway:
            return None
        return delivery if delivery and delivery.state == CdrState.DELIVERED else None

    async def locate(self, reference: str, askers: Collection[PartyId]) -> Located:
        """Where to GET the CDR behind a Location of ours: for its original sender only (D-20). Raises NotFound (404)."""
        delivery = await self._find(reference, askers)
        return Located(_party(delivery.owner), _party(delivery.receiver), delivery.location)

    async def read(self, reference: str, askers: Collection[PartyId]) -> OcpiResponse:
        """The journal's own copy, as it was spelled. Raises NotFound (404), NotAvailable (503)."""
        delivery = await self._find(reference, askers)
        try:
            async with self._database.connection() as connection:
                body = await repository.find_body(connection, delivery.owner, delivery.id_folded)
        except DatabaseAway:
            raise _away() from None
        if body is None:
            raise NotFound("This CDR is no longer in the hub's journal.")
        headers = names.routing_headers(to=_party(delivery.owner), sender=_party(delivery.receiver))
        return envelope.success_with_bytes(body, now=self._clock(), headers=headers)

    async def _find(self, reference: str, askers: Collection[PartyId]) -> Delivery:
        try:
            async with self._database.connection() as connection:
                delivery = await repository.find_delivery_by_reference(connection, reference)
        except DatabaseAway:
            raise _away() from None
        if delivery is None or _party(delivery.owner) not in askers:
            raise NotFound("There is no CDR of yours at this URL.")
        return delivery

    async def _take(self, request: OcpiRequest, facts: CdrFacts, digest: bytes, receiver: PartyId) -> Delivery:
        """The journal entry, made now or before; committed when this returns."""
        now = self._clock()
        try:
            async with self._database.transaction() as connection:
                first = await repository.claim_identity(
                    connection, facts.owner, facts.id_folded, digest, HASH_VERSION, now
                )
                if first:
                    await self._check_credit(connection, facts)
                    await self._write(connection, request, facts, receiver, now)
                else:
                    await self._check_same(connection, facts, digest)
                if self._guaranteed(facts.owner, receiver):
                    await self._guarantee(connection, facts, receiver, request.correlation_id)
                return await self._delivery(connection, facts, receiver)
        except DatabaseAway:
            raise _away() from None

    async def _write(
        self, connection: Any, request: OcpiRequest, facts: CdrFacts, receiver: PartyId, now: datetime
    ) -> None:
        """Identity and body carry the same instant: it names the body's partition."""
        identity = facts.owner, facts.id_folded
        await repository.ensure_partition(connection, now)
        places = await count_objects(
            connection,
            str(facts.owner),
            ModuleID.cdrs,
            [CountChange(OWNER, 1, 1), CountChange(str(receiver), 1, 1)],
        )
        await repository.insert_cdr(
            connection,
            *identity,
            receiver,
            received_at=now,
            last_updated=facts.last_updated,
            credit_reference_id=facts.credit_reference_id,
            body=request.body,
            owner_place=places[OWNER],
            receiver_place=places[str(receiver)],
        )
        await repository.insert_delivery(connection, *identity, receiver, secrets.token_urlsafe(24), now)

    async def _guarantee(self, connection: Any, facts: CdrFacts, receiver: PartyId, correlation_id: str) -> None:
        """With a credit also what it credits, which goes before it."""
        for id_folded in filter(None, (facts.credit_reference_id, facts.id_folded)):
            await guaranteed_repository.guarantee(connection, facts.owner, id_folded, receiver, correlation_id)

    async def _check_credit(self, connection: Any, facts: CdrFacts) -> None:
        reference = facts.credit_reference_id
        if reference and await repository.find_identity(connection, facts.owner, reference) is None:
            raise InvalidParameters(
                f"`credit_reference_id` {reference} names no CDR of {facts.owner} that passed here."
            )

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

    async def record(self, owner: PartyId, id_folded: str, outcome: Outcome, location: str | None) -> None:
        """Write down what became of the attempt; from memory, later, when PostgreSQL is away now."""
        state, now = state_of(outcome), self._clock()
        status, answer = (outcome.http_status, outcome.body) if isinstance(outcome, Delivered) else (None, None)

        async def write(connection: Any) -> None:
            await repository.record_attempt(
                connection,
                owner,
                id_folded,
                state,
                now,
                location=location,
                http_status=status,
                answer=answer,
                reason=reason_of(outcome),
            )

        try:
            async with self._database.transaction() as connection:
                await write(connection)
        except DatabaseAway:
            self._later.add(write)

    def _again(self, delivery: Delivery, sender: PartyId) -> OcpiResponse:
        """HTTP 200, the receiver's own answer and the same Location (D-22)."""
        headers = names.routing_headers(to=sender, sender=_party(delivery.receiver))
        headers[names.LOCATION] = self._url(delivery.reference)
        return OcpiResponse(200, delivery.answer or b"", headers)

    def _acknowledged(self, delivery: Delivery) -> OcpiResponse:
        """The hub's own 1000: FROM is the hub's business, the Location leads to the journal."""
        headers = {names.LOCATION: self._url(delivery.reference)}
        return envelope.success(now=self._clock(), http_status=201, headers=headers)

    def _url(self, reference: str) -> str:
        return f"{self._endpoint}/{reference}"


def state_of(outcome: Outcome) -> CdrState:
    """The state an attempt leads to."""
    if isinstance(outcome, Delivered):
        return CdrState.DELIVERED
    return CdrState.IN_DOUBT if may_have_arrived(outcome) else CdrState.UNDELIVERED


def location_of(outcome: Outcome, endpoint: str) -> str | None:
    """The receiver's URL of its CDR; a relative one follows its endpoint (D-21).

    None also for one that leads to another host: the receiver's token goes nowhere else (S-26, S-27).
    """
    given = outcome.headers.get("location") if isinstance(outcome, Delivered) else None
    if not given:
        return None
    try:
        url = urljoin(f"{endpoint.rstrip('/')}/", given)
        found, known = urlsplit(url), urlsplit(endpoint)
        at_home = (found.scheme, found.netloc.lower()) == (known.scheme, known.netloc.lower())
    except ValueError:
        return None
    return url if at_home else None


def _party(text: str) -> PartyId:
    country_code, _, party_id = text.partition("*")
    return PartyId.of(country_code, party_id)


def _away() -> NotAvailable:
    return NotAvailable(
        "The hub cannot journal CDRs now; post it again after the time in Retry-After.",
        headers={names.RETRY_AFTER: "3"},
    )
