"""What the content of a request says about its receiver, in the order in which it is believed (R-58). Pure.

request without OCPI-to                             clue                             fallbacks (2.2-style cdr_token)
Session PUT, PATCH, GET                             cdr_token, else stored session   authorization_reference, token
CDR POST                                            cdr_token                        session, authorization_reference, token
START_SESSION, RESERVE_NOW, UNLOCK_CONNECTOR        location (and EVSE)
Location GET                                        location (and EVSE)
STOP_SESSION, charging_preferences, ChargingProfile session of the asker's driver
CANCEL_RESERVATION                                  reservation the asker made
ActiveChargingProfile PUT                           who set the profile
authorize                                           token
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from hub.objects.keep import folded
from ocpi_modules.message import OcpiRequest, PartyId
from ocpi_modules.spec import InterfaceRole, ModuleID
from ocpi_modules.status import InvalidParameters

_RFID = "RFID"


class Find(StrEnum):
    """Where to look."""

    PARTY = "PARTY"
    """`key` is the party itself, `NL*ABC`."""
    LOCATION = "LOCATION"
    """The owner of a Location the asker may see; `detail` is one of its EVSEs."""
    SESSION = "SESSION"
    """The CPO of a session the asker was sent."""
    DRIVER = "DRIVER"
    """The eMSP one of the asker's own sessions was sent to."""
    UID = "UID"
    """The eMSP of a token, `key` is `<uid>|<type>`; `detail` is its contract_id."""
    AUTHORIZATION = "AUTHORIZATION"
    """The eMSP that gave the asker this authorization_reference."""
    RESERVATION = "RESERVATION"
    """The CPO that took this reservation from the asker."""
    PROFILE = "PROFILE"
    """Who last set a charging profile on this session of the asker."""


@dataclass(frozen=True)
class Clue:
    """`key` and `detail` are folded; `what` names it in a refusal."""

    find: Find
    key: str
    what: str
    detail: str = ""


def clues_of(request: OcpiRequest) -> tuple[Clue, ...]:
    """Empty where no content can tell (R-89). Raises InvalidParameters (2001) when a field that routing needs is missing."""
    match request.module, request.interface:
        case ((ModuleID.sessions | ModuleID.cdrs), InterfaceRole.RECEIVER):
            return _of_customer(request)
        case ModuleID.commands, InterfaceRole.RECEIVER:
            return (_of_command(request),)
        case (ModuleID.sessions, InterfaceRole.SENDER) | (ModuleID.chargingprofiles, InterfaceRole.RECEIVER):
            return (_session(request.variables["session_id"]),)
        case ModuleID.chargingprofiles, InterfaceRole.SENDER:
            key = folded(request.variables["session_id"])
            return (Clue(Find.PROFILE, key, "charging profile that was set on this session"),)
        case ModuleID.tokens, InterfaceRole.SENDER:
            return (_token(request.variables["token_uid"], request.params.get("type", _RFID)),)
        case ModuleID.locations, InterfaceRole.SENDER:
            return (_location(request.variables["location_id"], request.variables.get("evse_uid")),)
        case _:
            return ()


def _of_command(request: OcpiRequest) -> Clue:
    match request.variables["command"]:
        case "START_SESSION" | "RESERVE_NOW" | "UNLOCK_CONNECTOR":
            evse_uid = request.document.get("evse_uid")
            return _location(_needed(request, "location_id"), evse_uid if isinstance(evse_uid, str) else None)
        case "STOP_SESSION":
            return _session(_needed(request, "session_id"))
        case "CANCEL_RESERVATION":
            return Clue(
                Find.RESERVATION, folded(_needed(request, "reservation_id")), "reservation of yours with this id"
            )
        case other:
            raise InvalidParameters(f"{other} is no command; known are {', '.join(request.endpoint.bodies)}.")


def _of_customer(request: OcpiRequest) -> tuple[Clue, ...]:
    """A Session or CDR: the party in cdr_token alone where it is named there, otherwise what leads to the driver."""
    body: Mapping[str, Any] = request.document if request.body else {}
    given = body.get("cdr_token")
    token: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
    country_code, party_id = token.get("country_code"), token.get("party_id")
    if isinstance(country_code, str) and isinstance(party_id, str):
        return (Clue(Find.PARTY, str(PartyId.of(country_code, party_id)), "party named in `cdr_token`"),)
    clues = []
    session_id = request.variables.get("session_id") or body.get("session_id")
    if isinstance(session_id, str):
        clues.append(Clue(Find.DRIVER, folded(session_id), "session of yours with this id"))
    reference = body.get("authorization_reference")
    if isinstance(reference, str):
        clues.append(Clue(Find.AUTHORIZATION, folded(reference), "`authorization_reference` of this value"))
    if isinstance(token.get("uid"), str) and isinstance(token.get("type"), str):
        clues.append(_token(token["uid"], token["type"], token.get("contract_id")))
    return tuple(clues)


def _location(location_id: str, evse_uid: str | None) -> Clue:
    return Clue(Find.LOCATION, folded(location_id), "Location with this id", folded(evse_uid or ""))


def _session(session_id: str) -> Clue:
    return Clue(Find.SESSION, folded(session_id), "session of your drivers with this id")


def _token(uid: str, kind: str, contract_id: object = None) -> Clue:
    detail = folded(contract_id) if isinstance(contract_id, str) else ""
    return Clue(Find.UID, folded(f"{uid}|{kind}"), "token with this uid and type", detail)


def _needed(request: OcpiRequest, field: str) -> str:
    value = request.document.get(field)
    if not isinstance(value, str) or not value:
        raise InvalidParameters(f"`{field}` is missing; without it and without OCPI-to no receiver can be found.")
    return value
