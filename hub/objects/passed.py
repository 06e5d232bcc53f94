"""Keeps a copy of every client owned object that passed to one party.

Nothing here refuses a message: it was delivered already. What cannot be kept leaves the older copy, marked stale.
"""

from datetime import datetime
from typing import Any

import structlog

from hub.objects.batches import Batches
from hub.objects.keep import KeptObjects, Push, Then
from hub.objects.later import LaterWrites
from hub.objects.timeliness import require_no_future
from ocpi_modules.message import Clock, OcpiRequest, PartyId
from ocpi_modules.spec import Method, ModuleSpec
from ocpi_modules.status import NotAvailable, OcpiError
from ocpi_modules.types import parse_datetime

_log = structlog.get_logger("hub.objects")


class PassedObjects:
    """One per process. Stored together with what else is pushed at the time, and waited for; never raises.

    What cannot be stored now is stored from memory later; what cannot be stored at all is told to the operator.
    """

    def __init__(self, *, batches: Batches, objects: KeptObjects, later: LaterWrites, clock: Clock) -> None:
        self._clock = clock
        self._batches = batches
        self._objects_later = objects.for_later()
        self._later = later

    async def keep(
        self,
        request: OcpiRequest,
        module: ModuleSpec,
        owner: PartyId,
        audience: PartyId,
        then: Then | None = None,
        *,
        arrived: bool = True,
    ) -> bool:
        """Keep what `request` pushed for one receiver; `then` is done in the same transaction when something changed.

        What is dated more than a day from now is not kept: it would win against all that follows (Q-06). False: it is not kept,
        and where it `arrived` the older copy is stale by it.
        """
        try:
            await self._store(Push.of(request, module, owner, str(audience), self._said(request)), then)
            return True
        except OcpiError as error:
            _log.info("not kept", owner=str(owner), module=str(module.id), reason=error.message)
        except Exception as error:
            _log.error("not kept", owner=str(owner), module=str(module.id), reason=type(error).__name__)
        if arrived:
            await self.mark_stale(request, module, owner, audience)
        return False

    async def mark_stale(self, request: OcpiRequest, module: ModuleSpec, owner: PartyId, audience: PartyId) -> None:
        """Note that the kept copy is older than what the owner pushed now; one that is newer stays what it is."""
        try:
            await self._store(Push.of(request, module, owner, str(audience), _instant(request), unfit=True))
        except Exception as error:
            _log.error("not marked stale", owner=str(owner), module=str(module.id), reason=type(error).__name__)

    async def _store(self, push: Push, then: Then | None = None) -> None:
        """Raises OcpiError when there is nothing to merge into."""

        async def write(connection: Any) -> None:
            await self._objects_later.apply(connection, push, then)

        if len(self._later):
            self._later.add(write)  # behind what waits already, or a PATCH would overtake its PUT
            return
        try:
            await self._batches.store(push, then, delivered=True)
        except NotAvailable:
            self._later.add(write)

    def _said(self, request: OcpiRequest) -> datetime | None:
        """The last_updated of a PUT, whose body was read before it was delivered. Raises InvalidParameters."""
        if request.method not in (Method.PUT, Method.PATCH):
            return None
        when = require_no_future(request.document["last_updated"], self._clock())
        return when if request.method is Method.PUT else None


def _instant(request: OcpiRequest) -> datetime | None:
    """The last_updated of a push that is odd otherwise, None where it cannot be read."""
    try:
        return parse_datetime(str(request.document["last_updated"]))
    except (OcpiError, KeyError, TypeError, ValueError):
        return None
