"""The message that brings an object to a receiver: as it was pushed, or whole. Pure (R-38, R-40, contracts section 7)."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from hub.delivery.destinations import Fresh
from hub.delivery.send import RoutedMessage
from hub.objects.listing import EVERYBODY
from hub.objects.repository import ObjectKey
from ocpi_modules import json, registry
from ocpi_modules.message import PartyId
from ocpi_modules.spec import InterfaceRole, Method, ModuleSpec


@dataclass(frozen=True)
class State:
    """An object as it is now, a tombstone with the last body it had."""

    key: ObjectKey
    version: int
    body: bytes
    deleted: bool = False
    correlation_id: str = ""
    """That of the push that made this version."""


def whole(state: State, *, to: PartyId, hub: PartyId) -> RoutedMessage:
    """PUT of the whole object, or its DELETE. What was for one party comes from its owner, the rest from the hub."""
    module = registry.module("2.2.1", state.key.module)
    fields = {name: json.decode(bytes(raw)) for name, raw in json.members(state.body).items() if name in module.key}
    owner = state.key.owner
    path = "/".join(quote(str(part), safe="") for part in (*owner, fields.get(module.key[2], "")))
    return RoutedMessage(
        method=Method.DELETE if state.deleted else Method.PUT,
        module=module.id,
        interface=InterfaceRole.RECEIVER,
        to=to,
        sender=hub if state.key.audience == EVERYBODY else owner,
        path=f"/{path}",
        query=_query(module, fields),
        body=b"" if state.deleted else state.body,
        correlation_id=state.correlation_id,
    )


def as_pushed(fresh: Fresh, *, to: PartyId, hub: PartyId) -> RoutedMessage:
    """The bytes, path and query of the push itself."""
    return RoutedMessage(
        method=fresh.method,
        module=fresh.key.module,
        interface=InterfaceRole.RECEIVER,
        to=to,
        sender=hub,
        path=fresh.path,
        query=fresh.query,
        body=fresh.body,
        correlation_id=fresh.correlation_id,
    )


def _query(module: ModuleSpec, fields: dict[str, Any]) -> str:
    """The key parts that travel in the query, where they are not their default (K-03)."""
    given = {name: str(fields.get(name, default)) for name, default in module.query_key.items()}
    return "&".join(
        f"{name}={quote(value, safe='')}" for name, value in given.items() if value != module.query_key[name]
    )
