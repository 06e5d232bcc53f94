"""The members of JSON as the text they were spelled with, read by the standard library: not by the codec under test."""

from json import JSONDecoder
from json.decoder import scanstring

_DECODER = JSONDecoder()
_SPACE = " \t\n\r"


def members(text: str) -> dict[str, str]:
    """The members of one object in their order, each value as spelled."""
    found: dict[str, str] = {}
    place = _skip(text, _skip(text, 0) + 1)
    while text[place] != "}":
        name, place = scanstring(text, place + 1, True)
        place = _skip(text, _skip(text, place) + 1)
        _, end = _DECODER.raw_decode(text, place)
        found[name] = text[place:end]
        place = _skip(text, end)
        place = _skip(text, place + 1) if text[place] == "," else place
    return found


def entries(text: str) -> list[str]:
    """The entries of one array, each as spelled."""
    found: list[str] = []
    place = _skip(text, _skip(text, 0) + 1)
    while text[place] != "]":
        _, end = _DECODER.raw_decode(text, place)
        found.append(text[place:end])
        place = _skip(text, end)
        place = _skip(text, place + 1) if text[place] == "," else place
    return found


def _skip(text: str, place: int) -> int:
    while text[place] in _SPACE:
        place += 1
    return place
