"""Read members of decoded OCPI JSON (numbers as Decimal or int); whatever is not understood is Unpriceable, by name."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, TypeVar

from ocpi_modules.tariffs.amounts import Unpriceable

Json = Mapping[str, Any]
T = TypeVar("T")


def read_text(parent: Json, key: str, path: str) -> str:
    """A required, non-empty string."""
    value = parent.get(key)
    if not isinstance(value, str) or not value:
        raise Unpriceable(f"{path}{key} must be a text, got {value!r}")
    return value


def read_number(parent: Json, key: str, path: str) -> Decimal | None:
    """An optional finite number; a float is refused because it has already lost digits."""
    value = parent.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, Decimal | int):
        raise Unpriceable(f"{path}{key} must be a number decoded as Decimal or int, got {value!r}")
    number = Decimal(value)
    if not number.is_finite():
        raise Unpriceable(f"{path}{key} must be a finite number, got {value!r}")
    if number.adjusted() > 20 or int(number.as_tuple().exponent) < -20:
        raise Unpriceable(f"{path}{key} is outside the range of amounts, got {value!r}")
    return number


def read_whole(parent: Json, key: str, path: str, least: int = 0) -> int | None:
    """An optional whole number not below `least`."""
    number = read_number(parent, key, path)
    if number is None:
        return None
    if number != number.to_integral_value() or number < least:
        raise Unpriceable(f"{path}{key} must be a whole number of at least {least}, got {number}")
    return int(number)


def read_object(parent: Json, key: str, path: str) -> Json | None:
    """An optional JSON object."""
    value = parent.get(key)
    if value is not None and not isinstance(value, Mapping):
        raise Unpriceable(f"{path}{key} must be an object, got {value!r}")
    return value


def read_objects(parent: Json, key: str, path: str, most: int) -> Sequence[Json]:
    """A required list of 1 to `most` objects."""
    value = parent.get(key)
    if not isinstance(value, list | tuple) or not value or not all(isinstance(item, Mapping) for item in value):
        raise Unpriceable(f"{path}{key} must be a list of one or more objects")
    if len(value) > most:
        raise Unpriceable(f"{path}{key} has {len(value)} entries, at most {most} are priced")
    return value


def read_pattern(parent: Json, key: str, path: str, parse: Callable[[str], T], shape: str) -> T | None:
    """An optional string in the given shape."""
    value = parent.get(key)
    if value is None:
        return None
    try:
        if isinstance(value, str) and len(value) == len(shape):
            return parse(value)
    except ValueError:
        pass
    raise Unpriceable(f"{path}{key} must be written as {shape}, got {value!r}")


def exact(value: Decimal | None) -> Fraction | None:
    """The number as an exact fraction."""
    return None if value is None else Fraction(value)
