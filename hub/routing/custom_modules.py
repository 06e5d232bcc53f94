"""Custom modules via Hub: opaque, from one party to another that both list the same identifier (R-108, U-45).

Never broadcast, never open-routed, never kept: the hub knows nothing of what is in them. A page's Link is not passed, because
it would lead to the receiver, for which the asker has no token.
"""

from hub.agreements.policy import Policy
from hub.delivery.send import DoorOut, RoutedMessage
from hub.parties.directory import Directory
from hub.parties.platforms import Caller, Platform
from hub.routing.answers import relay
from hub.routing.tracing import send_traced
from hub.traces.record import Traces
from ocpi_modules.message import OcpiRequest, OcpiResponse, PartyId
from ocpi_modules.spec import ModuleID
from ocpi_modules.status import ConnectionProblem, HubError, NotFound, UnknownReceiver


class CustomModulesRoute:
    """Forwards what a custom module carries."""

    def __init__(self, *, directory: Directory, policy: Policy, door: DoorOut, traces: Traces) -> None:
        self._directory = directory
        self._policy = policy
        self._door = door
        self._traces = traces

    async def forward(self, request: OcpiRequest, caller: Caller, sender: PartyId, receiver: PartyId) -> OcpiResponse:
        """The receiver's answer, byte for byte. Raises OcpiError: 404 when the sender does not list the module itself, 4001,
        4003, 4000 when the receiver does not list it."""
        if request.custom not in caller.platform.custom_modules:
            raise NotFound(f"Your platform does not list a module {request.custom}, so it is not offered to it here.")
        platform = await self._receiving_platform(request, sender, receiver)
        message = RoutedMessage.of(request, to=receiver, sender=sender)
        outcome = await send_traced(self._door, self._traces, request, message, platform)
        return relay(outcome, asker=sender, receiver=receiver)

    async def _receiving_platform(self, request: OcpiRequest, sender: PartyId, receiver: PartyId) -> Platform:
        platform = await self._directory.platform_of(receiver)
        if platform is None or not self._policy.allows(sender, receiver, ModuleID.custom):
            raise UnknownReceiver(
                f"OCPI-to names {receiver}, which is no party here that {sender} has an agreement with."
            )
        if not (platform.connected and platform.serves(receiver)):
            raise ConnectionProblem(f"{receiver} is not connected; GET hubclientinfo tells when it is back.")
        if platform.endpoint(request.custom, request.interface) is None:
            raise HubError(f"{receiver} does not offer the {request.interface} interface of {request.custom}.")
        return platform
