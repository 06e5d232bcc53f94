"""The module tables against spec/endpoints.csv, which was written from the specification by hand, and their oddities."""

import csv
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest

from ocpi_modules.commands.enums import CommandType
from ocpi_modules.commands.spec import COMMANDS
from ocpi_modules.registry import MODULES, VERSIONS, module
from ocpi_modules.spec import Endpoint, InterfaceRole, Kind, Method, ModuleID, Page, Partial, Place
from ocpi_modules.status import UnsupportedVersion

ENDPOINTS_CSV = Path(__file__).parent.parent / "spec" / "endpoints.csv"
EVERY = [(spec, endpoint) for spec in MODULES.values() for endpoint in spec.endpoints]


def words(annotation: Any) -> str:
    if annotation is None:
        return ""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Partial:
        return f"changes of {arguments[0].__name__}"
    if origin is Page:
        return str(arguments[0].__name__)
    if origin is list:
        return f"{arguments[0].__name__}[]"
    return " or ".join(choice.__name__ for choice in arguments) if arguments else str(annotation.__name__)


def row(module: ModuleID, endpoint: Endpoint) -> tuple[str, ...]:
    required = endpoint.required_query + endpoint.expected_query
    return (
        module.value,
        endpoint.interface.value,
        endpoint.method.value,
        endpoint.path,
        words(endpoint.body) + (" or nothing" if endpoint.body_optional else ""),
        words(endpoint.returns),
        " ".join(name for name in endpoint.query if name not in required),
        " ".join(required),
        "yes" if endpoint.is_list else "no",
    )


@pytest.mark.rule("L-13", "L-17", "S-06", "S-08", "T-03", "K-02", "P-02", "H-03")
def test_the_tables_offer_exactly_the_endpoints_of_the_specification() -> None:
    with ENDPOINTS_CSV.open() as lines:
        written = {tuple(line[:-1]) for line in list(csv.reader(lines))[1:]}
    offered = {row(spec.id, endpoint) for spec, endpoint in EVERY}
    assert offered - written == set()
    assert written - offered == set()


def test_no_endpoint_is_listed_twice() -> None:
    places = [(spec.id, endpoint.interface, endpoint.method, endpoint.path) for spec, endpoint in EVERY]
    assert len(places) == len(set(places)) == 46


@pytest.mark.rule("R-01", "R-02", "E-06")
def test_three_modules_are_configuration_and_seven_are_routed() -> None:
    configuration = {spec.id for spec in MODULES.values() if spec.kind is Kind.CONFIGURATION}
    assert configuration == {ModuleID.versions, ModuleID.credentials, ModuleID.hubclientinfo}
    assert set(MODULES) == set(ModuleID) - {ModuleID.custom}


@pytest.mark.rule("R-44", "R-45")
def test_what_names_a_driver_is_not_broadcast() -> None:
    assert {spec.id for spec in MODULES.values() if spec.broadcast} == {
        ModuleID.locations,
        ModuleID.tariffs,
        ModuleID.tokens,
    }


def test_each_oddity_stands_at_its_endpoints_only() -> None:
    oddities = {
        (spec.id.value, endpoint.method.value, name)
        for spec, endpoint in EVERY
        for name in ("location_header", "self_defined", "body_optional", "response_url", "expected_query", "bodies")
        if getattr(endpoint, name)
    }
    assert oddities == {
        ("cdrs", "POST", "location_header"),
        ("cdrs", "GET", "self_defined"),
        ("tokens", "POST", "body_optional"),
        ("commands", "POST", "response_url"),
        ("commands", "POST", "bodies"),
        ("commands", "POST", "self_defined"),
        ("chargingprofiles", "GET", "response_url"),
        ("chargingprofiles", "PUT", "response_url"),
        ("chargingprofiles", "DELETE", "response_url"),
        ("chargingprofiles", "POST", "self_defined"),
        ("sessions", "GET", "expected_query"),
    }


@pytest.mark.rule("M-02", "M-11", "M-14")
def test_each_command_has_its_own_body() -> None:
    [endpoint] = [each for each in COMMANDS.endpoints if each.interface is InterfaceRole.RECEIVER]
    names = {command: schema.__name__.upper() for command, schema in endpoint.bodies.items()}
    assert names == {command: command.replace("_", "") for command in CommandType}


def test_the_response_url_is_in_the_query_where_there_is_no_body() -> None:
    for _, endpoint in EVERY:
        if endpoint.response_url:
            assert (endpoint.response_url is Place.BODY) == (endpoint.body is not None)
            assert (endpoint.response_url is Place.QUERY) == ("response_url" in endpoint.required_query)


def test_every_patch_says_that_it_is_partial_and_nothing_else_does() -> None:
    for _, endpoint in EVERY:
        assert (endpoint.method is Method.PATCH) == (get_origin(endpoint.body) is Partial)


def test_every_hint_key_and_nested_field_exists_in_its_object() -> None:
    for spec in MODULES.values():
        for name in spec.key:
            assert name in spec.object.model_fields
        for hint in spec.receiver_hint:
            outer, inner = hint.split(".")
            assert inner in spec.object.model_fields[outer].annotation.model_fields


def test_an_unknown_version_is_3002() -> None:
    assert module("2.2.1", ModuleID.tokens) is MODULES[ModuleID.tokens]
    assert list(VERSIONS) == ["2.2.1"]
    with pytest.raises(UnsupportedVersion):
        module("9.9", ModuleID.tokens)
