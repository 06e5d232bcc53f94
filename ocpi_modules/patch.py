"""How a PATCH changes what is kept: pure decisions on decoded JSON (transport_and_format, PATCH).

Nothing is changed in place. A PATCH of an optional field with null clears it; null for a required field is refused before, by
`validation.require(Partial[...])` (G-54).
"""

from typing import Any

Document = dict[str, Any]


def merge(kept: Document, changes: Document) -> Document:
    """The plain rule: each given field replaces the kept one, arrays as a whole (L-25); null clears (G-54)."""
    merged = kept | changes
    return {name: value for name, value in merged.items() if value is not None or name not in changes}


def append_charging_periods(kept: Document, changes: Document) -> Document:
    """The rule of Sessions: given charging_periods are added to the kept ones, none given changes nothing (S-10)."""
    merged = merge(kept, {name: value for name, value in changes.items() if name != "charging_periods"})
    added = changes.get("charging_periods")
    if added:
        merged["charging_periods"] = [*(kept.get("charging_periods") or ()), *added]
    return merged
