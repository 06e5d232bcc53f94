"""A Location that is not there any more, said as OCPI says it: its EVSEs get the status REMOVED. Pure (L-04, L-16)."""

from collections.abc import Mapping
from typing import Any

from hub.objects import spelling
from ocpi_modules import json

_STATUS = b'"REMOVED"'


def evses_removed(body: bytes, last_updated: str) -> bytes | None:
    """The Location with all its EVSEs REMOVED as of `last_updated`, every other byte as its owner spelled it.

    None when there is nothing to remove: no EVSE, or every one REMOVED already.
    """
    location = spelling.read(body, ("evses",), ("status",))
    evses = location.get("evses") or []
    if all(_is_removed(evse) for evse in evses):
        return None
    when = json.encode(last_updated)
    changed = [evse if _is_removed(evse) else {**evse, "status": _STATUS, "last_updated": when} for evse in evses]
    return spelling.write({**location, "evses": changed, "last_updated": when})


def _is_removed(evse: Mapping[str, Any]) -> bool:
    return evse.get("status") == "REMOVED"
