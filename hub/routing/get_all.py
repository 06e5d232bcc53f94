"""GET All via Hubs: lists and single objects out of the hub's own store (transport_and_format, R-61 to R-67, U-08, U-09).

Who may see what is asked at read time: roles, agreements, and for sessions and CDRs the two parties they are between. What a
viewer may not see is answered like what is not there. Stored bytes are joined into the answer and never parsed.
"""

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping

from hub.agreements.policy import Policy
from hub.db.engine import DatabaseAway
from hub.objects.copies import Copies
from hub.objects.pages import Asking, Found, Key, Pages
from hub.parties.directory import Directory
from hub.parties.platforms import Caller
from hub.routing.decide import LINK_AFTER
from hub.traces.record import Traces
from ocpi_modules import headers as names
from ocpi_modules import paging, registry, roles, secrets
from ocpi_modules.envelope import success_with_bytes
from ocpi_modules.http.paths import endpoint_url
from ocpi_modules.message import Clock, OcpiRequest, OcpiResponse, PartyId
from ocpi_modules.secrets import CannotOpen, Keys
from ocpi_modules.spec import InterfaceRole, ModuleID, Role
from ocpi_modules.status import ClientError, InvalidParameters, NotAvailable, NotFound, UnknownReceiver

MOST_ON_A_PAGE = 100
_PURPOSE = "link of a list"


class GetAllRoute:
    """`pages` answers a module's lists; modules without an entry of their own are read with that of `None`."""

    def __init__(
        self,
        *,
        directory: Directory,
        policy: Policy,
        pages: Mapping[ModuleID | None, Pages],
        copies: Copies,
        traces: Traces,
        keys: Keys,
        clock: Clock,
        public_url: str,
    ) -> None:
        self._directory = directory
        self._policy = policy
        self._pages = pages
        self._copies = copies
        self._traces = traces
        self._keys = keys
        self._clock = clock
        self._public_url = public_url

    async def page(self, request: OcpiRequest, caller: Caller, viewer: PartyId) -> OcpiResponse:
        """One page of what `viewer` may see. Raises OcpiError: 2000 (its role does not read this), 2001, 503."""
        page = paging.parse(request.query, cap=caller.platform.switches.at_most(MOST_ON_A_PAGE))
        self._check_expected(request, caller, viewer)
        own_roles = caller.platform.roles_of(viewer)
        others, own = self._reads(request, own_roles, viewer)
        sees = self._sees(request, own_roles, viewer)
        asking = Asking(request.module, viewer, page, sees, others, own, self._key(request, viewer))
        try:
            found = await self._pages.get(request.module, self._pages[None]).read(asking)
        except DatabaseAway:
            raise _away() from None
        headers = paging.headers(page, total=found.total, link=self._link(request, asking, found))
        return self._answer((b"[", found.bodies, b"]"), viewer, headers)

    async def one(self, request: OcpiRequest, caller: Caller, viewer: PartyId) -> OcpiResponse:
        """One object, EVSE or Connector: of others on the Sender interface, the viewer's own on the Receiver interface (U-08).

        Raises OcpiError: 2000, 404 alike for what is not there and what the viewer may not see, 4001 when several owners have
        such an id (L-15), 503.
        """
        module = registry.module(request.version, request.module)
        try:
            if request.interface is InterfaceRole.RECEIVER:
                body = await self._copies.of_viewer(request, module, viewer)
            else:
                own_roles = caller.platform.roles_of(viewer)
                others, own = self._reads(request, own_roles, viewer)
                owners = await self._copies.owners(request, module, viewer, others=others, own=own)
                sees = self._sees(request, own_roles, viewer)
                visible = [owner for owner in owners if owner == viewer or sees(owner)]
                if len(visible) > 1:
                    raise UnknownReceiver(
                        "Several parties have an object with this id; name one in the OCPI-to headers."
                    )
                body = await self._copies.read(request, module, viewer, visible[0]) if visible else None
        except DatabaseAway:
            raise _away() from None
        if body is None:
            raise NotFound(f"The hub has no such object in {request.module} that {viewer} may see.")
        return self._answer((body,), viewer, {})

    def _check_expected(self, request: OcpiRequest, caller: Caller, viewer: PartyId) -> None:
        """date_from of Sessions: served without, with a mark, unless the platform is checked strictly (S-05)."""
        for name in request.endpoint.expected_query:
            if name in request.params:
                continue
            if caller.platform.switches.strict:
                raise InvalidParameters(f"{name} is required for {request.module}; give it.")
            self._traces.flagged(
                "parameter left out", request, name=name, sender=str(viewer), module=str(request.module)
            )

    def _reads(self, request: OcpiRequest, own_roles: frozenset[Role], viewer: PartyId) -> tuple[bool, bool]:
        """Whether it reads what others own, and whether it owns such objects itself (R-66)."""
        others = roles.may_call(own_roles, request.module, InterfaceRole.SENDER)
        own = not own_roles.isdisjoint(roles.owners(request.module))
        if not others and not own:
            raise ClientError(
                f"{viewer} is registered as {', '.join(sorted(own_roles)) or 'nothing'}, which does not call the SENDER "
                f"interface of {request.module}."
            )
        return others, own

    def _sees(self, request: OcpiRequest, own_roles: frozenset[Role], viewer: PartyId) -> Callable[[PartyId], bool]:
        module = request.module
        readable = roles.callees(own_roles, module, InterfaceRole.SENDER)

        def sees(owner: PartyId) -> bool:
            platform = self._directory.known_platform_of(owner)
            if platform is None or not platform.serves(owner) or readable.isdisjoint(platform.roles_of(owner)):
                return False
            return self._policy.allows(viewer, owner, module)

        return sees

    def _key(self, request: OcpiRequest, viewer: PartyId) -> Key | None:
        """The key in a Link of ours, which opens for the viewer and module it was made for."""
        given = request.params.get(LINK_AFTER)
        if given is None:
            return None
        try:
            sealed = base64.urlsafe_b64decode(given + "==")
            text = secrets.open_sealed(self._keys, sealed, owner=str(viewer), purpose=f"{_PURPOSE} {request.module}")
        except (CannotOpen, binascii.Error, ValueError):
            raise InvalidParameters(
                f"{LINK_AFTER} is not from a Link the hub handed to {viewer}; follow Links as they are, or begin the list again."
            ) from None
        owner, _, seq = text.rpartition(" ")
        return Key(owner, int(seq))

    def _link(self, request: OcpiRequest, asking: Asking, found: Found) -> str | None:
        if found.next is None:
            return None
        text, purpose = f"{found.next.owner} {found.next.seq}", f"{_PURPOSE} {request.module}"
        sealed = secrets.seal(self._keys, text, owner=str(asking.viewer), purpose=purpose)
        key = base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()  # a `=` would have to be percent-encoded
        url = endpoint_url(self._public_url, request.module, InterfaceRole.SENDER, request.version)
        offset = asking.page.offset + found.count
        return paging.link_header(url, asking.page, offset=offset, extra=[(LINK_AFTER, key)])

    def _answer(self, data: Iterable[bytes], viewer: PartyId, headers: Mapping[str, str]) -> OcpiResponse:
        routing = names.routing_headers(to=viewer, sender=self._directory.hub_party)
        return success_with_bytes(*data, now=self._clock(), headers={**headers, **routing})


def _away() -> NotAvailable:
    return NotAvailable(
        "The hub cannot read its store now; ask again after the time in Retry-After.", headers={names.RETRY_AFTER: "3"}
    )
