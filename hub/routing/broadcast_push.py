"""Broadcast Push: stored and answered here, delivered afterwards (transport_and_format, R-36 to R-53, U-15 to U-17).

After the answer there is no way to tell the pusher anything, so everything is checked before it, and strictly, unlike a message
to one party. One transaction holds the object and one row of the change log, however many receivers there are.
"""

from collections.abc import Callable
from datetime import datetime

from hub.delivery.destinations import Fresh
from hub.objects.batches import Batches
from hub.objects.keep import Push
from hub.objects.listing import EVERYBODY
from hub.objects.timeliness import require_no_future
from hub.parties.platforms import Caller
from hub.routing.ownership import check_ownership
from hub.traces.record import Traces
from ocpi_modules import envelope, registry, roles, validation
from ocpi_modules import headers as names
from ocpi_modules.message import Clock, OcpiRequest, OcpiResponse, PartyId
from ocpi_modules.spec import InterfaceRole, Method, ModuleID, ModuleSpec
from ocpi_modules.status import ClientError

OLDER = "older than what is kept"
"""Q-06: the push changed nothing."""


class BroadcastPushRoute:
    """`told` hears of every change after its commit; it must not wait."""

    def __init__(
        self,
        *,
        hub_party: PartyId,
        batches: Batches,
        clock: Clock,
        traces: Traces,
        told: Callable[[Fresh], None],
    ) -> None:
        self._hub_party = hub_party
        self._batches = batches
        self._clock = clock
        self._traces = traces
        self._told = told

    async def accept(self, request: OcpiRequest, caller: Caller, sender: PartyId) -> OcpiResponse:
        """1000 once it is stored; raises OcpiError, NotAvailable (503) when it cannot be stored now."""
        module = registry.module(request.version, request.module)
        last_updated = self._check(request, module, caller, sender)
        push = Push.of(request, module, sender, EVERYBODY, last_updated)
        version = await self._batches.store(push)
        if version is not None:
            self._told(_fresh(request, push, version))
        elif request.method is not Method.DELETE:
            self._traces.noted(OLDER, request)
        return envelope.success(
            now=self._clock(),
            http_status=201 if version == 1 else 200,
            message=_sentence(request, version),
            headers=names.routing_headers(to=sender, sender=self._hub_party),
        )

    def _check(self, request: OcpiRequest, module: ModuleSpec, caller: Caller, sender: PartyId) -> datetime | None:
        """Its last_updated; None for a DELETE."""
        own = caller.platform.roles_of(sender)
        if not roles.may_call(own, request.module, InterfaceRole.RECEIVER):
            listed = ", ".join(sorted(own)) or "nothing"
            raise ClientError(f"{sender} is registered as {listed}, which does not push {request.module}.")
        check_ownership(request, module, sender, None)
        if request.endpoint.body is None:
            return None
        validation.require(request.endpoint.body, request.document)
        return require_no_future(request.document["last_updated"], self._clock())


def _fresh(request: OcpiRequest, push: Push, version: int) -> Fresh:
    token = request.document if request.module is ModuleID.tokens and request.method is not Method.DELETE else {}
    revoked = token.get("valid") is False or token.get("whitelist") == "NEVER"
    return Fresh(
        key=push.key,
        version=version,
        method=request.method,
        path=request.path,
        query=request.query,
        body=request.body,
        correlation_id=request.correlation_id,
        revoked=revoked,
    )


def _sentence(request: OcpiRequest, version: int | None) -> str:
    if version is not None:
        return "Success"
    if request.method is Method.DELETE:
        return "There is no such object here; nothing was deleted."
    return "The hub has a newer last_updated of this object; nothing was changed."
