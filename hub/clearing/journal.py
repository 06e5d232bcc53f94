"""The CDR journal: taken before it is forwarded, delivered once in effect, never changed (Q-07, D-18 to D-22).

    POST -> identity + body + RECEIVED in one transaction -> forward -> DELIVERED | UNDELIVERED | IN_DOUBT -> the CPO's answer

    state        what happened                                    the same CDR posted again
    RECEIVED     journalled; the hub stopped before it knew more  forwarded again (as IN_DOUBT)
    DELIVERED    the receiver answered 1xxx                       answered from the journal
    UNDELIVERED  certainly not taken: refused or never sent       forwarded again
    IN_DOUBT     sent, answer unknown                             forwarded again; the receiver knows the CDR by its id

Where the agreement says `guaranteed` the CPO is answered 1000 once the CDR is journalled, and `guaranteed.py` posts it until
it is taken. This is opted in, because the specification asks clients not to queue.

Another content under the same id is refused with 2001, whatever the state. Two posts at once are one attempt with one answer, in
one process (`attempts`) and in several (`turns`); a process that died in its attempt is followed by one that forwards again. Of a
CDR that is not guaranteed only the CPO starts an attempt.

A Credit CDR refers to a CDR of its owner that passed here, to the same receiver, and a CDR is credited once: a second credit
is refused with 2001, unless the first was certainly not taken. The specification demands the negative amounts of the original in
`total_cost` and says nothing of a second credit, which would give the customer more than it paid. A credit whose `total_cost` is
positive is flagged like any other odd content (contracts section 4): forwarded, or refused where it is guaranteed or strict.
"""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

from hub.clearing import repository
from hub.clearing.answers import answered, location_of, told
from hub.clearing.attempts import Attempts
from hub.clearing.canonical import content_hash
from hub.clearing.checks import CdrFacts, read_facts
from hub.clearing.entries import Entries, away
from hub.clearing.repository import Delivery
from hub.clearing.turns import Turns
from hub.db.engine import Database, DatabaseAway
from hub.delivery.outcome import Delivered, Outcome, may_have_arrived
from hub.delivery.verdict import reason_of
from ocpi_modules import envelope
from ocpi_modules import headers as names
from ocpi_modules.http.paths import endpoint_url
from ocpi_modules.message import Clock, OcpiRequest, OcpiResponse, PartyId
from ocpi_modules.spec import InterfaceRole, ModuleID
from ocpi_modules.status import HubError, InvalidParameters, NotFound

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
    """`alarm(event, **fields)` tells the operator what a partner should never do, and what the hub lost.

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
        turns: Turns | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._endpoint = endpoint_url(public_url, ModuleID.cdrs, InterfaceRole.RECEIVER)
        self._later = later
        self._alarm = alarm
        self._guaranteed = guaranteed
        self._wake = wake
        self._attempts = Attempts()
        self._turns = turns or Turns(database)
        self._entries = Entries(
            database=database,
            clock=clock,
            lease=lambda: self._turns.lease,
            alarm=alarm,
            guaranteed=guaranteed,
        )

    async def post(
        self,
        request: OcpiRequest,
        sender: PartyId,
        receiver: PartyId,
        send: Send,
        relay: Relay,
        endpoint: str,
        findings: tuple[str, ...] = (),
        *,
        within: timedelta,
    ) -> OcpiResponse:
        """Journal, forward, record, answer. `endpoint` is the receiver's URL, against which a relative Location is read; `within`
        how long it may take to answer, and another's post of the same CDR is waited for.

        `findings` are what is odd about it: no reason against a forward, but the hub guarantees for nothing it would not take.
        Raises InvalidParameters (2001), NotAvailable (503, nothing was forwarded), and what `relay` raises.
        """
        facts, digest = read_facts(request.document, sender), content_hash(request.document)
        if findings and self._guaranteed(sender, receiver):
            raise InvalidParameters(" ".join(findings[:MOST_FINDINGS]))

        async def attempt() -> OcpiResponse:
            delivery, own = await self._entries.take(request, facts, digest, receiver)
            if own is None:
                delivery, own = await self._other(delivery, facts, within)
            if own is None:
                return self._known(delivery)
            return await self._forward(facts, delivery, own, send, relay, endpoint)

        return await self._attempts.join((facts.owner, facts.id_folded, receiver, digest), attempt)

    async def _other(self, delivery: Delivery, facts: CdrFacts, within: timedelta) -> tuple[Delivery, UUID | None]:
        """A CDR that is not ours to forward, once it is known what becomes of it."""
        if delivery.delivered or delivery.guaranteed:
            return delivery, None
        try:
            return await self._turns.wait(facts, within)
        except DatabaseAway:
            raise away() from None

    async def _forward(
        self, facts: CdrFacts, delivery: Delivery, attempt: UUID, send: Send, relay: Relay, endpoint: str
    ) -> OcpiResponse:
        async with self._turns.kept(facts, attempt):
            outcome = await send()
        try:
            answer: OcpiResponse | HubError = relay(outcome)
        except HubError as error:
            answer = error
        location = location_of(outcome, endpoint)
        receiver = PartyId.read(delivery.receiver)
        await self.record(facts.owner, facts.id_folded, receiver, outcome, location, attempt=attempt, answer=answer)
        if not isinstance(outcome, Delivered):
            meanwhile = await self._delivered_meanwhile(facts)
            if meanwhile:
                return self._again(meanwhile)
        if isinstance(answer, HubError):
            raise answer
        ours = {names.LOCATION: self._url(delivery.reference)} if isinstance(outcome, Delivered) else {}
        return OcpiResponse(answer.http_status, answer.body, {**answer.headers, **ours})

    async def _delivered_meanwhile(self, facts: CdrFacts) -> Delivery | None:
        """A process taken for dead was followed by another: where one post was taken, the other was too."""
        try:
            async with self._database.connection() as connection:
                delivery = await repository.find_delivery(connection, facts.owner, facts.id_folded)
        except DatabaseAway:
            return None
        return delivery if delivery and delivery.delivered else None

    async def locate(self, reference: str, askers: Collection[PartyId]) -> Located:
        """Where to GET the CDR behind a Location of ours: for its original sender only (D-20). Raises NotFound (404)."""
        delivery = await self._find(reference, askers)
        return Located(PartyId.read(delivery.owner), PartyId.read(delivery.receiver), delivery.location)

    async def read(self, reference: str, askers: Collection[PartyId]) -> OcpiResponse:
        """The journal's own copy, as it was spelled. Raises NotFound (404), NotAvailable (503)."""
        delivery = await self._find(reference, askers)
        try:
            async with self._database.connection() as connection:
                body = await repository.find_body(connection, delivery.owner, delivery.id_folded)
        except DatabaseAway:
            raise away() from None
        if body is None:
            raise NotFound("This CDR is no longer in the hub's journal.")
        return envelope.success_with_bytes(body, now=self._clock(), headers=_routing(delivery))

    async def _find(self, reference: str, askers: Collection[PartyId]) -> Delivery:
        try:
            async with self._database.connection() as connection:
                delivery = await repository.find_delivery_by_reference(connection, reference)
        except DatabaseAway:
            raise away() from None
        if delivery is None or PartyId.read(delivery.owner) not in askers:
            raise NotFound("There is no CDR of yours at this URL.")
        return delivery

    async def record(
        self,
        owner: PartyId,
        id_folded: str,
        receiver: PartyId,
        outcome: Outcome,
        location: str | None,
        *,
        attempt: UUID | None = None,
        answer: OcpiResponse | HubError | None = None,
    ) -> None:
        """Write down what became of the attempt; from memory, later, when PostgreSQL is away now.

        `attempt` and `answer` are those of a post of the CPO: whoever posts the same meanwhile is told the same. A database that
        lost the CDR, as after a failover, has nothing to write it to: the operator is told.
        """
        state, now = state_of(outcome), self._clock()
        status, body = answered(outcome, answer, now)

        async def write(connection: Any) -> None:
            written = await repository.record_attempt(
                connection,
                owner,
                id_folded,
                attempt,
                state,
                now,
                location=location,
                http_status=status,
                answer=body,
                reason=reason_of(outcome),
            )
            if not written and await repository.find_delivery(connection, owner, id_folded) is None:
                self._lost(owner, id_folded, receiver, state)

        try:
            async with self._database.transaction() as connection:
                await write(connection)
        except DatabaseAway:
            self._later.add(write)

    def _lost(self, owner: PartyId, id_folded: str, receiver: PartyId, state: CdrState) -> None:
        """Posted again it is journalled again, and its receiver knows it by its id."""
        self._alarm(
            "cdr lost by the database",
            owner=str(owner),
            id=id_folded,
            receiver=str(receiver),
            state=str(state),
            way_out=f"ask {owner} to POST it again",
        )

    def _known(self, delivery: Delivery) -> OcpiResponse:
        """What is answered for a CDR that somebody else forwarded, or will."""
        if delivery.delivered:
            return self._again(delivery)
        if delivery.guaranteed:
            self._wake()
            return self._acknowledged(delivery)
        return told(delivery.http_status, delivery.answer or b"", _routing(delivery))

    def _again(self, delivery: Delivery) -> OcpiResponse:
        """HTTP 200, the receiver's own answer and the same Location (D-22)."""
        headers = {**_routing(delivery), names.LOCATION: self._url(delivery.reference)}
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


def _routing(delivery: Delivery) -> dict[str, str]:
    """Of an answer of the receiver to the CPO."""
    return names.routing_headers(to=PartyId.read(delivery.owner), sender=PartyId.read(delivery.receiver))
