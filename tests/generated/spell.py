"""Hostile but legal spelling of JSON: everything RFC 8259 allows and a second parser might normalise (contracts section 10)."""

import json
from decimal import Decimal
from random import Random
from typing import Any

_UNKNOWN: tuple[tuple[str, Any], ...] = (
    ("x_vendor", {"deep": [1, [2, {"three": Decimal("3.30")}]], "": None}),
    ("ünïcode", "\u2028🚗"),
    ("nested.name", []),
    ("Last_Updated", "not the same key"),
    ("x", {}),
)
_SPACES = ("", "", "", " ", "\n\t", "\r\n  ", "   ")


def spell(value: Any, random: Random, *, hostile: float = 0.3) -> bytes:
    """`value` as JSON bytes. `hostile` is the share of places where the spelling is odd; 0 gives plain compact JSON.

    Objects are shuffled and get keys nobody knows; strings get escapes; numbers other forms of the same value. One draw
    decides about all of it: a spelling need not shrink.
    """
    random = Random(random.getrandbits(32))
    return (_space(random, hostile) + _spell(value, random, hostile) + _space(random, hostile)).encode(
        "utf-8", "surrogatepass"
    )


def _spell(value: Any, random: Random, hostile: float) -> str:
    match value:
        case None | True | False:
            return json.dumps(value)
        case str():
            return _text(value, random, hostile)
        case int() | Decimal():
            return _number(value, random, hostile)
        case list():
            return _joined("[", [_spell(item, random, hostile) for item in value], "]", random, hostile)
        case dict():
            return _object(value, random, hostile)
    raise TypeError(f"{type(value).__name__} is not JSON")


def _object(value: dict[str, Any], random: Random, hostile: float) -> str:
    members = list(value.items())
    if hostile and random.random() < hostile / 2:
        members += [(name, item) for name, item in random.sample(_UNKNOWN, random.randint(1, 2)) if name not in value]
        random.shuffle(members)
    spelled = [
        f"{_text(name, random, hostile / 3)}{_space(random, hostile)}:{_space(random, hostile)}"
        f"{_spell(item, random, hostile)}"
        for name, item in members
    ]
    return _joined("{", spelled, "}", random, hostile)


def _joined(opening: str, parts: list[str], closing: str, random: Random, hostile: float) -> str:
    comma = f"{_space(random, hostile)},{_space(random, hostile)}"
    return f"{opening}{_space(random, hostile)}{comma.join(parts)}{_space(random, hostile)}{closing}"


def _space(random: Random, hostile: float) -> str:
    return random.choice(_SPACES) if hostile and random.random() < hostile else ""


def _text(value: str, random: Random, hostile: float) -> str:
    if not hostile or random.random() >= hostile:
        return json.dumps(value, ensure_ascii=False)
    if random.random() < 0.5:
        return json.dumps(value, ensure_ascii=True).replace("/", "\\/")
    every = random.randint(1, 4)
    return '"' + "".join(_escaped(one) if place % every == 0 else _plain(one) for place, one in enumerate(value)) + '"'


def _plain(character: str) -> str:
    return json.dumps(character, ensure_ascii=False)[1:-1]


def _escaped(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[place : place + 2].hex()}" for place in range(0, len(units), 2))


def _number(value: int | Decimal, random: Random, hostile: float) -> str:
    plain = format(value, "f") if isinstance(value, Decimal) else str(value)
    if not hostile or random.random() >= hostile:
        return plain
    whole, _, fraction = plain.partition(".")
    power = random.randint(1, 3)
    return random.choice(
        (
            f"{whole}.{fraction}0",
            f"{whole}.{fraction or '0'}000000",
            f"{plain}e0",
            f"{plain}E+00",
            f"{Decimal(plain).scaleb(-power):f}e{power}",
            f"{Decimal(plain).scaleb(power):f}E-0{power}",
        )
    )
