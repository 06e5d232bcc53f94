"""The one codec: Decimal in, numbers out, bytes kept (contracts section 4, F-33 to F-37).

Objects with numbers never pass through a codec that makes doubles of them. `decode` refuses what a second parser could read
differently: duplicate keys, NaN, NUL, depth over 64, a byte order mark, invalid UTF-8, lone surrogates.
"""

import json as stdlib_json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from ocpi_modules.status import NotJson

MAXIMUM_DEPTH = 64
MAXIMUM_NUMBER_LENGTH = 64
_MAXIMUM_EXPONENT = 300


def decode(body: bytes) -> Any:
    """JSON bytes to Python values; fractions and exponents become Decimal with every digit kept. Raises NotJson."""
    try:
        text = body.decode("utf-8")
        value = _read(text.strip(" \t\r\n"))
    except (ValueError, RecursionError) as error:
        raise NotJson(f"The body is not JSON: {error}.") from None
    if text.count("{") + text.count("[") > MAXIMUM_DEPTH and _depth(value) > MAXIMUM_DEPTH:
        raise NotJson(f"The body is nested deeper than {MAXIMUM_DEPTH} levels.")
    if "\\u" in text:
        _refuse_bad_characters(value)
    return value


def encode(value: Any) -> bytes:
    """Python values to compact JSON bytes; Decimal becomes a JSON number with its digits, never a string or a double."""
    return _ENCODER.encode(value)


def members(body: bytes) -> dict[str, msgspec.Raw]:
    """The members of one JSON object, each value as its exact bytes, in their order."""
    try:
        return _RAW_OBJECT.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotJson(f"The body is not a JSON object: {error}.") from None


def entries(body: bytes | msgspec.Raw) -> list[bytes]:
    """The entries of one JSON array, each as its exact bytes."""
    try:
        return [bytes(entry) for entry in _RAW_ARRAY.decode(body)]
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotJson(f"The body is not a JSON array: {error}.") from None


def splice(body: bytes, member: str, value: bytes) -> bytes:
    """`body` with one member of its top-level object replaced (or appended) by the JSON `value`.

    Every other value keeps its exact bytes and the members keep their order; white space between members may change.
    """
    parts = members(body)
    parts[member] = msgspec.Raw(value)
    return join(parts)


def join(parts: dict[str, msgspec.Raw]) -> bytes:
    """The object of these members, each value's bytes as they are."""
    return b"{" + b",".join(_ENCODER.encode(name) + b":" + bytes(value) for name, value in parts.items()) + b"}"


def _number(text: str) -> Decimal:
    if len(text) > MAXIMUM_NUMBER_LENGTH:
        raise NotJson(f"A number of {len(text)} characters is too long; at most {MAXIMUM_NUMBER_LENGTH} are read.")
    number = Decimal(text)
    if number and not -_MAXIMUM_EXPONENT < number.adjusted() < _MAXIMUM_EXPONENT:
        raise NotJson(f"The number {text} is out of range.")
    return number


def _read(text: str) -> Any:
    """As `JSONDecoder.decode`, which looks for white space with two regular expressions."""
    try:
        value, end = _SCAN(text, 0)
    except StopIteration as stopped:
        if text.startswith("\ufeff"):
            raise ValueError("it begins with a byte order mark; send UTF-8 without one") from None
        raise ValueError(f"expecting a value at character {stopped.value}") from None
    if end != len(text):
        raise ValueError(f"there is more after its end at character {end}")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        name = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {name!r} stands twice in one object")
    return result


def _integer(text: str) -> int:
    if len(text) > MAXIMUM_NUMBER_LENGTH:
        raise ValueError(f"a number of {len(text)} characters is too long")
    return int(text)


def _not_a_number(text: str) -> Any:
    raise ValueError(f"{text} is not a JSON number")


def _depth(value: Any) -> int:
    deepest, level = 0, [value]
    while level:
        deepest += 1
        level = [child for item in level for child in _children(item)]
        if deepest > MAXIMUM_DEPTH:
            break
    return deepest


def _children(item: Any) -> list[Any]:
    if isinstance(item, dict):
        return [child for child in item.values() if isinstance(child, dict | list)]
    return [child for child in item if isinstance(child, dict | list)] if isinstance(item, list) else []


def _refuse_bad_characters(value: Any) -> None:
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            pending.extend(item.keys())
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)
        elif isinstance(item, str):
            _refuse_bad_character(item)


def _refuse_bad_character(text: str) -> None:
    if "\x00" in text:
        raise NotJson("A string holds the character NUL (\\u0000), which no partner can store.")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise NotJson("A string holds half of a surrogate pair.")


_STRICT = stdlib_json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=_number, parse_int=_integer, parse_constant=_not_a_number
)
_SCAN: Callable[[str, int], tuple[Any, int]] = _STRICT.scan_once  # type: ignore[attr-defined]
_RAW_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_RAW_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])
_ENCODER = msgspec.json.Encoder(decimal_format="number")
