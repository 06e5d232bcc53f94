"""The five commands, their immediate answer and their later result (M-07 to M-14)."""

from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from ocpi_modules.commands.enums import CommandResponseType, CommandResultType
from ocpi_modules.tokens.schemas import Token
from ocpi_modules.types import CiString36, DisplayText, Integer, OcpiDateTime, OcpiObject, Url, wrong


class CancelReservation(OcpiObject):
    """M-11."""

    response_url: Url
    reservation_id: CiString36


class ReserveNow(OcpiObject):
    """M-12."""

    response_url: Url
    token: Token
    expiry_date: OcpiDateTime
    reservation_id: CiString36
    location_id: CiString36
    evse_uid: CiString36 | None = None
    authorization_reference: CiString36 | None = None


class StartSession(OcpiObject):
    """M-13."""

    response_url: Url
    token: Token
    location_id: CiString36
    evse_uid: CiString36 | None = None
    connector_id: CiString36 | None = None
    authorization_reference: CiString36 | None = None

    @field_validator("connector_id")
    @classmethod
    def _with_evse(cls, connector_id: str | None, info: ValidationInfo) -> str | None:
        if connector_id and "evse_uid" in info.data and not info.data["evse_uid"]:
            raise wrong("needs evse_uid beside it: a Connector's id is unique only within its EVSE")
        return connector_id


class StopSession(OcpiObject):
    """M-14."""

    response_url: Url
    session_id: CiString36


class UnlockConnector(OcpiObject):
    """M-14."""

    response_url: Url
    location_id: CiString36
    evse_uid: CiString36
    connector_id: CiString36


class CommandResponse(OcpiObject):
    """`timeout` in s: after it no result is to be expected any more (M-07, M-27)."""

    result: CommandResponseType
    timeout: Annotated[Integer, Field(ge=0)]
    message: list[DisplayText] | None = None


class CommandResult(OcpiObject):
    """M-08."""

    result: CommandResultType
    message: list[DisplayText] | None = None
