"""What a CDR must have before it is journalled: its identity, its customer and, for a credit, what it credits. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ocpi_modules.message import PartyId
from ocpi_modules.status import InvalidParameters
from ocpi_modules.types import parse_datetime

_LONGEST_ID = 39


@dataclass(frozen=True)
class CdrFacts:
    """The identity of a CDR, read strictly (contracts section 4)."""

    owner: PartyId
    id_folded: str
    last_updated: datetime
    credit_reference_id: str | None
    """Folded; None for an ordinary CDR."""


def read_facts(document: Any, sender: PartyId) -> CdrFacts:
    """Raises InvalidParameters (2001) for a CDR whose identity, owner or credit is not certain."""
    if not isinstance(document, Mapping):
        raise InvalidParameters("The body must be one CDR, a JSON object.")
    for field, expected in zip(("country_code", "party_id"), sender, strict=True):
        if _ci_string(document, field, len(expected)) != expected:
            raise InvalidParameters(f"`{field}` is not {expected}; a CDR is posted by the CPO that owns it.")
    return CdrFacts(
        sender, _ci_string(document, "id", _LONGEST_ID), _instant(document, "last_updated"), _credited(document)
    )


def _credited(document: Mapping[str, Any]) -> str | None:
    """D-04, D-32."""
    credit = document.get("credit")
    if credit not in (True, False, None):
        raise InvalidParameters("`credit` must be true or false.")
    if not credit:
        return None
    reference = _ci_string(document, "credit_reference_id", _LONGEST_ID)
    if reference == _ci_string(document, "id", _LONGEST_ID):
        raise InvalidParameters("`credit_reference_id` is the CDR's own `id`; a Credit CDR has a new one.")
    return reference


def _ci_string(document: Mapping[str, Any], field: str, longest: int) -> str:
    value = document.get(field)
    if not isinstance(value, str) or not 0 < len(value) <= longest or not (value.isascii() and value.isprintable()):
        raise InvalidParameters(f"`{field}` of a CDR must be 1 to {longest} printable ASCII characters.")
    return value.upper()


def _instant(document: Mapping[str, Any], field: str) -> datetime:
    value = document.get(field)
    try:
        return parse_datetime(value if isinstance(value, str) else "")
    except ValueError as error:
        raise InvalidParameters(f"`{field}` of a CDR {error}.") from None
