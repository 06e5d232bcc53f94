"""One entry of a partner's list, judged as a broadcast push is: strictly, and only its owner's own. Pure (X-29, S-11, X-57)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hub.objects.keep import folded
from hub.objects.timeliness import require_no_future
from ocpi_modules import validation
from ocpi_modules.message import PartyId
from ocpi_modules.spec import ModuleSpec
from ocpi_modules.status import InvalidParameters
from ocpi_modules.types import parse_datetime

LONGEST_KEY = 100
"""More than any id that OCPI allows; PostgreSQL takes no endless keys."""


@dataclass(frozen=True)
class Entry:
    """`refusal` is a sentence, empty for what may be kept; `key` is None when it cannot be told which object this is."""

    raw: bytes
    key: str | None
    last_updated: datetime | None = None
    refusal: str = ""
    foreign: bool = False
    """It names another party as its owner."""


def read(module: ModuleSpec, owner: PartyId, raw: bytes, document: Any, now: datetime) -> Entry:
    """The entry of one list, its exact bytes and what they say."""
    key = _key(module, document)
    if foreign := _foreign(document, owner):
        return Entry(raw, key, refusal=foreign, foreign=True)
    try:
        validation.require(module.object, document)
        require_no_future(document["last_updated"], now)
    except InvalidParameters as error:
        return Entry(raw, key, refusal=f"{_name(module, document)}: {error.message}")
    return Entry(raw, key, parse_datetime(document["last_updated"]))


def seen(entries: Sequence[Entry]) -> list[str]:
    """The keys of what the owner still has: also of what it spelled wrong, but none so long that nothing kept has it."""
    keys = [entry.key for entry in entries if entry.key is not None and not entry.foreign]
    return [key for key in keys if len(key) <= LONGEST_KEY]


def unnamed(entries: Sequence[Entry]) -> int:
    """How many may stand for any object of the owner."""
    return sum(entry.key is None and not entry.foreign for entry in entries)


def _key(module: ModuleSpec, document: Any) -> str | None:
    """As `hub.objects.keep.key_folded` has it: the id, of a Token with its type."""
    if not isinstance(document, dict):
        return None
    parts = [document.get(name) for name in module.key[2:]]
    named = [part for part in parts if isinstance(part, str)]
    return folded("|".join(named)) if len(named) == len(parts) else None


def _foreign(document: Any, owner: PartyId) -> str:
    if not isinstance(document, dict):
        return ""
    given = [document.get(name) for name in ("country_code", "party_id")]
    if not all(isinstance(part, str) for part in given) or PartyId.of(*map(str, given)) == owner:
        return ""
    return f"An object of {PartyId.of(*map(str, given))} stands in the list of {owner}; only its own are kept."


def _name(module: ModuleSpec, document: Any) -> str:
    named = document.get(module.key[2]) if isinstance(document, dict) else None
    return f"{module.id} {str(named)[:40]!r}" if isinstance(named, str) else f"An entry of {module.id}"
