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


class OwnSessions:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def check(self, request: OcpiRequest, caller: Caller, sender: PartyId, receiver: PartyId) -> None:
        """Raises InvalidParameters (2001) when the receiver sent this session to others and not to the caller's platform.

        Raises NotAvailable (503). An SCSP steers the sessions of other parties' drivers (R-105).
        """
        session_id = _session_of(request)
        if session_id is None or caller.platform.roles_of(sender) == {Role.SCSP}:
            return
        try:
            async with self._database.connection() as connection:
                told = await objects.find_audiences(connection, receiver, ModuleID.sessions, folded(session_id))
        except DatabaseAway:
            raise not_available() from None
        if told and not any(str(party) in told for party in caller.platform.party_ids):
            raise InvalidParameters(
                "`session_id` is no session of yours; stop and steer those of your own drivers only."
            )


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
