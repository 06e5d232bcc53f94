"""The canonical content of a CDR and its hash: two spellings of one CDR are one CDR (contracts section 3). Pure.

Version 1: object keys sorted; numbers as normalised decimals; null, empty string, empty list and empty object members dropped;
times as instants; CiString ids folded to upper case; `last_updated` left out at the top level; the order of lists kept. A change
of any of these rules is a new version: stored hashes are compared by their own version only.
"""

import hashlib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from ocpi_modules import json
from ocpi_modules.types import parse_datetime

HASH_VERSION = 1

_CI_STRINGS = frozenset(
    {
        "country_code",
        "party_id",
        "id",
        "uid",
        "session_id",
        "authorization_reference",
        "contract_id",
        "evse_uid",
        "evse_id",
        "connector_id",
        "tariff_id",
        "credit_reference_id",
        "invoice_reference_id",
    }
)
_LEFT_OUT = frozenset({"last_updated"})


def content_hash(document: Mapping[str, Any]) -> bytes:
    """SHA-256 of the canonical content, 32 bytes; `document` is decoded JSON with Decimals."""
    return hashlib.sha256(canonical_bytes(document)).digest()


def canonical_bytes(document: Mapping[str, Any]) -> bytes:
    """What is hashed; readable JSON, for people who look for a difference."""
    return json.encode(_object({name: value for name, value in document.items() if name not in _LEFT_OUT}))


def _object(fields: Mapping[str, Any]) -> dict[str, Any]:
    canonical = ((name, _value(name, fields[name])) for name in sorted(fields))
    return {name: value for name, value in canonical if value not in (None, "", [], {})}


def _value(name: str, value: Any) -> Any:
    match value:
        case Mapping():
            return _object(value)
        case list():
            return [_value("", item) for item in value]
        case bool() | None:
            return value
        case int() | Decimal():
            return {"#": _number(Decimal(value))}
        case str():
            return _text(name, value)
        case _:
            raise TypeError(f"{type(value).__name__} is no JSON value")


def _number(number: Decimal) -> str:
    """1.10, 1.1, 11E-1 and 0.11E1 are one number; -0 is 0."""
    if not number:
        return "0"
    sign, digits, exponent = number.as_tuple()
    text = "".join(map(str, digits))
    stripped = text.rstrip("0")
    return f"{'-' if sign else ''}{stripped}e{int(exponent) + len(text) - len(stripped)}"


def _text(name: str, text: str) -> str:
    if name in _CI_STRINGS:
        return text.upper() if text.isascii() else text
    if name.endswith("date_time") or name == "last_updated":
        try:
            return parse_datetime(text).isoformat()
        except ValueError:
            return text
    return text
