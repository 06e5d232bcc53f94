"""A partner is authenticated, never trusted: whose object, whose customer (S-11, S-16, S-19, M-33). Pure."""

from collections.abc import Mapping
from typing import Any

from ocpi_modules.message import OcpiRequest, PartyId
from ocpi_modules.spec import InterfaceRole, ModuleID, ModuleSpec
from ocpi_modules.status import InvalidParameters, NotJson
from ocpi_modules.types import folded

_TOKEN_COMMANDS = ("START_SESSION", "RESERVE_NOW")


def check_ownership(request: OcpiRequest, module: ModuleSpec, sender: PartyId, receiver: PartyId | None) -> None:
    """Refuse (2001) what the FROM party does not own or the TO party has no business with.

    `receiver` is None where the addressed party gets what belongs to other parties' drivers.
    """
    _check_path_owner(request, sender)
    if not request.body:
        if request.endpoint.body is not None and not request.endpoint.body_optional:
            raise NotJson("The body is empty; send one JSON object.")
        return
    body = request.document
    if not isinstance(body, dict):
        if request.endpoint.body is None or request.endpoint.body_optional:
            return  # `null` or `[]` of a stack that means nothing by it
        raise InvalidParameters("The body must be one JSON object.")
    if _is_push(request):
        _check_body_owner(body, sender)
        _check_body_id(request, module, body)
        if receiver is not None:
            _check_customer(body, module, receiver)
    if request.module is ModuleID.commands:
        _check_command(request, body, sender)


def _is_push(request: OcpiRequest) -> bool:
    """A client owned object on its way to a Receiver interface."""
    owned_by_path = "country_code" in request.endpoint.names
    return request.interface is InterfaceRole.RECEIVER and (owned_by_path or request.module is ModuleID.cdrs)


def _check_path_owner(request: OcpiRequest, sender: PartyId) -> None:
    if "country_code" not in request.variables:
        return
    owner = PartyId.of(request.variables["country_code"], request.variables["party_id"])
    if owner != sender:
        raise InvalidParameters(
            f"The URL names {owner} as owner, but OCPI-from is {sender}; push only your own objects."
        )


def _check_body_owner(body: Mapping[str, Any], sender: PartyId) -> None:
    for field, expected in zip(("country_code", "party_id"), sender, strict=True):
        if field in body and not _same(body[field], expected):
            raise InvalidParameters(
                f"`{field}` in the body is not {expected}, the `{field}` of the URL and of OCPI-from."
            )


def _check_body_id(request: OcpiRequest, module: ModuleSpec, body: Mapping[str, Any]) -> None:
    """X-55: the id of the object at the depth the URL names; at PATCH it may be left out but not changed (S-19)."""
    names = request.endpoint.names
    if len(names) < 3:
        return
    depth = len(names) - 3
    field = module.key[2] if depth == 0 else module.nested[depth - 1][2]
    expected = request.variables[names[-1]]
    if field in body and not _same(body[field], expected):
        raise InvalidParameters(f"`{field}` in the body differs from `{names[-1]}` in the URL.")


def _check_customer(body: Mapping[str, Any], module: ModuleSpec, receiver: PartyId) -> None:
    """S-16: the token in a Session or CDR belongs to the addressed party. A token without owner is left to validation."""
    for path, expected in zip(module.receiver_hint, receiver, strict=False):
        value = _at(body, path)
        if value is not None and not _same(value, expected):
            raise InvalidParameters(
                f"`{path}` does not name {receiver}, the addressed party; its drivers are not yours to bill."
            )


def _check_command(request: OcpiRequest, body: Mapping[str, Any], sender: PartyId) -> None:
    """M-33: a driver is started or given a reservation by its own eMSP only."""
    if request.variables.get("command") not in _TOKEN_COMMANDS:
        return
    for field, expected in zip(("country_code", "party_id"), sender, strict=True):
        if not _same(_at(body, f"token.{field}"), expected):
            raise InvalidParameters(
                f"`token.{field}` is not {expected}; start and reserve only for tokens of {sender}."
            )


def _at(body: Any, path: str) -> Any:
    for name in path.split("."):
        body = body.get(name) if isinstance(body, Mapping) else None
    return body


def _same(value: Any, expected: str) -> bool:
    """CiString: ASCII case does not matter (Y-02)."""
    return isinstance(value, str) and folded(value) == folded(expected)
