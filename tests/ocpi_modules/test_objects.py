"""Every object and enumeration against spec/objects.csv and spec/enums.csv, the property tables of the specification."""

import csv
import importlib
import inspect
import re
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest

from ocpi_modules import json, registry, types
from ocpi_modules.spec import InterfaceRole, Role
from ocpi_modules.types import OcpiObject
from ocpi_modules.validation import findings
from tests.support.objects import BUILDERS

SPEC = Path(__file__).parent.parent / "spec"
MODULES = [importlib.import_module(f"ocpi_modules.{module}.schemas") for module in registry.MODULES]
ENUM_MODULES = [
    importlib.import_module(f"ocpi_modules.{name}.enums")
    for name in ("locations", "tokens", "sessions", "cdrs", "commands")
]


def rows(name: str) -> list[dict[str, str]]:
    with (SPEC / name).open() as lines:
        return list(csv.DictReader(lines))


def classes(kind: type) -> dict[str, Any]:
    found = {
        name: value
        for module in (*MODULES, *ENUM_MODULES, types)
        for name, value in vars(module).items()
        if inspect.isclass(value) and issubclass(value, kind) and value not in (OcpiObject, StrEnum)
    }
    return found | {"Role": Role, "InterfaceRole": InterfaceRole} if kind is StrEnum else found


OBJECTS = classes(OcpiObject)
ENUMS = classes(StrEnum)
FIELDS = rows("objects.csv")
REQUIRED = [row for row in FIELDS if row["cardinality"] in "1+"]
IDS = [f"{row['object']}.{row['field']}" for row in FIELDS]
LENIENT_LENGTHS = {"CdrLocation.address": 255, "CdrLocation.state": 45}
"""Read with the corrected lengths of Location (D-36)."""
NEEDED_BY_ANOTHER_FIELD = (["regular_hours"], ["type"], ["issuer"], ["connector_id"], ["credit_reference_id"])
FORMED = ("country", "currency", "language", "itude", "_zone", "_time", "_date", "_begin", "_end")
"""Strings with a form of their own."""
OPEN = {"VersionNumber", "ModuleID"}
"""Words nobody knows are skipped by the reader, not refused (E-13)."""


RULES_OF_OBJECTS = {
    "DisplayText": "Y-12",
    "Price": "Y-15",
    "Version": "E-02",
    "VersionDetails": "E-03",
    "Endpoint": "E-04",
    "Credentials": "C-16",
    "CredentialsRole": "C-17",
    "Location": "L-27",
    "EVSE": "L-38",
    "Connector": "L-41",
    "GeoLocation": "L-45",
    "AdditionalGeoLocation": "L-47",
    "BusinessDetails": "L-48",
    "Image": "L-49",
    "Hours": "L-50",
    "RegularHours": "L-51",
    "ExceptionalPeriod": "L-52",
    "StatusSchedule": "L-53",
    "EnergyMix": "L-54",
    "EnergySource": "L-55",
    "EnvironmentalImpact": "L-55",
    "PublishTokenType": "L-56",
    "Session": "S-14",
    "ChargingPreferences": "S-24",
    "CDR": "D-25",
    "CdrToken": "D-34",
    "CdrLocation": "D-35",
    "ChargingPeriod": "D-39",
    "CdrDimension": "D-40",
    "SignedData": "D-45",
    "SignedValue": "D-46",
    "Tariff": "T-08",
    "TariffElement": "T-09",
    "PriceComponent": "T-10",
    "AuthorizationInfo": "K-17",
    "LocationReferences": "K-19",
    "Token": "K-20",
    "EnergyContract": "K-21",
    "CommandResponse": "M-07",
    "CommandResult": "M-08",
    "CancelReservation": "M-11",
    "ReserveNow": "M-12",
    "StartSession": "M-13",
    "StopSession": "M-14",
    "UnlockConnector": "M-14",
    "ChargingProfileResponse": "P-14",
    "ActiveChargingProfileResult": "P-15",
    "ChargingProfileResult": "P-15",
    "ClearProfileResult": "P-15",
    "SetChargingProfile": "P-16",
    "ActiveChargingProfile": "P-17",
    "ChargingProfile": "P-18",
    "ChargingProfilePeriod": "P-18",
    "ClientInfo": "H-05",
}
RULES_OF_ENUMS = {
    "Role": ["Y-17", "G-67"],
    "InterfaceRole": ["E-05"],
    "ModuleID": ["E-06"],
    "VersionNumber": ["E-07"],
    "Status": ["L-57"],
    "Capability": ["L-58"],
    "ConnectorFormat": ["L-59"],
    "PowerType": ["L-59"],
    "ConnectorType": ["L-60"],
    "Facility": ["L-61"],
    "ParkingType": ["L-62"],
    "ParkingRestriction": ["L-62"],
    "ImageCategory": ["L-63"],
    "EnergySourceCategory": ["L-63"],
    "EnvironmentalImpactCategory": ["L-63"],
    "SessionStatus": ["S-20"],
    "ChargingPreferencesResponse": ["S-26"],
    "ProfileType": ["S-26"],
    "AuthMethod": ["D-44"],
    "CdrDimensionType": ["D-41"],
    "TariffDimensionType": ["T-11"],
    "TariffType": ["T-12"],
    "DayOfWeek": ["T-12"],
    "ReservationRestrictionType": ["T-12"],
    "AllowedType": ["K-18"],
    "TokenType": ["K-21"],
    "CommandType": ["M-01"],
    "CommandResponseType": ["M-09"],
    "CommandResultType": ["M-10"],
    "ChargingProfileResponseType": ["P-14"],
    "ChargingProfileResultType": ["P-15"],
    "ChargingRateUnit": ["P-18"],
    "ConnectionStatus": ["H-06"],
}


def only(row: dict[str, str], value: Any) -> list[str]:
    """The paths that are wrong when this one field of the full example has this value."""
    document = BUILDERS[row["object"]]() | {row["field"]: value}
    return [finding.path for finding in findings(OBJECTS[row["object"]], document)]


def given(rows_of_a_type: list[dict[str, str]]) -> Any:
    """Every row as a test of its own, which also proves the rule of its object."""
    cases = [pytest.param(row, marks=_rule(row["object"])) for row in rows_of_a_type]
    return pytest.mark.parametrize("row", cases, ids=lambda row: f"{row['object']}.{row['field']}")


def _rule(name: str) -> Any:
    return [pytest.mark.rule(RULES_OF_OBJECTS[name])] if name in RULES_OF_OBJECTS else []


def test_every_object_of_the_specification_exists() -> None:
    assert set(OBJECTS) == {row["object"] for row in FIELDS}
    assert set(BUILDERS) == set(OBJECTS)


@pytest.mark.parametrize("name", [pytest.param(name, marks=_rule(name)) for name in sorted(BUILDERS)])
@pytest.mark.rule("X-19")
def test_an_object_has_exactly_the_fields_of_the_specification(name: str) -> None:
    assert set(OBJECTS[name].model_fields) == {row["field"] for row in FIELDS if row["object"] == name}
    assert all(re.fullmatch("[a-z0-9_]+", field) for field in OBJECTS[name].model_fields)
    assert not any(field.alias for field in OBJECTS[name].model_fields.values())


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_a_full_example_sets_every_field_and_has_no_finding(name: str) -> None:
    assert set(BUILDERS[name]()) == set(OBJECTS[name].model_fields)
    assert findings(OBJECTS[name], BUILDERS[name]()) == []


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_a_full_example_survives_reading_and_writing_digit_for_digit(name: str) -> None:
    written = json.encode(BUILDERS[name]())
    again = OBJECTS[name].of(json.decode(written)).to_document()
    assert json.decode(json.encode(again)).keys() == json.decode(written).keys()
    numbers = [value for value in BUILDERS[name]().values() if isinstance(value, Decimal)]
    assert [value for value in again.values() if isinstance(value, Decimal)] == numbers
    assert all(str(number).encode() in json.encode(again) for number in numbers)


@pytest.mark.parametrize("name", sorted(set(BUILDERS) - {"PublishTokenType"}))
def test_an_object_with_its_required_fields_only_has_no_finding(name: str) -> None:
    required = {row["field"] for row in REQUIRED if row["object"] == name}
    overrides = {"twentyfourseven": True} if name == "Hours" else {}
    document = {field: value for field, value in BUILDERS[name](**overrides).items() if field in required}
    assert findings(OBJECTS[name], document) == []
    assert set(OBJECTS[name].of(document).to_document()) == required


@given(REQUIRED)
@pytest.mark.rule("X-21", "G-47")
def test_a_missing_required_field_is_named(row: dict[str, str]) -> None:
    document = BUILDERS[row["object"]]()
    del document[row["field"]]
    [finding] = findings(OBJECTS[row["object"]], document)
    assert finding.path == row["field"]
    assert finding.message == f"{row['field']} is required but missing."


@given(REQUIRED)
def test_null_in_a_required_field_is_named(row: dict[str, str]) -> None:
    assert only(row, None) == [row["field"]]


@given([row for row in FIELDS if row["cardinality"] in "?*"])
@pytest.mark.rule("X-20", "X-21")
def test_null_in_an_optional_field_is_as_if_it_were_left_out(row: dict[str, str]) -> None:
    field = row["field"]
    document = BUILDERS[row["object"]]()
    del document[field]
    assert only(row, None) == [finding.path for finding in findings(OBJECTS[row["object"]], document)]
    assert only(row, None) in ([], *NEEDED_BY_ANOTHER_FIELD)


@given([row for row in FIELDS if row["cardinality"] == "*" and row["field"] != "regular_hours"])
def test_an_empty_list_is_a_way_to_say_nothing(row: dict[str, str]) -> None:
    assert only(row, []) == []


@given([row for row in FIELDS if row["cardinality"] == "+"])
def test_a_list_that_needs_one_entry_is_not_empty(row: dict[str, str]) -> None:
    assert only(row, []) == [row["field"]]


@given([row for row in FIELDS if row["cardinality"] in "+*"])
def test_a_list_is_an_array(row: dict[str, str]) -> None:
    assert only(row, {"0": "x"}) == [row["field"]]


@given([row for row in FIELDS if "tring(" in row["type"] and row["cardinality"] in "1?"])
@pytest.mark.rule("Y-01", "Y-03", "Y-04", "G-48", "G-58")
def test_a_string_of_another_type_or_too_long_or_with_a_control_character_is_named(row: dict[str, str]) -> None:
    length = int(row["type"].partition("(")[2][:-1])
    length = LENIENT_LENGTHS.get(f"{row['object']}.{row['field']}", length)
    if row["field"] in ("latitude", "longitude"):
        length += 1  # the regular expression wins (L-46)
    assert only(row, 7) == [row["field"]]
    assert only(row, "1" * (length + 1)) == [row["field"]]
    if row["field"] not in ("plain_data", "signed_data", "public_key"):
        assert only(row, "a\tb"[:length]) == [row["field"]]


@given(
    [
        row
        for row in FIELDS
        if "tring(" in row["type"] and row["cardinality"] in "1?" and not row["field"].endswith(FORMED)
    ]
)
def test_a_string_of_full_length_is_right(row: dict[str, str]) -> None:
    length = int(row["type"].partition("(")[2][:-1])
    assert only(row, "N" * length) == []


@given([row for row in FIELDS if row["type"].startswith("CiString") and row["cardinality"] in "1?"])
@pytest.mark.rule("Y-01")
def test_a_cistring_is_printable_ascii(row: dict[str, str]) -> None:
    assert only(row, "Å") == [row["field"]]


@given([row for row in FIELDS if row["type"] == "number"])
@pytest.mark.rule("Y-13", "Y-14", "G-77")
def test_a_number_is_a_json_number_of_any_sign(row: dict[str, str]) -> None:
    for wrong in ("1.5", True, 1.5, {}):
        assert only(row, wrong) == [row["field"]]
    for right in (Decimal("-1.50"), 0, Decimal("1E+2")):
        assert only(row, right) == []


@given([row for row in FIELDS if row["type"].startswith("int")])
def test_an_int_is_a_whole_number(row: dict[str, str]) -> None:
    for wrong in ("1", True, Decimal("1.5"), Decimal("1E+200"), 10**60, 1.0):
        assert only(row, wrong) == [row["field"]]
    assert only(row, Decimal("1.0")) == []


@given([row for row in FIELDS if row["type"] == "boolean"])
def test_a_boolean_is_true_or_false(row: dict[str, str]) -> None:
    for wrong in ("true", 1, 0, Decimal(1)):
        assert row["field"] in only(row, wrong)


@given([row for row in FIELDS if row["type"] == "DateTime"])
@pytest.mark.rule("Y-06", "Y-07", "Y-09")
def test_a_datetime_is_in_utc(row: dict[str, str]) -> None:
    for wrong in ("2026-03-01T12:00:00+02:00", "2026-02-30T12:00:00Z", "yesterday", 1772366400):
        assert only(row, wrong) == [row["field"]]
    for right in ("2026-03-01T12:00:00", "2026-03-01T12:00:00.123456789Z", "2026-03-01T12:00:00+00:00"):
        assert only(row, right) == []


@given([row for row in FIELDS if row["type"] == "URL"])
@pytest.mark.rule("Y-18")
def test_a_url_is_complete_and_at_most_255_characters_long(row: dict[str, str]) -> None:
    for wrong in ("/relative", "ftp://files.example", "mill.example", "https://mill.example/a b", 7):
        assert only(row, wrong) == [row["field"]]
    assert only(row, "https://mill.example/" + "x" * 234) == []
    assert only(row, "https://mill.example/" + "x" * 235) == [row["field"]]


@given([row for row in FIELDS if row["type"] in ENUMS and row["type"] not in OPEN])
@pytest.mark.rule("Y-05")
def test_a_word_that_is_not_of_the_enumeration_is_named(row: dict[str, str]) -> None:
    wrong, path = ("AVAIL", row["field"]) if row["cardinality"] in "1?" else (["AVAIL"], f"{row['field']}[0]")
    [finding] = findings(OBJECTS[row["object"]], BUILDERS[row["object"]]() | {row["field"]: wrong})
    assert (finding.path, finding.rule) == (path, "enum")
    first = next(iter(ENUMS[row["type"]])).value
    assert first in finding.message


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.rule(*RULES_OF_ENUMS[name])] if name in RULES_OF_ENUMS else [])
        for name in sorted({row["enum"] for row in rows("enums.csv")})
    ],
)
def test_an_enumeration_has_exactly_the_words_of_the_specification(name: str) -> None:
    assert {word.value for word in ENUMS[name]} == {row["value"] for row in rows("enums.csv") if row["enum"] == name}


@given([row for row in FIELDS if row["type"] in OBJECTS and row["type"] != "DisplayText"])
def test_a_fault_deep_inside_is_named_with_its_path(row: dict[str, str]) -> None:
    inner = BUILDERS[row["type"]]()
    field = next(each["field"] for each in FIELDS if each["object"] == row["type"] and each["cardinality"] in "1?+")
    inner[field] = {"odd": 1}
    value, path = (inner, row["field"]) if row["cardinality"] in "1?" else ([inner], f"{row['field']}[0]")
    assert f"{path}.{field}" in [
        finding.path.removesuffix("[0]")
        for finding in findings(OBJECTS[row["object"]], BUILDERS[row["object"]]() | {row["field"]: value})
    ]
    assert row["field"] in only(row, 7)
