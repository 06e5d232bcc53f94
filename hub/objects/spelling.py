"""JSON opened only as far as a change needs, every value it does not touch kept as it was spelled. Pure.

What comes out of `read` looks like decoded JSON to `ocpi_modules.patch`: dicts, lists, strings and None. Values nobody has to
look into are raw bytes; objects, arrays and strings remember theirs. `write` puts the same bytes back for all that was not made
anew; in what was, only white space between members may change.
"""

from collections.abc import Collection
from typing import Any

import msgspec

from ocpi_modules import json

Spelled = dict[str, Any]


class Text(str):
    """A string and the bytes it was spelled with."""

    raw: bytes

    @classmethod
    def of(cls, raw: bytes) -> "Text":
        text = cls(msgspec.json.decode(raw, type=str))
        text.raw = raw
        return text


class Members(dict[str, Any]):
    """An object and the bytes it was spelled with, as long as nobody made another one of it."""

    raw: bytes


class Entries(list[Any]):
    """An array and the bytes it was spelled with."""

    raw: bytes


def read(body: bytes, arrays: Collection[str], texts: Collection[str]) -> Spelled:
    """The object in `body`; `arrays` are opened down to the members of their entries, `texts` are read as strings.

    Raises NotJson when it is no object.
    """
    opened = Members((name, _open(name, bytes(raw), arrays, texts)) for name, raw in json.members(body).items())
    opened.raw = body
    return opened


def write(value: Any) -> bytes:
    """What `read` gave, changed or not, as JSON bytes."""
    match value:
        case None:
            return b"null"
        case Text() | Members() | Entries():
            return value.raw
        case dict():
            return b"{" + b",".join(json.encode(name) + b":" + write(item) for name, item in value.items()) + b"}"
        case list():
            return b"[" + b",".join(write(item) for item in value) + b"]"
        case _:
            return bytes(value)


def _open(name: str, raw: bytes, arrays: Collection[str], texts: Collection[str]) -> Any:
    if raw == b"null":
        return None
    if raw[:1] == b"[":
        entries = Entries(_entry(name, entry, arrays, texts) for entry in json.entries(raw))
        entries.raw = raw
        return entries
    return Text.of(raw) if raw[:1] == b'"' and name in texts else raw


def _entry(name: str, raw: bytes, arrays: Collection[str], texts: Collection[str]) -> Any:
    return read(raw, arrays, texts) if name in arrays and raw[:1] == b"{" else raw
