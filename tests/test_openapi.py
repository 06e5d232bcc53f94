"""openapi/ is what the module tables say, and its examples are right."""

from pathlib import Path
from typing import Any

import pytest

from ocpi_modules import json
from ocpi_modules.http import openapi
from ocpi_modules.http.examples import EXAMPLES
from ocpi_modules.registry import MODULES, VERSIONS
from ocpi_modules.spec import Endpoint
from ocpi_modules.validation import findings

CHECKED_IN = Path(__file__).parent.parent / "openapi"
ENDPOINTS: list[Endpoint] = [endpoint for spec in MODULES.values() for endpoint in spec.endpoints]
ANNOTATIONS = {model.__name__: model for each in ENDPOINTS for model in openapi._models(each.body)}
ANNOTATIONS |= {model.__name__: model for each in ENDPOINTS for model in openapi._models(each.returns)}


def operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for path in document["paths"].values() for operation in path.values()]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_checked_in_document_is_what_the_tables_say(version: str) -> None:
    assert (CHECKED_IN / f"ocpi-{version}.json").read_bytes() == openapi.text(version), (
        "run `ocpi-hub openapi` and commit the result"
    )


def test_every_endpoint_is_one_operation_with_its_own_id() -> None:
    ids = [operation["operationId"] for operation in operations(openapi.document())]
    assert len(ids) == len(set(ids)) == len(ENDPOINTS)


def test_every_reference_leads_somewhere() -> None:
    document = json.decode(openapi.text())
    pending, references = [document], set()
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            references |= {item["$ref"]} if isinstance(item.get("$ref"), str) else set()
            pending += item.values()
        elif isinstance(item, list):
            pending += item
    assert len(references) > 50
    for reference in references:
        place: Any = document
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]


def test_every_placeholder_of_a_path_is_a_parameter() -> None:
    for path, methods in openapi.document()["paths"].items():
        for operation in methods.values():
            names = [each["name"] for each in operation["parameters"] if each.get("in") == "path"]
            assert "".join(f"{{{name}}}" for name in names) == "".join(
                part for part in path.split("/") if part.startswith("{")
            )


@pytest.mark.parametrize("name", sorted(ANNOTATIONS))
def test_every_example_is_a_right_object(name: str) -> None:
    assert findings(ANNOTATIONS[name], EXAMPLES[name]) == []


def test_no_example_is_without_its_schema() -> None:
    assert set(EXAMPLES) == set(ANNOTATIONS)


def test_writing_makes_one_file_for_each_version(tmp_path: Path) -> None:
    assert [path.name for path in openapi.write(tmp_path / "new")] == [f"ocpi-{version}.json" for version in VERSIONS]
