"""Party to Party via Hub: one message, one receiver, one answer, byte for byte (transport_and_format, R-11 to R-30).

What is refused is refused before anything leaves; what has left is answered with what came back, and only then is a copy kept.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Protocol

from hub.agreements.policy import Policy
from hub.delivery.outcome import Delivered, Outcome, Unreachable, may_have_arrived, reached_nobody
from hub.delivery.send import DoorOut, RoutedMessage
from hub.parties.directory import Directory
from hub.parties.platforms import Caller, Platform
from hub.routing import links
from hub.routing.answers import relay
from hub.routing.decide import LINK_TICKET, TicketKind
from hub.routing.findings import findings_of
from hub.routing.notes import Notes
from hub.routing.ownership import check_ownership
from hub.routing.tickets import Tickets
from hub.routing.tracing import send_traced
from hub.traces.record import Traces
from ocpi_modules import headers as names
from ocpi_modules import registry, roles
from ocpi_modules.http.paths import endpoint_url
from ocpi_modules.message import OcpiRequest, OcpiResponse, PartyId
from ocpi_modules.spec import InterfaceRole, Method, ModuleID, ModuleSpec, Role
from ocpi_modules.status import ClientError, ConnectionProblem, HubError, UnknownReceiver

_NOT_NOW = "it is registered here but away now; GET hubclientinfo tells when it is back."


@dataclass(slots=True)
class Forward:
    """A message that was admitted: from whom, to whom, and what is odd about it."""

    request: OcpiRequest
    module: ModuleSpec
    sender: PartyId
    receiver: PartyId
    platform: Platform
    asker: Platform
    findings: tuple[str, ...] = ()


class Located(Protocol):
    """Where a Location of ours leads; `url` is None where the hub's own copy stands behind it (D-21)."""

    @property
    def owner(self) -> PartyId: ...

    @property
    def receiver(self) -> PartyId: ...

    @property
    def url(self) -> str | None: ...


class Cdrs(Protocol):
    """The CDR journal, as routing sees it."""

    async def post(
        self,
        request: OcpiRequest,
        sender: PartyId,
        receiver: PartyId,
        send: Callable[[], Awaitable[Outcome]],
        relay: Callable[[Outcome], OcpiResponse],
        endpoint: str,
        findings: tuple[str, ...] = (),
        *,
        within: timedelta,
    ) -> OcpiResponse: ...

    async def locate(self, reference: str, askers: Collection[PartyId]) -> Located: ...

    async def read(self, reference: str, askers: Collection[PartyId]) -> OcpiResponse: ...


class KeptObjects(Protocol):
    """The kept copies, as routing sees them. Never raises: what was delivered is answered."""

    async def keep(self, request: OcpiRequest, module: ModuleSpec, owner: PartyId, audience: PartyId) -> bool: ...

    async def mark_stale(self, request: OcpiRequest, module: ModuleSpec, owner: PartyId, audience: PartyId) -> None: ...


class Sessions(Protocol):
    """Whose sessions are whose, as routing sees it."""

    async def check(self, request: OcpiRequest, caller: Caller, sender: PartyId, receiver: PartyId) -> None: ...


class Missed(Protocol):
    """What is done about a Session that reached nobody. Never raises."""

    async def missed(
        self,
        request: OcpiRequest,
        module: ModuleSpec,
        owner: PartyId,
        receiver: PartyId,
        *,
        flagged: bool,
        in_doubt: bool,
    ) -> None: ...

    async def before_cdr(self, cdr: Mapping[str, Any], owner: PartyId, receiver: PartyId) -> None: ...


class PartyToPartyRoute:
    def __init__(
        self,
        *,
        directory: Directory,
        policy: Policy,
        door: DoorOut,
        tickets: Tickets,
        cdrs: Cdrs,
        objects: KeptObjects,
        sessions: Sessions,
        notes: Notes,
        missed: Missed,
        traces: Traces,
        public_url: str,
    ) -> None:
        self._directory = directory
        self._policy = policy
        self._door = door
        self._tickets = tickets
        self._cdrs = cdrs
        self._objects = objects
        self._sessions = sessions
        self._notes = notes
        self._missed = missed
        self._traces = traces
        self._public_url = public_url

    async def forward(self, request: OcpiRequest, caller: Caller, sender: PartyId, receiver: PartyId) -> OcpiResponse:
        """The receiver's answer. Raises OcpiError for what is refused or has no answer."""
        forward = await self._admit(request, caller, sender, receiver)
        await self._sessions.check(request, caller, sender, receiver)
        message = RoutedMessage.of(request, to=receiver, sender=sender)
        if request.endpoint.location_header:
            return await self._post_cdr(forward, message)
        if request.endpoint.response_url:
            return await self._with_ticket(forward, message)
        if request.endpoint.is_list:
            query = links.at_most(links.without_our_parameters(message.query), forward.platform.switches.page_cap)
            return await self._page(forward, replace(message, query=query))
        outcome = await self._send_if_connected(forward, message)
        await self._keep(forward, outcome)
        self._notes.passed(request, sender, receiver, outcome, flagged=bool(forward.findings))
        return relay(outcome, asker=sender, receiver=receiver)

    async def ask(self, request: OcpiRequest, caller: Caller, sender: PartyId, receiver: PartyId) -> Outcome:
        """One attempt at one of several possible receivers; `answer` makes the answer of the one that counts."""
        forward = await self._admit(request, caller, sender, receiver)
        return await self._send(forward, RoutedMessage.of(request, to=receiver, sender=sender))

    def answer(self, request: OcpiRequest, sender: PartyId, receiver: PartyId, outcome: Outcome) -> OcpiResponse:
        """What the asker gets of an `ask`."""
        self._notes.passed(request, sender, receiver, outcome, flagged=False)
        return relay(outcome, asker=sender, receiver=receiver)

    def check_caller(self, request: OcpiRequest, caller: Caller, sender: PartyId) -> Collection[Role]:
        """The sender's roles. Raises ClientError (2000) when none of them calls this interface (R-83)."""
        own_roles = caller.platform.roles_of(sender)
        if not roles.may_call(own_roles, request.module, request.interface):
            raise ClientError(
                f"{sender} is registered as {_listed(own_roles)}, which does not call the {request.interface} interface of "
                f"{request.module}."
            )
        return own_roles

    async def may_reach(self, request: OcpiRequest, caller: Caller, sender: PartyId, receiver: PartyId) -> bool:
        """Whether `receiver` exists for the sender and has a role this request is for; `forward` asks the same."""
        platform = await self._directory.platform_of(receiver)
        if platform is None or not self._policy.allows(sender, receiver, request.module):
            return False
        own, theirs = caller.platform.roles_of(sender), platform.roles_of(receiver)
        return not theirs or roles.may_exchange(own, request.module, request.interface, theirs)

    async def follow_link(self, request: OcpiRequest, caller: Caller, sender: PartyId, reference: str) -> OcpiResponse:
        """The next page of a list whose Link had no offset (R-69)."""
        ticket = await self._tickets.find(
            reference, TicketKind.LINK, lambda found: found.asker == sender and found.module == request.module
        )
        forward = await self._admit(request, caller, sender, ticket.addressee)
        message = RoutedMessage.of(request, to=ticket.addressee, sender=sender)
        return await self._page(forward, replace(message, url=ticket.url))

    async def follow_location(self, request: OcpiRequest, caller: Caller, reference: str) -> OcpiResponse:
        """GET of a CDR at the Location its POST was answered with: from the receiver, or from the journal (D-20, D-21)."""
        askers = caller.platform.party_ids
        located = await self._cdrs.locate(reference, askers)
        if located.url is None:
            return await self._cdrs.read(reference, askers)
        forward = await self._admit(request, caller, located.owner, located.receiver)
        message = RoutedMessage.of(request, to=located.receiver, sender=located.owner)
        outcome = await self._send(forward, replace(message, path="", query="", url=located.url))
        return relay(outcome, asker=located.owner, receiver=located.receiver)

    async def _admit(self, request: OcpiRequest, caller: Caller, sender: PartyId, receiver: PartyId) -> Forward:
        """Refuse what may not pass, in the order: the caller's fault, the receiver's state, the content."""
        module = registry.module(request.version, request.module)
        own_roles = self.check_caller(request, caller, sender)
        platform = await self._receiving_platform(request, sender, receiver)
        self._check_receiver(request, own_roles, platform, receiver)
        check_ownership(request, module, sender, receiver if _has_drivers(platform, receiver) else None)
        findings = findings_of(request, caller.platform, platform)
        return Forward(request, module, sender, receiver, platform, caller.platform, findings)

    async def _receiving_platform(self, request: OcpiRequest, sender: PartyId, receiver: PartyId) -> Platform:
        """4001 in the same words for a party nobody has and for one without an agreement, whatever its state (R-21, R-28)."""
        platform = await self._directory.platform_of(receiver)
        if platform is None or not self._policy.allows(sender, receiver, request.module):
            raise UnknownReceiver(
                f"OCPI-to names {receiver}, which is no party here that {sender} has an agreement with."
            )
        return platform

    def _check_receiver(
        self, request: OcpiRequest, own_roles: Collection[Role], platform: Platform, receiver: PartyId
    ) -> None:
        theirs = platform.roles_of(receiver)
        if theirs and not roles.may_exchange(own_roles, request.module, request.interface, theirs):
            raise ClientError(
                f"{receiver} is registered as {_listed(theirs)}, which is not called by {_listed(own_roles)} on the "
                f"{request.interface} interface of {request.module}."
            )
        if request.endpoint.location_header or _is_session_push(request):
            return  # kept first, whatever the receiver's state: `_send_if_connected`
        if not _connected(platform, receiver):
            raise ConnectionProblem(f"{receiver} is not connected: {_NOT_NOW}")
        if platform.endpoint(request.module, request.interface) is None:
            raise HubError(f"{receiver} does not offer the {request.interface} interface of {request.module}.")

    async def _send(self, forward: Forward, message: RoutedMessage) -> Outcome:
        return await send_traced(self._door, self._traces, forward.request, message, forward.platform, forward.findings)

    async def _post_cdr(self, forward: Forward, message: RoutedMessage) -> OcpiResponse:
        seconds = self._door.seconds(message, forward.platform) + self._door.push_seconds(forward.platform)
        return await self._cdrs.post(
            forward.request,
            forward.sender,
            forward.receiver,
            send=lambda: self._send_cdr(forward, message),
            relay=lambda outcome: relay(outcome, asker=forward.sender, receiver=forward.receiver),
            endpoint=_endpoint(forward),
            findings=forward.findings,
            within=timedelta(seconds=seconds),
        )

    async def _send_cdr(self, forward: Forward, message: RoutedMessage) -> Outcome:
        if _connected(forward.platform, forward.receiver):
            await self._missed.before_cdr(forward.request.document, forward.sender, forward.receiver)
        return await self._send_if_connected(forward, message)

    async def _send_if_connected(self, forward: Forward, message: RoutedMessage) -> Outcome:
        """A receiver that is away is an outcome like any other: CDRs are journalled, Sessions owed."""
        if not _connected(forward.platform, forward.receiver):
            return Unreachable(_NOT_NOW)
        return await self._send(forward, message)

    async def _with_ticket(self, forward: Forward, message: RoutedMessage) -> OcpiResponse:
        """The answer is whole before the work is done, and some stacks (Starlette's background tasks) read no other request
        of the connection until it is: it carries no other."""
        message, ticket = await self._tickets.swap(forward.request, message, _urls(forward.asker))
        outcome = await self._send(forward, replace(message, last=True))
        await self._tickets.settle(ticket, outcome)
        return relay(outcome, asker=forward.sender, receiver=forward.receiver)

    async def _keep(self, forward: Forward, outcome: Outcome) -> None:
        request = forward.request
        arrived = isinstance(outcome, Delivered)
        if not (_is_push(request) if arrived else _is_session_push(request) and reached_nobody(outcome)):
            return
        what = request, forward.module, forward.sender, forward.receiver
        flagged = bool(forward.findings)
        if not arrived:
            await self._missed.missed(*what, flagged=flagged, in_doubt=may_have_arrived(outcome))
        elif flagged:
            await self._objects.mark_stale(*what)
        else:
            await self._objects.keep(*what)

    async def _page(self, forward: Forward, message: RoutedMessage) -> OcpiResponse:
        """A list: body and counts pass, the Link leads to the hub (R-68)."""
        outcome = await self._send(forward, message)
        response = relay(outcome, asker=forward.sender, receiver=forward.receiver)
        link = outcome.headers.get("link") if isinstance(outcome, Delivered) else None
        if not link:
            return response
        url = await self._our_link(forward, message, link)
        return replace(response, headers={**response.headers, names.LINK: f'<{url}>; rel="next"'}) if url else response

    async def _our_link(self, forward: Forward, message: RoutedMessage, link: str) -> str | None:
        request = forward.request
        ours = endpoint_url(self._public_url, request.module, request.interface)
        try:
            following = links.rewrite(link, endpoint=_endpoint(forward), ours=ours, receiver=forward.receiver)
        except ValueError as error:
            raise HubError(f"The next page cannot be reached: {error}.") from None
        if isinstance(following, links.BehindTicket):
            return f"{ours}?{LINK_TICKET}={await self._tickets.link(message, following.url)}"
        if following and following.repaired:
            self._traces.flagged("link repaired", request, receiver=str(forward.receiver), module=str(request.module))
        return following.url if following else None


def _is_push(request: OcpiRequest) -> bool:
    return "country_code" in request.endpoint.names and request.method is not Method.GET


def _is_session_push(request: OcpiRequest) -> bool:
    pushes = request.method in (Method.PUT, Method.PATCH)
    return pushes and request.module is ModuleID.sessions and request.interface is InterfaceRole.RECEIVER


def _has_drivers(platform: Platform, receiver: PartyId) -> bool:
    """An SCSP gets Sessions of other parties' drivers (R-92)."""
    return platform.roles_of(receiver) != {Role.SCSP}


def _connected(platform: Platform, receiver: PartyId) -> bool:
    return platform.connected and platform.serves(receiver)


def _endpoint(forward: Forward) -> str:
    return forward.platform.endpoint(forward.request.module, forward.request.interface) or ""


def _urls(platform: Platform) -> list[str]:
    """The URLs a platform registered."""
    return [*([platform.versions_url] if platform.versions_url else []), *platform.endpoints.values()]


def _listed(names: Collection[Role]) -> str:
    return ", ".join(sorted(names)) or "nothing"
