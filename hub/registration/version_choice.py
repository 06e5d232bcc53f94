"""Which version to speak (pure): the highest both sides know (E-14), or the one whose credentials endpoint was called (C-05)."""

from collections.abc import Iterable
from typing import Any

from ocpi_modules.status import ClientApiUnusable, UnsupportedVersion

_READ_AT_MOST = 50


def choose(document: Any, spoken: Iterable[str]) -> tuple[str, str]:
    """(version, URL of its details) out of a versions document; versions nobody knows are passed over (E-13).

    Raises ClientApiUnusable (3001) when it is no versions document, UnsupportedVersion (3002) when nothing is mutual.
    """
    if not isinstance(document, list):
        raise ClientApiUnusable("The versions document is not a list of version and url.")
    offered = {
        entry["version"]: entry["url"]
        for entry in document[:_READ_AT_MOST]
        if isinstance(entry, dict) and isinstance(entry.get("version"), str) and isinstance(entry.get("url"), str)
    }
    mutual = [version for version in spoken if version in offered]
    if not mutual:
        raise UnsupportedVersion(
            f"No version in common: you offer {', '.join(sorted(offered)[:10]) or 'none'}, here it is {_list(spoken)}."
        )
    best = max(mutual, key=_order)
    return best, offered[best]


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdigit() else 0 for part in version.split("."))


def _list(spoken: Iterable[str]) -> str:
    return ", ".join(sorted(spoken, key=_order))
