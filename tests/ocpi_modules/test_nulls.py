"""Explicit nulls: what is there keeps its bytes, what is not is null at every level, and nothing else changes."""

from typing import Any

import pytest

from ocpi_modules import json, nulls, validation
from ocpi_modules.credentials.schemas import Credentials
from ocpi_modules.locations.schemas import Location
from ocpi_modules.registry import MODULES
from tests.support import objects


def required(document: Any) -> Any:
    """The document without what may be left out of a Location, its EVSEs and Connectors."""
    kept = {"country_code", "party_id", "id", "publish", "address", "city", "country", "coordinates", "time_zone"}
    evse = {"uid", "status", "connectors", "last_updated"}
    connector = {"id", "standard", "format", "power_type", "max_voltage", "max_amperage", "last_updated"}
    slim = {name: value for name, value in document.items() if name in kept | {"evses", "last_updated"}}
    slim["evses"] = [{name: value for name, value in item.items() if name in evse} for item in document["evses"]]
    for item in slim["evses"]:
        item["connectors"] = [
            {name: value for name, value in each.items() if name in connector} for each in item["connectors"]
        ]
    return slim


def test_absent_fields_are_null_at_every_level() -> None:
    slim = required(objects.location())
    filled = json.decode(nulls.explicit(Location, json.encode(slim)))
    evse = filled["evses"][0]
    assert set(filled) == set(Location.model_fields)
    assert {filled["name"], evse["floor_level"], evse["connectors"][0]["tariff_ids"]} == {None}
    assert without_nulls(filled) == slim
    assert validation.findings(Location, filled) == []


def test_what_is_there_keeps_its_spelling_and_its_place() -> None:
    body = b'{ "zz" : [1.10, 1E2], "evses":[ {"uid":"\\u0041", "odd":{"a" :1}} ,null], "coordinates": "\\u00e9" }'
    filled = nulls.explicit(Location, body)
    for kept in (b'"zz":[1.10, 1E2]', b'"uid":"\\u0041","odd":{"a" :1}', b",null]", b'"coordinates":"\\u00e9"'):
        assert kept in filled
    assert filled.index(b'"zz"') < filled.index(b'"evses"') < filled.index(b'"coordinates"') < filled.index(b'"name"')


@pytest.mark.parametrize("module", ["locations", "sessions", "cdrs", "tariffs", "tokens"])
def test_a_whole_object_stays_the_object_it_was(module: str) -> None:
    spec = next(spec for spec in MODULES.values() if spec.id == module)
    document = getattr(objects, module.removesuffix("s"))()
    filled = json.decode(nulls.explicit(spec.object, json.encode(document)))
    assert without_nulls(filled) == without_nulls(document)
    assert set(spec.object.model_fields) <= set(filled)


def test_our_credentials_name_what_the_hub_does_not_have() -> None:
    role = {"role": "HUB", "party_id": "HUB", "country_code": "NL", "business_details": {"name": "Hub"}}
    body = json.encode({"token": "t", "url": "https://hub.example/ocpi/versions", "roles": [role]})
    details = json.decode(nulls.explicit(Credentials, body))["roles"][0]["business_details"]
    assert details == {"name": "Hub", "website": None, "logo": None}


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_nulls(item) for name, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value
