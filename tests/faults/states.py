"""An object as whoever minds every push has it, apart from the hub's own merging (transport_and_format, PUT and PATCH)."""

import hashlib
from dataclasses import dataclass
from typing import Any

from ocpi_modules import json

Document = dict[str, Any]


@dataclass(frozen=True)
class State:
    """Small enough to be kept of every object: what it says, and how it is spelled where it came in one piece."""

    content: bytes
    spelling: bytes | None

    def agrees(self, other: "State | None") -> bool:
        """The same content; and byte for byte the same, where both know the bytes (contracts: forwarded as they came)."""
        if other is None or self.content != other.content:
            return False
        return None in (self.spelling, other.spelling) or self.spelling == other.spelling


def state(document: Document, body: bytes | None) -> State:
    """`body`: the bytes, if they were pushed whole."""
    return State(_digest(json.encode(_sorted(document))), None if body is None else _digest(body))


def pushed(before: Document | None, method: str, child: str, given: Document) -> Document:
    """The object after a PUT or PATCH of the whole, or of the EVSE `child`. Raises KeyError where there is nothing to change."""
    if not child:
        return given if method == "PUT" else {**_there(before), **given}
    whole = _there(before)
    evses = {evse["uid"]: evse for evse in whole["evses"]}
    evses[child] = given if method == "PUT" else {**evses[child], **given}
    return {**whole, "evses": list(evses.values()), "last_updated": given["last_updated"]}


def _there(document: Document | None) -> Document:
    if document is None:
        raise KeyError("a part came of an object that nobody has")
    return document


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
