"""Objects with an explicit null for every optional field that is not there, for receivers that miss it otherwise (field 1.5).

OCPI makes no difference between a field that is null and one that is left out of an object that is sent as a whole.
"""

from functools import lru_cache
from typing import Any, get_args

import msgspec
from pydantic import BaseModel

from ocpi_modules import json

_LIST = msgspec.json.Decoder(list[msgspec.Raw])


def explicit(schema: type[BaseModel], body: bytes) -> bytes:
    """A JSON object of `schema` with its absent optional fields appended as null, at every level.

    Every value that is there keeps its bytes and its place; white space between members may change. Raises NotJson.
    """
    parts = json.members(body)
    for name, inner in _fields(schema).items():
        if name not in parts:
            parts[name] = msgspec.Raw(b"null")
        elif inner is not None:
            parts[name] = msgspec.Raw(_inside(inner, bytes(parts[name])))
    return json.join(parts)


def _inside(schema: type[BaseModel], value: bytes) -> bytes:
    if value.startswith(b"["):
        return b"[" + b",".join(_inside(schema, bytes(item).strip()) for item in _LIST.decode(value)) + b"]"
    return explicit(schema, value) if value.startswith(b"{") else value


@lru_cache(maxsize=256)
def _fields(schema: type[BaseModel]) -> dict[str, type[BaseModel] | None]:
    """The optional fields of a schema, and those that hold a class of OCPI: name -> that class."""
    classes = {name: _class_in(field.annotation) for name, field in schema.model_fields.items()}
    return {
        name: classes[name]
        for name, field in schema.model_fields.items()
        if classes[name] is not None or not field.is_required()
    }


def _class_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _class_in(part)) is not None), None)
