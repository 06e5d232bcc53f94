"""An EVSE or Connector cut out of its Location, byte for byte (L-13)."""

from collections.abc import Iterable

import msgspec

from ocpi_modules import json
from ocpi_modules.patch import Level
from ocpi_modules.status import NotJson


def cut_out(body: bytes, levels: Iterable[Level]) -> bytes | None:
    """The exact bytes of the entry at this place of the object in `body`, None when it is not there."""
    found: bytes | None = body
    for level in levels:
        found = _entry(found, level) if found is not None else None
    return found


def _entry(body: bytes, level: Level) -> bytes | None:
    """Ids are CiStrings: compared without case (Y-02)."""
    array = json.members(body).get(level.array)
    if array is None or bytes(array)[:1] != b"[":
        return None
    wanted = level.id.upper()
    for raw in json.entries(array):
        if str(_id(raw, level.id_field)).upper() == wanted:
            return raw
    return None


def _id(entry: bytes, id_field: str) -> object:
    try:
        value = json.members(entry).get(id_field)
    except NotJson:
        return None
    return msgspec.json.decode(value) if value is not None else None
