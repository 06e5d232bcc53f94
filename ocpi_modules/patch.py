"""What is kept after a PUT or PATCH: pure decisions on decoded JSON (transport_and_format, PUT and PATCH).

Nothing is changed in place. A PATCH of an optional field with null clears it; null for a required field is refused before, by
`validation.require(Partial[...])` (G-54). No time is invented: a parent takes over the last_updated of the child (L-20, L-24).
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from ocpi_modules.spec import Method, ModuleID, ModuleSpec
from ocpi_modules.status import NotFound, UnknownLocation
from ocpi_modules.types import parse_datetime

Document = dict[str, Any]


class Level(NamedTuple):
    """One step down: the array in the parent, the field that identifies its entries, and the id looked for."""

    array: str
    id_field: str
    id: str


def changed(
    spec: ModuleSpec, kept: Document | None, method: Method, variables: Mapping[str, str], document: Document
) -> Document:
    """The whole object after PUT or PATCH of `document` at the path with these decoded variables.

    A PUT of the whole object replaces what was kept (X-48); all else needs a kept object. Raises UnknownLocation (2003) or
    NotFound (2001), both with HTTP 404, when the object or an EVSE on the way is not known (X-76).
    """
    levels = levels_of(spec, variables)
    if method is Method.PUT and not levels:
        return document
    if kept is None:
        raise _unknown(spec)
    if not levels:
        return (spec.merge or merge)(kept, document)
    return _with_child(kept, levels, document, create=method is Method.PUT)


def levels_of(spec: ModuleSpec, variables: Mapping[str, str]) -> tuple[Level, ...]:
    """How deep below the object a path points: none for the object itself, one for an EVSE, two for a Connector."""
    return tuple(Level(array, id_field, variables[name]) for name, array, id_field in spec.nested if name in variables)


def child(kept: Document, levels: tuple[Level, ...]) -> Document | None:
    """The EVSE or Connector at this place, or None."""
    found = kept
    for level in levels:
        position = _position(found, level)
        if position is None:
            return None
        found = found[level.array][position]
    return found


def merge(kept: Document, changes: Document) -> Document:
    """The plain rule: each given field replaces the kept one, arrays as a whole (L-25); null clears (G-54)."""
    merged = kept | changes
    return {name: value for name, value in merged.items() if value is not None or name not in changes}


def append_charging_periods(kept: Document, changes: Document) -> Document:
    """The rule of Sessions: given charging_periods are added to the kept ones, none given changes nothing (S-10).

    The very same PATCH once more, sent again after a lost answer or stored twice, adds nothing.
    """
    merged = merge(kept, {name: value for name, value in changes.items() if name != "charging_periods"})
    before, added = list(kept.get("charging_periods") or ()), list(changes.get("charging_periods") or ())
    again = kept.get("last_updated") == changes.get("last_updated") and before[-len(added) :] == added
    if added and not again:
        merged["charging_periods"] = [*before, *added]
    return merged


def _with_child(parent: Document, levels: tuple[Level, ...], document: Document, *, create: bool) -> Document:
    level, deeper = levels[0], levels[1:]
    entries = list(parent.get(level.array) or ())
    position = _position(parent, level)
    if position is None and (deeper or not create):
        raise NotFound(f"There is no {level.id!r} among the {level.array}; PUT it first.")
    if deeper and position is not None:
        entries[position] = _with_child(entries[position], deeper, document, create=create)
    elif position is None:
        entries.append(document)
    else:
        entries[position] = document if create else merge(entries[position], document)
    return _touched(parent | {level.array: entries}, document)


def _touched(parent: Document, document: Document) -> Document:
    """`parent` with the pushed last_updated, unless its own is later already: a late message turns no clock back."""
    pushed = document.get("last_updated")
    if pushed is None or _instant(pushed) <= _instant(parent.get("last_updated")):
        return parent
    return parent | {"last_updated": pushed}


def _instant(text: Any) -> datetime:
    try:
        return parse_datetime(text)
    except (TypeError, ValueError):
        return datetime.min.replace(tzinfo=UTC)


def _position(parent: Document, level: Level) -> int | None:
    """Ids are CiStrings: compared without case (Y-02)."""
    wanted = level.id.upper()
    entries = enumerate(parent.get(level.array) or ())
    return next((position for position, entry in entries if str(entry.get(level.id_field)).upper() == wanted), None)


def _unknown(spec: ModuleSpec) -> UnknownLocation | NotFound:
    if spec.id is ModuleID.locations:
        return UnknownLocation("This Location is not known here; PUT it first.", http_status=404)
    return NotFound(f"There is no such object in {spec.id} here; PUT it first.")
