"""response_url: a partner's URL goes out as one of ours, and what comes back to ours goes on to the partner's (R-73 to R-77).

Command and result are two messages, minutes apart, and the second carries nothing that tells where it belongs:

    asker --(1: command, response_url = asker's)--> hub --(2: same, response_url = hub/<ticket>)--> addressee
    addressee --(3: result to hub/<ticket>)--> hub --(4: result to the asker's URL, with the asker's token)--> asker

The ticket is committed before step 2, so that a restart between 2 and 3 loses nothing. At step 3 the caller is identified by
its token, the message by the ticket alone: real stacks send no other header (field 7). A ticket opens for the platform it was
handed to, while the two parties have an agreement. The same result posted again is answered from the first time, also while that
is under way in this process; a different one (CANCELED_RESERVATION after ACCEPTED) goes on, as long as the ticket lives.
"""

import asyncio
import hashlib
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from hub.agreements.policy import Policy
from hub.db.engine import Database, DatabaseAway
from hub.delivery.outcome import Delivered, NotSent, Outcome, Unreachable
from hub.delivery.send import DoorOut, RoutedMessage
from hub.parties.directory import Directory
from hub.parties.platforms import Caller
from hub.routing import notes, repository, response_url
from hub.routing.answers import relay
from hub.routing.decide import TicketKind
from hub.routing.findings import findings_of
from hub.routing.repository import StoredResult, StoredTicket
from hub.routing.tracing import send_traced
from hub.traces.record import Traces
from ocpi_modules import headers as names
from ocpi_modules.http.paths import endpoint_url
from ocpi_modules.message import Clock, OcpiRequest, OcpiResponse
from ocpi_modules.spec import InterfaceRole, Method, ModuleID
from ocpi_modules.status import NotAvailable, NotFound
from ocpi_modules.types import parse_datetime

GRACE = timedelta(hours=24)
LINK_LIFETIME = timedelta(hours=1)
COMMAND_TIMEOUT = timedelta(minutes=10)
"""The longest a charge point is waited for; CommandResponse.timeout is known only after the ticket was made."""
LONGEST = timedelta(days=366)
AWAY = "The hub cannot store now what this request needs remembered; try again after the time in Retry-After."


def not_available() -> NotAvailable:
    """503 + 3000 + Retry-After: nothing was forwarded (Q-04)."""
    return NotAvailable(AWAY, headers={names.RETRY_AFTER: "3"})


class Tickets:
    """`prompt` is for what a driver waits for, `database` for pages of lists."""

    def __init__(
        self,
        *,
        database: Database,
        prompt: Database,
        door: DoorOut,
        directory: Directory,
        policy: Policy,
        traces: Traces,
        clock: Clock,
        public_url: str,
    ) -> None:
        self._database = database
        self._prompt = prompt
        self._door = door
        self._directory = directory
        self._policy = policy
        self._traces = traces
        self._clock = clock
        self._public_url = public_url
        self._under_way: dict[tuple[str, bytes], asyncio.Task[OcpiResponse]] = {}

    async def swap(
        self, request: OcpiRequest, message: RoutedMessage, known_urls: list[str]
    ) -> tuple[RoutedMessage, StoredTicket]:
        """`message` with our URL in it and the ticket behind it, committed. Raises InvalidParameters or NotAvailable."""
        url = response_url.find(request)
        response_url.check_host(url, known_urls)
        assert request.endpoint.response_url is not None
        ticket = self._ticket(TicketKind.RESPONSE_URL, message, url, self._expiry(request), request.path.strip("/"))
        now = self._clock()
        learned = notes.of_request(request, now, ticket.expires_at)
        await self._store(self._prompt, lambda connection: repository.insert_ticket(connection, ticket, learned, now))
        ours = f"{endpoint_url(self._public_url, request.module, InterfaceRole.SENDER)}/{ticket.reference}"
        return response_url.replaced(message, request.endpoint.response_url, ours), ticket

    async def settle(self, ticket: StoredTicket, outcome: Outcome) -> None:
        """Forget the ticket when the request certainly reached nobody; keep it where a late result may come (M-31)."""
        unsent = isinstance(outcome, NotSent) or (isinstance(outcome, Unreachable) and not outcome.request_was_sent)
        if not unsent and notes.was_taken(outcome):
            return
        try:
            async with self._prompt.transaction() as connection:
                if unsent:
                    await repository.delete_ticket(connection, ticket.reference)
                else:
                    await repository.unlearn(connection, ticket.reference, notes.ONLY_WHEN_TAKEN)
        except DatabaseAway:
            return  # both expire by themselves

    async def link(self, message: RoutedMessage, url: str) -> str:
        """A reference for a page whose URL has no offset (R-69)."""
        ticket = self._ticket(TicketKind.LINK, message, url, self._clock() + LINK_LIFETIME, "")
        await self._store(self._database, lambda connection: repository.insert_ticket(connection, ticket))
        return ticket.reference

    async def find(self, reference: str, kind: TicketKind, opens: Callable[[StoredTicket], bool]) -> StoredTicket:
        """The ticket, where it `opens` for who asks; else NotFound (404), in the same words as for none. NotAvailable (503)."""
        try:
            database = self._database if kind is TicketKind.LINK else self._prompt
            async with database.connection() as connection:
                ticket = await repository.find_ticket(connection, reference, self._clock())
        except DatabaseAway:
            raise not_available() from None
        if ticket is None or ticket.kind != kind or not opens(ticket):
            self._traces.flagged("unknown, expired or another's ticket", ticket=reference[:6])
            raise NotFound("This URL is not, or no longer, one the hub handed out.")
        return ticket

    async def follow(self, request: OcpiRequest, caller: Caller, reference: str) -> OcpiResponse:
        """Deliver a result to the URL the asker gave, or answer the same result as the first time.

        Raises NotFound (404), NotAvailable (503), InvalidParameters (2001) for an odd result where one of the two is strict, and
        HubError.
        """

        def opens(ticket: StoredTicket) -> bool:
            agreed = self._policy.allows(ticket.addressee, ticket.asker, ModuleID(ticket.module))
            return ticket.addressee in caller.platform.party_ids and agreed

        ticket = await self.find(reference, TicketKind.RESPONSE_URL, opens)
        _ = request.document  # raises NotJson (HTTP 400)
        key = reference, hashlib.sha256(request.body).digest()
        task = self._under_way.get(key)
        if task is None:
            task = asyncio.create_task(self._answer(request, caller, ticket, key[1]), name="a result")
            self._under_way[key] = task
            task.add_done_callback(lambda done: self._ended(key, done))
        return await asyncio.shield(task)

    def _ended(self, key: tuple[str, bytes], task: asyncio.Task[OcpiResponse]) -> None:
        del self._under_way[key]
        if not task.cancelled():
            task.exception()  # those who waited have it; where all of them went, nobody is left to be told

    async def _answer(self, request: OcpiRequest, caller: Caller, ticket: StoredTicket, digest: bytes) -> OcpiResponse:
        reference = ticket.reference
        before = await self._result(reference, digest)
        if before:
            return OcpiResponse(
                before.http_status, before.answer, names.routing_headers(to=ticket.addressee, sender=ticket.asker)
            )
        outcome = await self._deliver(request, caller, ticket)
        response = relay(outcome, asker=ticket.addressee, receiver=ticket.asker)
        if isinstance(outcome, Delivered):
            stored = StoredResult(response.http_status, response.body)
            await self._remember(reference, digest, stored, taken=notes.is_taken(request.document))
        return response

    async def _deliver(self, request: OcpiRequest, caller: Caller, ticket: StoredTicket) -> Outcome:
        platform = await self._directory.platform_of(ticket.asker)
        findings = findings_of(request, caller.platform, *([platform] if platform else []))
        if platform is None or not platform.serves(ticket.asker):
            return Unreachable("it is no longer registered here.")
        message = RoutedMessage(
            method=Method.POST,
            module=ModuleID(ticket.module),
            interface=InterfaceRole.SENDER,
            to=ticket.asker,
            sender=ticket.addressee,
            body=request.body,
            correlation_id=request.correlation_id,
            url=ticket.url,
        )
        return await send_traced(self._door, self._traces, request, message, platform, findings)

    async def _result(self, reference: str, digest: bytes) -> StoredResult | None:
        try:
            async with self._prompt.connection() as connection:
                return await repository.find_result(connection, reference, digest)
        except DatabaseAway:
            raise not_available() from None

    async def _remember(self, reference: str, digest: bytes, result: StoredResult, *, taken: bool) -> None:
        try:
            async with self._prompt.transaction() as connection:
                await repository.insert_result(connection, reference, digest, result)
                if not taken:
                    await repository.unlearn(connection, reference, notes.ONLY_WHEN_TAKEN)
        except DatabaseAway:
            return  # the asker has it; a repetition would be delivered once more, which a result allows

    async def _store(self, database: Database, write: Callable[[Any], Any]) -> None:
        try:
            async with database.transaction() as connection:
                await write(connection)
        except DatabaseAway:
            raise not_available() from None

    def _expiry(self, request: OcpiRequest) -> datetime:
        """max(expiry_date of a reservation, now + timeout) + 24 h (R-74), at most a year."""
        now = self._clock()
        body = request.document if request.body else None
        expiry_date = body.get("expiry_date") if isinstance(body, dict) else None
        until = max(now + COMMAND_TIMEOUT, _instant(expiry_date) or now)
        return min(until, now + LONGEST) + GRACE

    def _ticket(
        self, kind: TicketKind, message: RoutedMessage, url: str, expires_at: datetime, command: str
    ) -> StoredTicket:
        return StoredTicket(
            reference=secrets.token_urlsafe(24),
            kind=str(kind),
            module=str(message.module),
            url=url,
            asker=message.sender,
            addressee=message.to,
            command=command,
            expires_at=expires_at,
        )


def _instant(value: object) -> datetime | None:
    try:
        return parse_datetime(value) if isinstance(value, str) else None
    except ValueError:
        return None
