"""Sessions that reached nobody: their latest state is kept, and put by the owner's name when the receiver is back.

The owner was told so (4002 or 4003), by this hub or by another one before the receiver, and may push again; the receiver ends
with the latest state either way. Only a PUT repairs a missed PATCH, because a PATCH adds charging periods (S-10, contracts
section 7).

What goes out again is the newest state that was accepted, and never one after a newer one. A push with findings is not kept
(contracts section 4). Where it was missed as well, the receiver has nothing newer than the kept copy, and an older debt stands.
Where it may have arrived the copy is marked stale and the debt let go, unless it tells how the session ended, which is skipped
for nothing: the owner, who was told, pushes again. A PATCH is merged into a stale copy, which stays stale; a PUT makes it whole.

The receiver is told how a session ended before it is billed for it: what is owed of a session is tried before its CDR is posted.
"""

from collections.abc import Mapping
from typing import Any

from hub.db.engine import Database, DatabaseAway
from hub.delivery import messages, repository, spelling
from hub.delivery.audience import Audience
from hub.delivery.messages import State
from hub.delivery.outcome import Delivered
from hub.delivery.send import DoorOut
from hub.objects.keep import folded, key_folded
from hub.objects.passed import PassedObjects
from hub.objects.repository import ObjectKey
from ocpi_modules import json
from ocpi_modules.message import OcpiRequest, PartyId
from ocpi_modules.spec import ModuleID, ModuleSpec

ENDED = ("COMPLETED", "INVALID")


class MissedSessions:
    """Never raises: neither the answer to the owner nor a CDR depends on it."""

    def __init__(self, objects: PassedObjects, *, database: Database, audience: Audience, door: DoorOut) -> None:
        self._objects = objects
        self._database = database
        self._audience = audience
        self._door = door

    async def missed(
        self,
        request: OcpiRequest,
        module: ModuleSpec,
        owner: PartyId,
        receiver: PartyId,
        *,
        flagged: bool,
        in_doubt: bool,
    ) -> None:
        """Keep what `request` pushed in vain and owe it to the receiver, unless it is `flagged`.

        `in_doubt`: it may have arrived.
        """

        async def owe(connection: Any, key: ObjectKey, version: int) -> None:
            await repository.owe_missed(connection, str(receiver), key, version, "It was not there when it was pushed.")

        if not flagged and await self._objects.keep(request, module, owner, receiver, then=owe, arrived=False):
            return
        key = ObjectKey(owner, module.id, key_folded(request, module), str(receiver))
        if in_doubt and not await self._owes_its_end(key, receiver):
            await self._objects.mark_stale(request, module, owner, receiver)

    async def _owes_its_end(self, key: ObjectKey, receiver: PartyId) -> bool:
        """Whether the receiver still lacks that this session ended; also where that cannot be read now."""
        try:
            async with self._database.connection() as connection:
                row = await repository.owed_state(connection, str(receiver), key)
        except DatabaseAway:
            return True
        return row is not None and json.decode(row["body"]).get("status") in ENDED

    async def before_cdr(self, cdr: Mapping[str, Any], owner: PartyId, receiver: PartyId) -> None:
        """Try once what is owed of the session the CDR is about; where that is in vain it stays owed."""
        session_id = cdr.get("session_id")
        if not isinstance(session_id, str):
            return
        key = ObjectKey(owner, ModuleID.sessions, folded(session_id), str(receiver))
        try:
            await self._try(key, receiver)
        except DatabaseAway:
            return

    async def _try(self, key: ObjectKey, receiver: PartyId) -> None:
        """Raises DatabaseAway."""
        async with self._database.connection() as connection:
            row = await repository.owed_state(connection, str(receiver), key)
        platform = self._audience.platform_of(receiver)
        if row is None or platform is None or not self._audience.includes(receiver, platform, key):
            return
        state = State(key, row["version"], row["body"], correlation_id=row["correlation_id"])
        message = messages.whole(state, to=receiver, hub=self._audience.hub_party)
        outcome = await self._door.send(spelling.for_platform(message, platform), platform, push=True)
        if isinstance(outcome, Delivered):
            async with self._database.transaction() as connection:
                await repository.settle(connection, str(receiver), key, state.version)
