"""Open Routing Request: no receiver is named, so the content decides (transport_and_format, R-54 to R-60).

The found party is then treated as if the asker had named it, by the same code. Only parties the asker may reach count: what is
not for it is answered like what is not there. Several possible receivers are never guessed between (R-59).
"""

from collections.abc import Iterable

from hub.parties.directory import Directory
from hub.parties.platforms import Caller
from hub.routing.authorize_fan_out import AuthorizeFanOut
from hub.routing.clues import Clue, Find, clues_of
from hub.routing.owners import Owners
from hub.routing.ownership import check_ownership
from hub.routing.party_to_party import PartyToPartyRoute
from hub.routing.prompt import is_prompt
from ocpi_modules import registry
from ocpi_modules.message import OcpiRequest, OcpiResponse, PartyId
from ocpi_modules.spec import InterfaceRole, ModuleID, Role
from ocpi_modules.status import InvalidParameters, OcpiError, UnknownReceiver, UnknownToken

_WAY_OUT = "name the receiver in OCPI-to-country-code and OCPI-to-party-id."


class OpenRoutingRoute:
    """Without `fan_out` a token nobody showed the hub is unknown. `prompt_owners` are asked where a driver waits (Q-09)."""

    def __init__(
        self,
        *,
        directory: Directory,
        route: PartyToPartyRoute,
        owners: Owners,
        prompt_owners: Owners,
        fan_out: AuthorizeFanOut | None = None,
    ) -> None:
        self._directory = directory
        self._route = route
        self._owners = owners
        self._prompt_owners = prompt_owners
        self._fan_out = fan_out

    async def forward(self, request: OcpiRequest, caller: Caller, sender: PartyId) -> OcpiResponse:
        """The found receiver's answer, FROM = that receiver (R-56).

        Raises OcpiError: 4001 when nobody or more than one is found (2001 where TO names the hub and the module is never
        broadcast, U-18), 404 + 2004 for an unknown token at authorize (R-60), 503, and whatever a direct message is refused with.
        """
        self._route.check_caller(request, caller, sender)
        check_ownership(request, registry.module(request.version, request.module), sender, None)
        clues = clues_of(request)
        for clue in clues:
            found = await self._reachable(clue, request, caller, sender)
            if len(found) > 1:
                raise _refusal(request, f"More than one party has a {clue.what};")
            if found:
                return await self._route.forward(request, caller, sender, found[0])
        if request.module is ModuleID.tokens and clues:
            return await self._authorize_unknown(request, caller, sender)
        raise _refusal(request, _nobody(clues))

    async def _reachable(self, clue: Clue, request: OcpiRequest, caller: Caller, sender: PartyId) -> list[PartyId]:
        """The parties behind the clue that a direct message might name."""
        owners = self._prompt_owners if is_prompt(request) else self._owners
        behind = await owners.behind(clue, sender)
        found = [party for party in behind if await self._route.may_reach(request, caller, sender, party)]
        if clue.find is Find.DRIVER:
            found = [party for party in found if self._roles_of(party) != {Role.SCSP}]
        serving = [party for party in found if self._serves(party)]
        found = serving or found
        if len(found) > 1 and clue.find is Find.LOCATION and clue.detail:
            return await owners.with_evse(clue, sender, found) or found
        return found

    async def _authorize_unknown(self, request: OcpiRequest, caller: Caller, sender: PartyId) -> OcpiResponse:
        """As an eMSP says it, so that the CPO's ordinary handling of unknown tokens works (R-60)."""
        answer = await self._fan_out.ask(request, caller, sender) if self._fan_out else None
        if answer is None:
            raise UnknownToken("No eMSP you have an agreement with has shown this token to the hub.", http_status=404)
        return answer

    def _roles_of(self, party: PartyId) -> Iterable[Role]:
        platform = self._directory.known_platform_of(party)
        return platform.roles_of(party) if platform else frozenset()

    def _serves(self, party: PartyId) -> bool:
        platform = self._directory.known_platform_of(party)
        return platform is not None and platform.serves(party)


def _nobody(clues: tuple[Clue, ...]) -> str:
    if not clues:
        return "The content of this request does not tell who it is for;"
    return f"The hub knows no party you can reach with a {' or '.join(clue.what for clue in clues)};"


def _refusal(request: OcpiRequest, finding: str) -> OcpiError:
    if request.to is not None and request.interface is InterfaceRole.RECEIVER:
        return InvalidParameters(
            f"{request.module} are never broadcast, so OCPI-to cannot name the hub. {finding} {_WAY_OUT}"
        )
    return UnknownReceiver(f"{finding} {_WAY_OUT}")
