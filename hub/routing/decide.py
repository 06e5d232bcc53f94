"""Which route a request takes. Pure: the header tables of transport_and_format, Message Routing, read from top to bottom.

There is no default branch: what nothing above claims is an Open Routing Request, the only route that looks into the content.
"""

from dataclasses import dataclass
from enum import StrEnum

from ocpi_modules.message import OcpiRequest, PartyId
from ocpi_modules.spec import InterfaceRole, Kind, Method, ModuleID, ModuleSpec
from ocpi_modules.status import ClientError

LINK_TICKET = "hub_link"
LINK_RECEIVER = "hub_to"
LINK_AFTER = "hub_after"
"""Parameters the hub adds to the Links it writes; all are taken out again before a forward (R-70)."""


class TicketKind(StrEnum):
    RESPONSE_URL = "RESPONSE_URL"
    CDR_LOCATION = "CDR_LOCATION"
    LINK = "LINK"


@dataclass(frozen=True)
class Ticket:
    """A URL the hub handed out itself; it means nothing but what the hub remembers of it."""

    kind: TicketKind
    reference: str


@dataclass(frozen=True)
class OwnModule:
    """A configuration module: ends at the hub (R-02, R-107)."""


@dataclass(frozen=True)
class PartyToParty:
    receiver: PartyId


@dataclass(frozen=True)
class BroadcastPush:
    """To everybody entitled (R-36)."""


@dataclass(frozen=True)
class GetAll:
    """A list of everybody's objects out of the hub's own store (R-61, R-64)."""


@dataclass(frozen=True)
class OwnCopy:
    """One object out of the hub's own store (U-08)."""


@dataclass(frozen=True)
class OpenRouting:
    """No receiver named: the content decides (R-54)."""


@dataclass(frozen=True)
class CustomModule:
    """Something of a module that OCPI does not define, opaque (R-108)."""

    receiver: PartyId


Route = CustomModule | Ticket | OwnModule | PartyToParty | BroadcastPush | GetAll | OwnCopy | OpenRouting


def decide(request: OcpiRequest, sender: PartyId | None, module: ModuleSpec, hub_party: PartyId) -> Route:
    """The route of a request from `sender` (None only where FROM has no meaning).

    Whether a named receiver exists is not looked at: only the route may say so, and to whom (R-21, R-28). Raises ClientError
    (2000) for a list GET on a Receiver interface.
    """
    ticket = _ticket(request)
    if ticket:
        return ticket
    if module.kind is Kind.CONFIGURATION:
        return OwnModule()
    to = addressee(request)
    if module.id is ModuleID.custom:
        return CustomModule(_named(to, hub_party))
    if _lists_own_store(request, to, sender, hub_party):
        return GetAll()
    if to is not None and to != hub_party:
        return PartyToParty(to)
    return _without_receiver(request, to, module)


def addressee(request: OcpiRequest) -> PartyId | None:
    """The TO party: from the headers, else from a Link the hub rewrote (R-70)."""
    if request.to is not None or not request.endpoint.is_list:
        return request.to
    written = request.params.get(LINK_RECEIVER, "")
    return PartyId.read(written) if "*" in written else None


def _ticket(request: OcpiRequest) -> Ticket | None:
    if request.endpoint.self_defined:
        kind = TicketKind.CDR_LOCATION if request.module is ModuleID.cdrs else TicketKind.RESPONSE_URL
        return Ticket(kind, request.path.strip("/"))
    if request.endpoint.is_list and LINK_TICKET in request.params:
        return Ticket(TicketKind.LINK, request.params[LINK_TICKET])
    return None


def _lists_own_store(request: OcpiRequest, to: PartyId | None, sender: PartyId | None, hub: PartyId) -> bool:
    """TO = hub, none (U-09), or the caller's own party, as a widely used export client sends (field 2)."""
    if request.method is not Method.GET or not request.endpoint.is_list:
        return False
    return request.interface is InterfaceRole.SENDER and to in (None, hub, sender)


def _named(to: PartyId | None, hub: PartyId) -> PartyId:
    if to is None or to == hub:
        raise ClientError("Custom modules go from party to party: name the receiver in the OCPI-to headers.")
    return to


def _without_receiver(request: OcpiRequest, to: PartyId | None, module: ModuleSpec) -> Route:
    """TO is the hub or left out."""
    if request.method is not Method.GET:
        broadcast = module.broadcast and request.interface is InterfaceRole.RECEIVER
        return BroadcastPush() if broadcast else OpenRouting()
    if request.endpoint.is_list:
        raise ClientError("A list cannot be asked of a Receiver interface; GET it from the Sender interface.")
    if to is not None and module.id is not ModuleID.chargingprofiles:
        return OwnCopy()
    return OpenRouting()
