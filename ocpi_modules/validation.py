"""Reads decoded JSON against a schema and says in sentences what is wrong. It judges; it never changes the document.

Whether a finding refuses a message or is only noted is decided by the caller (how strict, contracts of the hub).
"""

from functools import lru_cache
from types import UnionType
from typing import Annotated, Any, NamedTuple, TypeVar, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError, create_model
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from ocpi_modules.spec import Page, Partial
from ocpi_modules.status import InvalidParameters

Model = TypeVar("Model", bound=BaseModel)
MAXIMUM_FINDINGS = 100
_NAMED = 20
_EXCERPT = 40
_CHOICES = 400


class Finding(NamedTuple):
    """One wrong field: `path` like `evses[0].connectors[1].standard` ("" is the whole body), `rule` the kind of fault, and a
    sentence that names the field."""

    path: str
    rule: str
    message: str


def findings(object_type: Any, document: Any) -> list[Finding]:
    """Every wrong field of decoded JSON, in the order of the schema; at most MAXIMUM_FINDINGS.

    `object_type` is what stands in the module tables: a schema, an enumeration, `Partial[...]`, `list[...]`, or a union, of which
    the schema that knows most of the given fields speaks.
    """
    if get_origin(object_type) is UnionType:
        return findings(_closest(get_args(object_type), document), document)
    try:
        _adapter(object_type).validate_python(document)
    except ValidationError as error:
        details = error.errors(include_url=False)[:MAXIMUM_FINDINGS]
        return [_finding(detail) for detail in details]
    return []


def require(object_type: Any, document: Any) -> None:
    """Raises InvalidParameters (2001) that names every wrong field."""
    found = findings(object_type, document)
    if not found:
        return
    sentences = " ".join(finding.message for finding in found[:_NAMED])
    more = f" And {len(found) - _NAMED} more." if len(found) > _NAMED else ""
    raise InvalidParameters(sentences + more)


def read(schema: type[Model], document: Any) -> Model:
    """`document` as an object of `schema`; raises InvalidParameters (2001) that names every wrong field."""
    require(schema, document)
    return schema.model_validate(document)


def _closest(choices: tuple[type[BaseModel], ...], document: Any) -> type[BaseModel]:
    given = set(document) if isinstance(document, dict) else set()
    return max(choices, key=lambda choice: len(given & choice.model_fields.keys()))


@lru_cache(maxsize=256)
def partial(schema: type[BaseModel]) -> type[BaseModel]:
    """`schema` for PATCH: only last_updated is required (X-50), and a required field may be left out but not null (G-54)."""
    fields: dict[str, Any] = {
        name: (_annotation(field), None) for name, field in schema.model_fields.items() if name != "last_updated"
    }
    return create_model(
        f"Partial{schema.__name__}", __base__=schema, __doc__=f"Changed fields of {schema.__name__}.", **fields
    )


def _annotation(field: FieldInfo) -> Any:
    return Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation


@lru_cache(maxsize=256)
def _adapter(object_type: Any) -> TypeAdapter[Any]:
    if get_origin(object_type) is Partial:
        return TypeAdapter(partial(get_args(object_type)[0]))
    if get_origin(object_type) is Page:
        object_type = list.__class_getitem__(get_args(object_type)[0])
    return TypeAdapter(object_type)


def _finding(detail: ErrorDetails) -> Finding:
    path = _path(detail["loc"])
    return Finding(path, detail["type"], f"{path or 'The body'} {_fault(detail)}.")


def _path(location: tuple[int | str, ...]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return text.removeprefix(".")


def _fault(detail: ErrorDetails) -> str:
    given, context = detail["input"], detail.get("ctx", {})
    if detail["type"] == "missing":
        return "is required but missing"
    if given is None and detail["type"] != "ocpi":
        return "is required and must not be null"
    if detail["type"] == "enum":
        return f"is {_excerpt(given)}, but must be one of {_excerpt_of_choices(str(context['expected']))}"
    if detail["type"] == "string_too_long":
        return f"has {len(given)} characters; at most {context['max_length']} are allowed"
    if detail["type"] == "string_pattern_mismatch":
        return f"{_PATTERNS.get(context['pattern'], 'has the wrong form')}"
    if detail["type"] in _FAULTS:
        return _FAULTS[detail["type"]].format(**context)
    return detail["msg"][:1].lower() + detail["msg"][1:]


def _excerpt(value: Any) -> str:
    text = repr(value) if isinstance(value, str | int) else "not a string"
    return text if len(text) <= _EXCERPT else f"{text[:_EXCERPT]}..."


def _excerpt_of_choices(text: str) -> str:
    return text if len(text) <= _CHOICES else f"{text[:_CHOICES].rpartition(',')[0]}, ..."


_FAULTS = {
    "ocpi": "{sentence}",
    "string_type": "must be a string",
    "string_too_short": "must not be empty",
    "bool_type": "must be true or false",
    "list_type": "must be an array",
    "too_short": "must hold at least {min_length} entry",
    "model_type": "must be a JSON object",
    "model_attributes_type": "must be a JSON object",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
}
_PATTERNS = {
    r"^[\x20-\x7e]*$": "must hold printable ASCII characters only",
    r"^[\x21-\x7e]*$": "must hold printable ASCII characters without spaces only",
    r"^[^\x00-\x1f\x7f-\x9f]*$": "must not hold line breaks or other control characters",
    r"^[A-Za-z]{2}$": "must be a code of two letters",
    r"^[A-Za-z]{3}$": "must be a country code of three letters (ISO 3166-1 alpha-3)",
    r"^[A-Z]{3}$": "must be a currency code of three capital letters (ISO 4217)",
    r"^([0-1][0-9]|2[0-3]):[0-5][0-9]$": "must be a time of day from 00:00 to 23:59",
    r"^-?[0-9]{1,2}\.[0-9]{5,7}$": "must be degrees as a string with 5 to 7 decimals, like '52.370216'",
    r"^-?[0-9]{1,3}\.[0-9]{5,7}$": "must be degrees as a string with 5 to 7 decimals, like '4.895168'",
    r"^([12][0-9]{3})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$": "must be a day like 2026-01-31",
}
