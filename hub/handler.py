"""The map of the hub: every request that comes in is authenticated, decided, and taken by one of eight routes."""

from collections.abc import Callable
from time import perf_counter_ns
from typing import Protocol

from hub.parties.directory import Directory
from hub.parties.platforms import Caller, Platform
from hub.routing.broadcast_push import BroadcastPushRoute
from hub.routing.custom_modules import CustomModulesRoute
from hub.routing.decide import (
    BroadcastPush,
    CustomModule,
    GetAll,
    OpenRouting,
    OwnCopy,
    OwnModule,
    PartyToParty,
    Route,
    Ticket,
    TicketKind,
    decide,
)
from hub.routing.get_all import GetAllRoute
from hub.routing.open_routing import OpenRoutingRoute
from hub.routing.party_to_party import PartyToPartyRoute
from hub.routing.prompt import is_prompt
from hub.routing.tickets import Tickets
from hub.traces.record import Traces
from ocpi_modules import headers as names
from ocpi_modules import registry
from ocpi_modules.message import OcpiRequest, OcpiResponse, PartyId
from ocpi_modules.spec import Kind
from ocpi_modules.status import HubError, InvalidParameters, OcpiError


class OwnModules(Protocol):
    """versions, credentials and hubclientinfo."""

    async def answer(self, request: OcpiRequest, caller: Caller) -> OcpiResponse: ...


class HubHandler:
    """Implements `ocpi_modules.message.Handler`. `seen` hears of every authenticated request (H-14); `admit` may refuse it for
    its platform (U-36), unheard and untraced, so that a flood costs little; it is told whether a driver waits for it."""

    def __init__(
        self,
        *,
        directory: Directory,
        own_modules: OwnModules,
        party_to_party: PartyToPartyRoute,
        custom_modules: CustomModulesRoute,
        get_all: GetAllRoute,
        open_routing: OpenRoutingRoute,
        broadcast_push: BroadcastPushRoute,
        tickets: Tickets,
        traces: Traces,
        seen: Callable[[Platform], None],
        admit: Callable[[Platform, bool], None],
    ) -> None:
        self._directory = directory
        self._own_modules = own_modules
        self._party_to_party = party_to_party
        self._custom_modules = custom_modules
        self._get_all = get_all
        self._open_routing = open_routing
        self._broadcast_push = broadcast_push
        self._tickets = tickets
        self._traces = traces
        self._seen = seen
        self._admit = admit

    async def handle(self, request: OcpiRequest) -> OcpiResponse:
        """Answer one request. Raises OcpiError; a refusal of a functional module says that it is the hub's (R-26)."""
        began, route = perf_counter_ns(), None
        caller = await self._authenticate(request, began)
        self._admitted(request, caller)
        self._seen(caller.platform)
        try:
            module = registry.module(request.version, request.module)
            route = decide(request, caller.party, module, self._directory.hub_party)
            answer = await self._take(route, request, caller)
        except Exception as error:
            self._traces.refused(request, caller, route, error, began)
            if (
                isinstance(error, OcpiError)
                and registry.module(request.version, request.module).kind is Kind.FUNCTIONAL
            ):
                error.headers |= names.routing_headers(to=caller.party, sender=self._directory.hub_party)
            raise
        self._traces.answered(request, caller, route, answer, began)
        return answer

    async def _authenticate(self, request: OcpiRequest, began: int) -> Caller:
        try:
            return await self._directory.authenticate(request)
        except InvalidParameters as refusal:  # the token is known, its FROM party is not
            self._traces.refused(request, None, None, refusal, began)
            raise
        except OcpiError as refusal:
            self._traces.turned_away["unavailable" if refusal.http_status >= 500 else "unauthenticated"] += 1
            raise

    def _admitted(self, request: OcpiRequest, caller: Caller) -> None:
        try:
            self._admit(caller.platform, is_prompt(request))
        except OcpiError:
            self._traces.turned_away["too many"] += 1
            raise

    async def _take(self, route: Route, request: OcpiRequest, caller: Caller) -> OcpiResponse:
        match route:
            case Ticket(TicketKind.RESPONSE_URL, reference):
                return await self._tickets.follow(request, caller, reference)
            case Ticket(TicketKind.CDR_LOCATION, reference):
                return await self._party_to_party.follow_location(request, caller, reference)
            case Ticket(TicketKind.LINK, reference):
                return await self._party_to_party.follow_link(request, caller, _sender(caller), reference)
            case OwnModule():
                return await self._own_modules.answer(request, caller)
            case CustomModule(receiver):
                return await self._custom_modules.forward(request, caller, _sender(caller), receiver)
            case PartyToParty(receiver):
                return await self._party_to_party.forward(request, caller, _sender(caller), receiver)
            case BroadcastPush():
                return await self._broadcast_push.accept(request, caller, _sender(caller))
            case GetAll():
                return await self._get_all.page(request, caller, _sender(caller))
            case OwnCopy():
                return await self._get_all.one(request, caller, _sender(caller))
            case OpenRouting():
                return await self._open_routing.forward(request, caller, _sender(caller))
            case Ticket():
                raise HubError("This URL is not one the hub handed out.")


def _sender(caller: Caller) -> PartyId:
    if caller.party is None:
        raise InvalidParameters("OCPI-from-country-code and OCPI-from-party-id are missing; name the sending party.")
    return caller.party
