"""Commands module (mod_commands). The answer only says that it was taken; the result comes as a POST to its response_url.

The SENDER interface is that URL: its owner made it up, it may be used again when a reservation is cancelled (M-03, M-06, M-23).
"""

from collections.abc import Mapping
from typing import Any

from ocpi_modules.commands.enums import CommandType
from ocpi_modules.commands.schemas import (
    CancelReservation,
    CommandResponse,
    CommandResult,
    ReserveNow,
    StartSession,
    StopSession,
    UnlockConnector,
)
from ocpi_modules.spec import Endpoint, InterfaceRole, Kind, Method, ModuleID, ModuleSpec, Place

BODIES: Mapping[str, Any] = {
    CommandType.CANCEL_RESERVATION: CancelReservation,
    CommandType.RESERVE_NOW: ReserveNow,
    CommandType.START_SESSION: StartSession,
    CommandType.STOP_SESSION: StopSession,
    CommandType.UNLOCK_CONNECTOR: UnlockConnector,
}

COMMANDS = ModuleSpec(
    id=ModuleID.commands,
    kind=Kind.FUNCTIONAL,
    owner=None,
    object=None,
    endpoints=(
        Endpoint(
            InterfaceRole.RECEIVER,
            Method.POST,
            "/{command}",
            body=CancelReservation | ReserveNow | StartSession | StopSession | UnlockConnector,
            bodies=BODIES,
            returns=CommandResponse,
            response_url=Place.BODY,
        ),
        Endpoint(InterfaceRole.SENDER, Method.POST, "/{ticket}", body=CommandResult, self_defined=True),
    ),
)
