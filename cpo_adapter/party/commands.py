"""START_SESSION, STOP_SESSION and UNLOCK_CONNECTOR (charging 3.6, R52, R53, R58 to R61).

The CommandResponse goes out at once; a row in the database owes exactly one CommandResult, whatever happens to this process.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

import structlog

from cpo_adapter.charging.events import Chargers, RemoteAnswer
from cpo_adapter.config import Place, Site
from cpo_adapter.party.authorize import Authorizer, id_tag_of
from cpo_adapter.party.link import HubLink, NotReached
from cpo_adapter.storage import charge_repository
from cpo_adapter.storage import outbox_repository as outbox
from cpo_adapter.storage.engine import Database, DatabaseAway, Row
from ocpi_modules import json
from ocpi_modules.commands.enums import CommandResponseType, CommandResultType, CommandType
from ocpi_modules.commands.schemas import StartSession, StopSession, UnlockConnector
from ocpi_modules.message import Clock, OcpiRequest, PartyId
from ocpi_modules.spec import Method
from ocpi_modules.status import InvalidParameters, UnknownLocation
from ocpi_modules.validation import read

log = structlog.get_logger(__name__)

TIMEOUT_SECONDS = 30
ANSWER_WITHIN = timedelta(seconds=TIMEOUT_SECONDS + 5)
KEPT_FOR = timedelta(minutes=10)
RETRY = timedelta(seconds=3)
MOST_UNDER_WAY = 1000
RESULTS = {
    RemoteAnswer.Accepted: CommandResultType.ACCEPTED,
    RemoteAnswer.Rejected: CommandResultType.REJECTED,
    RemoteAnswer.NotSupported: CommandResultType.NOT_SUPPORTED,
    RemoteAnswer.Failed: CommandResultType.FAILED,
    RemoteAnswer.NoAnswer: CommandResultType.TIMEOUT,
    RemoteAnswer.Offline: CommandResultType.EVSE_INOPERATIVE,
}


class PlaceState(StrEnum):
    """What we know of a connector for certain (R60)."""

    FREE = "FREE"
    OCCUPIED = "EVSE_OCCUPIED"
    INOPERATIVE = "EVSE_INOPERATIVE"


class Refused(Exception):
    """The CommandResponse that is not ACCEPTED."""

    def __init__(self, result: CommandResponseType, text: str) -> None:
        super().__init__(text)
        self.result = result
        self.text = text


class Commander:
    """`state_of` tells what is known of a place; `due` is set when a result may go out."""

    def __init__(
        self,
        database: Database,
        link: HubLink,
        chargers: Chargers,
        authorizer: Authorizer,
        site: Site,
        state_of: Callable[[Place], PlaceState],
        clock: Clock,
    ) -> None:
        self._database = database
        self._link = link
        self._chargers = chargers
        self._authorizer = authorizer
        self._site = site
        self._state_of = state_of
        self._clock = clock
        self._under_way: set[asyncio.Task[None]] = set()
        self.due = asyncio.Event()

    async def take(self, request: OcpiRequest) -> dict[str, Any]:
        """The CommandResponse to a command. Raises OcpiError, DatabaseAway."""
        try:
            match request.variables["command"].upper():
                case CommandType.START_SESSION:
                    await self._start(request, read(StartSession, request.document))
                case CommandType.STOP_SESSION:
                    await self._stop(request, read(StopSession, request.document))
                case CommandType.UNLOCK_CONNECTOR:
                    await self._unlock(request, read(UnlockConnector, request.document))
                case CommandType.RESERVE_NOW | CommandType.CANCEL_RESERVATION:
                    raise Refused(CommandResponseType.NOT_SUPPORTED, "Reservations are not offered here.")
                case unknown:
                    raise InvalidParameters(f"The command {unknown[:40]} is not known.")
        except Refused as refused:
            text = [{"language": "en", "text": refused.text}]
            return {"result": str(refused.result), "timeout": 0, "message": text}
        return {"result": str(CommandResponseType.ACCEPTED), "timeout": TIMEOUT_SECONDS}

    async def _start(self, request: OcpiRequest, command: StartSession) -> None:
        token = request.document["token"]
        owner = PartyId.of(command.token.country_code, command.token.party_id)
        if request.sender is not None and owner != request.sender:
            raise InvalidParameters(f"token: it belongs to {owner}, but the command comes from {request.sender}.")
        place = self._place(command.location_id, command.evse_uid, command.connector_id)
        if self._state_of(place) is PlaceState.OCCUPIED:
            raise Refused(CommandResponseType.REJECTED, "A session is under way at this EVSE.")
        self._reach(place.charger_id)
        id_tag, command_id = id_tag_of(command.token.uid), uuid4()
        await self._owe(command_id, "START_SESSION", place.charger_key, request, command.response_url)
        await self._authorizer.expect(place.charger_key, id_tag, token, "COMMAND", command.authorization_reference)
        self._begin(command_id, self._remote_start(place, id_tag))

    async def _stop(self, request: OcpiRequest, command: StopSession) -> None:
        charge = await self._charge(command.session_id, request.sender)
        if charge is None or charge["state"] != "OPEN":
            raise Refused(CommandResponseType.UNKNOWN_SESSION, "No session of yours with this id is under way.")
        charger_id = self._spelling(charge["charger_key"])
        self._reach(charger_id)
        command_id = uuid4()
        await self._owe(command_id, "STOP_SESSION", charge["charger_key"], request, command.response_url)
        self._begin(command_id, _worded(self._chargers.remote_stop(charger_id, charge["transaction_id"])))

    async def _unlock(self, request: OcpiRequest, command: UnlockConnector) -> None:
        place = self._place(command.location_id, command.evse_uid, command.connector_id)
        if self._state_of(place) is PlaceState.OCCUPIED:
            raise Refused(CommandResponseType.REJECTED, "A session is under way at this EVSE; stop it first.")
        self._reach(place.charger_id)
        command_id = uuid4()
        await self._owe(command_id, "UNLOCK_CONNECTOR", place.charger_key, request, command.response_url)
        self._begin(command_id, _worded(self._chargers.unlock(place.charger_id, place.connector_id)))

    def _place(self, location_id: str, evse_uid: str | None, connector_id: str | None) -> Place:
        places = self._site.places_at(location_id, evse_uid, connector_id)
        if not places:
            raise UnknownLocation(f"There is no such location, EVSE or connector here: {location_id}, {evse_uid}.")
        free = [
            place
            for place in places
            if self._chargers.is_online(place.charger_id) and self._state_of(place) is PlaceState.FREE
        ]
        return (free or places)[0]

    def _reach(self, charger_id: str) -> None:
        if not self._chargers.is_online(charger_id):
            raise Refused(CommandResponseType.REJECTED, "The charger is not connected now.")
        if len(self._under_way) >= MOST_UNDER_WAY:
            raise Refused(CommandResponseType.REJECTED, "Too many commands are under way; try again later.")

    def _spelling(self, charger_key: str) -> str:
        return next((p.charger_id for p in self._site.places if p.charger_key == charger_key), charger_key)

    async def _charge(self, session_id: str, sender: PartyId | None) -> Row | None:
        try:
            id = UUID(session_id)
        except ValueError:
            return None
        async with self._database.connection() as connection:
            charge = await charge_repository.charge(connection, id)
        if charge is None:
            return None
        token = json.decode(charge["opening"])["cdr_token"]
        owner = PartyId.of(token["country_code"], token["party_id"])
        return charge if sender is None or sender == owner else None

    async def _owe(
        self, command_id: UUID, kind: str, charger_key: str, request: OcpiRequest, response_url: str
    ) -> None:
        now = self._clock()
        async with self._database.connection() as connection:
            await outbox.insert_command(
                connection,
                command_id=command_id,
                kind=kind,
                charger_key=charger_key,
                receiver=str(request.sender) if request.sender else "",
                response_url=response_url,
                correlation_id=request.correlation_id,
                next_at=now + ANSWER_WITHIN,
                expires_at=now + KEPT_FOR,
            )

    async def _remote_start(self, place: Place, id_tag: str) -> CommandResultType:
        """A Rejected is explained by what we know of the place."""
        answer = await self._chargers.remote_start(place.charger_id, place.connector_id, id_tag)
        state = self._state_of(place)
        if answer is RemoteAnswer.Rejected and state is not PlaceState.FREE:
            return CommandResultType(state)
        return RESULTS[answer]

    def _begin(self, command_id: UUID, asking: Awaitable[CommandResultType]) -> None:
        task = asyncio.create_task(self._ask(command_id, asking))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _ask(self, command_id: UUID, asking: Awaitable[CommandResultType]) -> None:
        result = await asking
        log.info("command_answered", command_id=str(command_id), result=result)
        try:
            async with self._database.connection() as connection:
                await outbox.command_result(connection, command_id, result, self._clock())
        except DatabaseAway:
            log.warning("command_result_not_stored", command_id=str(command_id))
        self.due.set()

    async def close(self) -> None:
        """Give up what is under way; their rows owe a TIMEOUT."""
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def post_due(self) -> None:
        """Post every result that is due, once round. Raises DatabaseAway."""
        now = self._clock()
        async with self._database.connection() as connection:
            rows = await outbox.due_commands(connection, now)
        posting: list[Coroutine[Any, Any, None]] = [self._post(row) for row in rows]
        await asyncio.gather(*posting)

    async def _post(self, row: Row) -> None:
        result = row["result"] or str(CommandResultType.TIMEOUT)
        asker = PartyId.read(row["receiver"]) if row["receiver"] else None
        delivered, reason = False, ""
        try:
            reply = await self._link.send_to(
                Method.POST,
                row["response_url"],
                to=asker,
                body=json.encode({"result": result}),
                seconds=10,
                correlation_id=row["correlation_id"],
            )
            delivered, reason = reply.succeeded or 2000 <= reply.status_code < 3000, reply.reason
        except NotReached as error:
            reason = str(error)
        now = self._clock()
        async with self._database.connection() as connection:
            if delivered or now >= row["expires_at"]:
                await outbox.delete_command(connection, row["command_id"])
            else:
                await outbox.postpone_command(connection, row["command_id"], now + RETRY)
        if not delivered:
            log.warning("command_result_not_delivered", command_id=str(row["command_id"]), reason=reason)


async def _worded(asking: Awaitable[RemoteAnswer]) -> CommandResultType:
    return RESULTS[await asking]
