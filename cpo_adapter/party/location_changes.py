"""What changed between two states of a Location, where EVSE statuses are all that did (L-18, L-20)."""

from typing import Any

STATUS = ("status", "last_updated")


def location_changes(before: dict[str, Any], after: dict[str, Any]) -> list[tuple[str, dict[str, Any]]] | None:
    """(evse_uid, PATCH body) of each EVSE whose status changed; None when anything else did, which needs a PUT."""
    if _without(before, "evses", "last_updated") != _without(after, "evses", "last_updated"):
        return None
    known = {evse["uid"]: evse for evse in before.get("evses", [])}
    if list(known) != [evse["uid"] for evse in after.get("evses", [])]:
        return None
    changes = []
    for evse in after.get("evses", []):
        old = known[evse["uid"]]
        if _without(old, *STATUS) != _without(evse, *STATUS):
            return None
        if old != evse:
            changes.append((evse["uid"], {name: evse[name] for name in STATUS}))
    return changes


def _without(document: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in names}
