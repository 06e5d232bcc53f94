"""Valid objects of any schema, drawn from a `random.Random`: Hypothesis brings one it can shrink, the fuzz run a seeded one."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from enum import Enum
from random import Random
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, StringConstraints, WithJsonSchema
from pydantic.fields import FieldInfo

from ocpi_modules.cdrs.enums import SESSION_ONLY, CdrDimensionType
from ocpi_modules.cdrs.schemas import CDR
from ocpi_modules.commands.schemas import StartSession
from ocpi_modules.locations.schemas import Hours, Location, PublishTokenType, RegularHours
from ocpi_modules.types import OcpiObject

Document = dict[str, Any]
MAXIMUM_ENTRIES = 2
ASCII = "".join(chr(code) for code in range(0x20, 0x7F))
_ANY = ASCII + "äß€Ωø中文🚗\u00a0\u200b\u2028\ufeff\ue000\U0010fffd"
_ALPHABETS = {r"^[\x20-\x7e]*$": ASCII, r"^[\x21-\x7e]*$": ASCII[1:]}
_TIMES = ("2026-03-01T12:00:00Z", "2026-03-01T12:00:00", "2015-06-29T20:39:09.5Z", "2026-1-1T00:00:00.123456789Z")
_ZONES = ("Europe/Amsterdam", "America/Argentina/Buenos_Aires", "UTC", "Asia/Kolkata")
_BY_PATTERN: dict[str, Callable[[Random], str]] = {
    r"^[A-Za-z]{2}$": lambda random: random.choice(("nl", "DE", "fR")),
    r"^[A-Za-z]{3}$": lambda random: random.choice(("NLD", "bel", "FrA")),
    r"^[A-Z]{3}$": lambda random: random.choice(("EUR", "NOK", "XXX")),
    r"^([0-1][0-9]|2[0-3]):[0-5][0-9]$": lambda random: f"{random.randint(0, 23):02}:{random.randint(0, 59):02}",
    r"^-?[0-9]{1,2}\.[0-9]{5,7}$": lambda random: random.choice(("52.370216", "-3.12345", "0.0000000")),
    r"^-?[0-9]{1,3}\.[0-9]{5,7}$": lambda random: random.choice(("4.895168", "-179.99999", "180.0000000")),
    r"^([12][0-9]{3})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$": lambda random: f"2026-0{random.randint(1, 9)}-28",
}


def build(schema: type[OcpiObject], random: Random, /, **fixed: Any) -> Document:
    """An object of `schema` as decoded JSON; `fixed` fields have these values. Nothing in it has a finding."""
    document: Document = {}
    for name, field in schema.model_fields.items():
        if name in fixed:
            document[name] = fixed[name]
        elif field.is_required() or random.random() < 0.4:
            document[name] = _field(field, random)
    _mend(schema, document, random)
    return document


def build_changes(schema: type[OcpiObject], random: Random, /, **fixed: Any) -> Document:
    """The body of a PATCH: some fields of an object that is valid as a whole, `last_updated` among them."""
    whole = build(schema, random)
    names = [name for name in whole if name not in _TOGETHER]
    chosen = set(random.sample(names, random.randint(0, min(3, len(names)))))
    return {name: whole[name] for name in names if name in chosen} | {"last_updated": whole["last_updated"]} | fixed


_TOGETHER = {"publish", "publish_allowed_to", "credit", "credit_reference_id", "country_code", "party_id", "id", "uid"}
"""Fields that bind each other, and ids: a PATCH does not touch them."""


def instant(random: Random) -> str:
    return random.choice(_TIMES)


def number(random: Random) -> Decimal:
    digits = random.choice((0, 1, 7, 30, 1999, 1234567890123))
    return Decimal(digits).scaleb(-random.randint(0, 6)) * random.choice((1, 1, 1, -1))


def text(random: Random, alphabet: str, longest: int, shortest: int = 0) -> str:
    """Few draws: a length and a place in the alphabet, from where every seventh character is taken."""
    length = random.choice(
        (shortest, min(longest, 1), min(longest, 7), min(longest, 7), longest if longest < 256 else 20)
    )
    start = random.randrange(len(alphabet))
    return "".join(alphabet[(start + 7 * place) % len(alphabet)] for place in range(max(length, shortest)))


def _field(field: FieldInfo, random: Random) -> Any:
    return _value(field.annotation, tuple(field.metadata), random)


def _value(annotation: Any, metadata: tuple[Any, ...], random: Random) -> Any:
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        more = [part for item in more for part in (item.metadata if isinstance(item, FieldInfo) else [item])]
        return _value(inner, (*metadata, *more), random)
    if get_origin(annotation) in (Union, UnionType):
        return _value(next(one for one in get_args(annotation) if one is not type(None)), metadata, random)
    if get_origin(annotation) is list:
        least = max((item.min_length for item in metadata if getattr(item, "min_length", None)), default=0)
        (inner,) = get_args(annotation)
        return [_value(inner, (), random) for _ in range(random.randint(least, max(least, MAXIMUM_ENTRIES)))]
    return _single(annotation, metadata, random)


def _single(annotation: Any, metadata: tuple[Any, ...], random: Random) -> Any:
    if issubclass(annotation, BaseModel):
        return build(annotation, random)  # type: ignore[type-var]
    if issubclass(annotation, Enum):
        return str(random.choice(list(annotation)).value)
    if annotation is bool:
        return random.random() < 0.5
    if annotation is datetime:
        return instant(random)
    if annotation is Decimal:
        return number(random)
    return _integer(metadata, random) if annotation is int else _string(metadata, random)


def _integer(metadata: tuple[Any, ...], random: Random) -> int:
    least = max((item.ge for item in metadata if getattr(item, "ge", None) is not None), default=-5)
    most = min((item.le for item in metadata if getattr(item, "le", None) is not None), default=99999)
    return random.choice((least, most, random.randint(least, most)))


def _string(metadata: tuple[Any, ...], random: Random) -> str:
    rules = next((item for item in metadata if isinstance(item, StringConstraints)), None)
    if any(isinstance(item, WithJsonSchema) and item.json_schema.get("format") == "uri" for item in metadata):
        return f"https://example.com/{random.randint(0, 999)}?a=%20&b=ü#x"
    if rules is None:
        longest = next(item.max_length for item in metadata if getattr(item, "max_length", None))
        return text(random, _ANY, longest)
    if rules.pattern in _BY_PATTERN:
        return _BY_PATTERN[str(rules.pattern)](random)
    alphabet = _ALPHABETS.get(str(rules.pattern), _ANY)
    return text(random, alphabet, rules.max_length or 255, rules.min_length or 0)


def _mend(schema: type[OcpiObject], document: Document, random: Random) -> None:
    """Fields that depend on each other (L-31, L-37, L-50, L-51, D-32, D-42, M-13)."""
    if schema is Location:
        document["time_zone"] = random.choice(_ZONES)
        if document["publish"]:
            document.pop("publish_allowed_to", None)
    elif schema is RegularHours:
        document |= {"period_begin": "00:00", "period_end": random.choice(("23:59", "07:30"))}
    elif schema is Hours:
        _mend_hours(document, random)
    elif schema is PublishTokenType:
        document |= {"type": "RFID", "issuer": "Someone", "group_id": "G-1"}
    elif schema is CDR:
        _mend_cdr(document)
    elif schema is StartSession and "connector_id" in document:
        document.setdefault("evse_uid", "E-1")
        document["evse_uid"] = document["evse_uid"] or "E-1"


def _mend_hours(document: Document, random: Random) -> None:
    document.pop("regular_hours", None)
    if not document["twentyfourseven"]:
        document["regular_hours"] = [build(RegularHours, random)]


def _mend_cdr(document: Document) -> None:
    for period in document["charging_periods"]:
        for dimension in period["dimensions"]:
            if CdrDimensionType(dimension["type"]) in SESSION_ONLY:
                dimension["type"] = "ENERGY"
    if document.get("credit"):
        document["credit_reference_id"] = document.get("credit_reference_id") or "CDR-0"
