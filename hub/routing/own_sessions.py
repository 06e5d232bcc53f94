"""A session is stopped and steered for its own driver's party only (S-17), as far as the hub was shown whose it is.

The addressed CPO has the last word on everything else: a session the hub never saw goes on to it.
"""

from hub.db.engine import Database, DatabaseAway
from hub.objects import repository as objects
from hub.objects.keep import folded
from hub.parties.platforms import Caller
from hub.routing.tickets import not_available
from ocpi_modules.message import OcpiRequest, PartyId
from ocpi_modules.spec import InterfaceRole, ModuleID, Role
from ocpi_modules.status import InvalidParameters

_REMEMBERED = 10_000


class OwnSessions:
    """Remembers whom sessions were sent to: who was sent one may go on steering it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._told: dict[tuple[PartyId, str], frozenset[str]] = {}

    async def check(self, request: OcpiRequest, caller: Caller, sender: PartyId, receiver: PartyId) -> None:
        """Raises InvalidParameters (2001) when the receiver sent this session to others and not to the caller's platform.

        Raises NotAvailable (503). An SCSP steers the sessions of other parties' drivers (R-105).
        """
        session_id = _session_of(request)
        if session_id is None or caller.platform.roles_of(sender) == {Role.SCSP}:
            return
        session = (receiver, folded(session_id))
        own = {str(party) for party in caller.platform.party_ids}
        told = self._told.get(session, frozenset())
        if own.isdisjoint(told):
            told = await self._find(session)
        if told and own.isdisjoint(told):
            raise InvalidParameters(
                "`session_id` is no session of yours; stop and steer those of your own drivers only."
            )

    async def _find(self, session: tuple[PartyId, str]) -> frozenset[str]:
        """Whom the session was sent to; empty when the hub never saw it."""
        owner, key = session
        try:
            async with self._database.connection() as connection:
                told = frozenset(await objects.find_audiences(connection, owner, ModuleID.sessions, key))
        except DatabaseAway:
            raise not_available() from None
        if len(self._told) >= _REMEMBERED:
            self._told.clear()
        if told:
            self._told[session] = told
        return told


def _session_of(request: OcpiRequest) -> str | None:
    """The session a request acts upon; what is no text is left to validation."""
    match request.module, request.interface:
        case ModuleID.commands, InterfaceRole.RECEIVER if request.variables.get("command") == "STOP_SESSION":
            session_id = request.document.get("session_id")
            return session_id if isinstance(session_id, str) else None
        case (ModuleID.chargingprofiles, InterfaceRole.RECEIVER) | (ModuleID.sessions, InterfaceRole.SENDER):
            return request.variables.get("session_id")
        case _:
            return None
