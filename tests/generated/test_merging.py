"""Merges into the kept copy: whatever is not pushed keeps its bytes, and members keep their order (contracts section 4)."""

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.objects.keep import Push, merged
from hub.objects.repository import Kept, ObjectKey
from ocpi_modules import json
from ocpi_modules.locations.schemas import EVSE, Connector, Location
from ocpi_modules.message import PartyId
from ocpi_modules.registry import MODULES
from ocpi_modules.sessions.schemas import Session
from ocpi_modules.spec import Method, ModuleID
from ocpi_modules.tokens.schemas import Token
from ocpi_modules.types import OcpiObject, parse_datetime
from tests.generated import raw_json
from tests.generated.build import build, build_changes
from tests.generated.spell import spell
from tests.generated.strategies import RANDOM, SOME

OLD, NEW = "2026-01-01T00:00:00Z", "2026-06-01T00:00:00.5Z"
SCHEMAS: dict[ModuleID, type[OcpiObject]] = {
    ModuleID.locations: Location,
    ModuleID.sessions: Session,
    ModuleID.tokens: Token,
}


def after(module: ModuleID, method: Method, kept: bytes, pushed: bytes, **variables: str) -> str:
    key = ObjectKey(PartyId("NL", "CPO"), module, "X", "*")
    push = Push(key, MODULES[module], method, variables, pushed)
    body = merged(push, Kept(kept, 1, parse_datetime(OLD), deleted=False))
    assert body is not None
    return body.decode()


def expected(kept: dict[str, str], pushed: dict[str, str], *, cleared: bool = True) -> dict[str, str]:
    """The plain rule on spelled members: replaced in place, new ones behind, null clears."""
    both = kept | pushed
    return {name: text for name, text in both.items() if not (cleared and pushed.get(name) == "null")}


def same(found: dict[str, str], wanted: dict[str, str]) -> None:
    assert list(found) == list(wanted)
    assert found == wanted


@SOME
@given(random=RANDOM, module=st.sampled_from([ModuleID.locations, ModuleID.tokens]), clear=st.booleans())
def test_a_patch_changes_the_pushed_values_and_no_other_byte(random: Random, module: ModuleID, clear: bool) -> None:
    document = build(SCHEMAS[module], random, last_updated=OLD)
    document.pop("evses", None)
    changes: dict[str, Any] = build_changes(SCHEMAS[module], random, last_updated=NEW)
    changes.pop("evses", None)
    if clear:
        changes["name" if module is ModuleID.locations else "visual_number"] = None
    kept, pushed = spell(document, random), spell(changes, random)
    found = after(module, Method.PATCH, kept, pushed)
    same(raw_json.members(found), expected(raw_json.members(kept.decode()), raw_json.members(pushed.decode())))


@SOME
@given(random=RANDOM)
def test_a_patch_of_a_session_adds_its_charging_periods_as_spelled(random: Random) -> None:
    kept = spell(build(Session, random, last_updated=OLD), random)
    pushed = spell(build_changes(Session, random, last_updated=NEW), random)
    before, changes = raw_json.members(kept.decode()), raw_json.members(pushed.decode())
    periods = [raw_json.entries(side.get("charging_periods", "[]")) for side in (before, changes)]
    found = raw_json.members(after(ModuleID.sessions, Method.PATCH, kept, pushed))
    wanted = expected(before, {name: text for name, text in changes.items() if name != "charging_periods"})
    if periods[1]:
        wanted["charging_periods"] = "[" + ",".join(periods[0] + periods[1]) + "]"
    assert raw_json.entries(found.get("charging_periods", "[]")) == periods[0] + periods[1]
    found.pop("charging_periods", None)
    wanted.pop("charging_periods", None)
    same(found, wanted)


@SOME
@given(random=RANDOM, method=st.sampled_from([Method.PUT, Method.PATCH]), deep=st.booleans())
def test_a_merged_evse_or_connector_leaves_the_rest_of_its_location(random: Random, method: Method, deep: bool) -> None:
    evses = [build(EVSE, random, uid=f"E{place}", last_updated=OLD) for place in range(3)]
    for evse in evses:
        evse["connectors"] = [build(Connector, random, id=f"C{place}", last_updated=OLD) for place in range(2)]
    kept = spell(build(Location, random, evses=evses, last_updated=OLD), random)
    schema, id_field = (Connector, {"id": "C1"}) if deep else (EVSE, {"uid": "E1"})
    whole = method is Method.PUT
    document = build(schema, random, **id_field, last_updated=NEW) if whole else build_changes(schema, random)
    pushed = spell(document | {"last_updated": NEW}, random)
    variables = {"evse_uid": "e1"} | ({"connector_id": "c1"} if deep else {})
    found = raw_json.members(after(ModuleID.locations, method, kept, pushed, **variables))
    before, changes = raw_json.members(kept.decode()), raw_json.members(pushed.decode())
    told = {"last_updated": changes["last_updated"]}
    same(without(found, "evses"), without(before | told, "evses"))
    merged_evse, evse_before = the_second(found, before, "evses")
    if deep:
        same(without(merged_evse, "connectors"), without(evse_before | told, "connectors"))
        merged_evse, evse_before = the_second(merged_evse, evse_before, "connectors")
    same(merged_evse, changes if whole else expected(evse_before, changes))


def without(object: dict[str, str], name: str) -> dict[str, str]:
    return {other: text for other, text in object.items() if other != name}


def the_second(found: dict[str, str], before: dict[str, str], name: str) -> tuple[dict[str, str], dict[str, str]]:
    """The members of the second entry now and before; all other entries have the same bytes."""
    now, then = (raw_json.entries(side[name]) for side in (found, before))
    assert now[:1] + now[2:] == then[:1] + then[2:]
    return raw_json.members(now[1]), raw_json.members(then[1])


@SOME
@given(random=RANDOM, schema=st.sampled_from(list(SCHEMAS.values())), place=st.integers(0, 30))
def test_a_splice_replaces_one_member_and_leaves_every_other_byte(
    random: Random, schema: type[OcpiObject], place: int
) -> None:
    body = spell(build(schema, random), random)
    before = raw_json.members(body.decode())
    name = [*before, "one_more"][place % (len(before) + 1)]
    value = spell({"new": [1, "é"]}, random).strip()
    found = raw_json.members(json.splice(body, name, value).decode())
    same(found, before | {name: value.decode()})


@pytest.mark.parametrize("text", ['{"a" :\n1.10 , "b":[ 1E2,"\\u0041"]}', "{ }", '{"a\\u0062":null}'])
def test_spelled_members_are_read_as_they_stand(text: str) -> None:
    decoded = dict(raw_json.members(text))
    assert all(raw in text for raw in decoded.values())
    assert list(decoded) == list(json.decode(text.encode()))
