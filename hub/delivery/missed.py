"""Sessions that reached nobody: their latest state is kept, and put by the owner's name when the receiver is back.

The owner was told so (4002 or 4003), by this hub or by another one before the receiver, and may push again; the receiver ends
with the latest state either way. Only a PUT repairs a missed PATCH, because a PATCH adds charging periods (S-10, contracts
section 7).

What goes out again is the latest state or nothing. A push with findings is not kept (contracts section 4), so where one was
missed the hub does not have the latest state: the older copy is marked stale, an older debt is let go with it, and the owner, who
was told, pushes again. A PATCH that follows is merged into that copy, which stays stale; a PUT makes it whole, and owed where it
is missed in turn.
"""

from typing import Any

from hub.delivery import repository
from hub.objects.passed import PassedObjects
from hub.objects.repository import ObjectKey
from ocpi_modules.message import OcpiRequest, PartyId
from ocpi_modules.spec import ModuleSpec


class MissedSessions:
    """Never raises: the answer to the owner does not depend on it."""

    def __init__(self, objects: PassedObjects) -> None:
        self._objects = objects

    async def missed(self, request: OcpiRequest, module: ModuleSpec, owner: PartyId, receiver: PartyId) -> None:
        """Keep what `request` pushed in vain and owe it to the receiver."""

        async def owe(connection: Any, key: ObjectKey, version: int) -> None:
            await repository.owe_missed(connection, str(receiver), key, version, "It was not there when it was pushed.")

        await self._objects.keep(request, module, owner, receiver, then=owe)
