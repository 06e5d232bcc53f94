"""The OCPP 1.6 schemas (of the `ocpp` package) as findings, not as refusals (charging R9, 5.2, 5.7 i).

A finding names the place and the broken keyword, never the value: tokens and signed data do not belong into logs.
"""

import json
from collections.abc import Iterator
from functools import cache
from importlib import resources
from itertools import islice
from typing import Any

from jsonschema_rs import Draft4Validator, ValidationError
from ocpp.v16.enums import Action

MAXIMUM_FINDINGS = 10
ACTIONS = frozenset(str(action.value) for action in Action)


def findings(schema: str, payload: dict[str, Any]) -> list[str]:
    """What of `payload` breaks the schema of this name (`MeterValues`, `MeterValuesResponse`); at most ten, empty is right."""
    validator = _validator(schema)
    if validator.is_valid(payload):
        return []
    return list(islice(_described(validator.iter_errors(payload)), MAXIMUM_FINDINGS))


def _described(errors: Iterator[ValidationError]) -> Iterator[str]:
    for error in errors:
        place = ".".join(str(part) for part in error.instance_path) or "payload"
        yield f"{place[:100]}: {error.schema_path[-1] if error.schema_path else 'invalid'}"


@cache
def _validator(schema: str) -> Draft4Validator:
    text = (resources.files("ocpp.v16") / "schemas" / f"{schema}.json").read_text("utf-8-sig")
    return Draft4Validator(json.loads(text))
