"""What is kept after PUT and PATCH."""

from copy import deepcopy
from decimal import Decimal
from typing import Any

import pytest

from ocpi_modules.locations.spec import LOCATIONS
from ocpi_modules.patch import changed, child, levels_of, merge
from ocpi_modules.sessions.spec import SESSIONS
from ocpi_modules.spec import Method
from ocpi_modules.status import NotFound, UnknownLocation
from ocpi_modules.tokens.spec import TOKENS
from tests.support import objects

ONE = {"country_code": "NL", "party_id": "MIL", "location_id": "LOC-1"}
ONE_EVSE = ONE | {"evse_uid": "EVSE-1"}
ONE_CONNECTOR = ONE_EVSE | {"connector_id": "1"}
LATER = "2026-03-01T13:00:00Z"
SOONER = "2026-03-01T10:00:00Z"


def on_location(method: Method, variables: dict[str, str], document: dict[str, Any]) -> dict[str, Any]:
    kept = objects.location()
    before = deepcopy(kept)
    result = changed(LOCATIONS, kept, method, variables, document)
    assert kept == before, "what was kept is not changed in place"
    return result


@pytest.mark.rule("X-48", "S-09", "G-53")
def test_a_put_replaces_the_whole_object() -> None:
    bare = objects.session(charging_periods=None, meter_id=None)
    assert changed(SESSIONS, objects.session(), Method.PUT, {}, bare) == bare
    assert changed(SESSIONS, None, Method.PUT, {}, bare) == bare


@pytest.mark.rule("X-49", "L-25", "G-54")
def test_a_patch_replaces_given_fields_and_whole_arrays_and_clears_with_null() -> None:
    kept = {"id": "1", "name": "old", "facilities": ["CAFE", "WIFI"], "state": "NH"}
    assert merge(kept, {"name": "new", "facilities": ["MALL"], "state": None}) == {
        "id": "1",
        "name": "new",
        "facilities": ["MALL"],
    }
    assert merge({"a": None}, {"b": 1}) == {"a": None, "b": 1}


@pytest.mark.rule("S-10")
def test_a_patch_of_a_session_adds_periods() -> None:
    first, second = objects.charging_period(), objects.charging_period(start_date_time=LATER)
    kept = objects.session(charging_periods=[first])
    patch = {"kwh": Decimal("20"), "charging_periods": [second], "last_updated": LATER}
    result = changed(SESSIONS, kept, Method.PATCH, {}, patch)
    assert result["charging_periods"] == [first, second]
    assert (result["kwh"], result["last_updated"]) == (Decimal("20"), LATER)
    assert changed(SESSIONS, result, Method.PATCH, {}, patch) == result, "sent again after a lost answer"
    assert (
        changed(SESSIONS, kept, Method.PATCH, {}, patch | {"charging_periods": [first]})["charging_periods"]
        == [first] * 2
    )
    for nothing in ({}, {"charging_periods": []}, {"charging_periods": None}):
        assert changed(SESSIONS, kept, Method.PATCH, {}, nothing)["charging_periods"] == [first]
    none_kept = objects.session(charging_periods=None)
    assert changed(SESSIONS, none_kept, Method.PATCH, {}, patch)["charging_periods"] == [second]


@pytest.mark.rule("L-20", "L-24")
def test_a_patch_of_a_connector_moves_last_updated_of_evse_and_location() -> None:
    result = on_location(Method.PATCH, ONE_CONNECTOR, {"tariff_ids": ["T-2"], "last_updated": LATER})
    evse = result["evses"][0]
    assert evse["connectors"][0] == objects.connector(tariff_ids=["T-2"], last_updated=LATER)
    assert (evse["last_updated"], result["last_updated"]) == (LATER, LATER)
    assert evse["status"] == "AVAILABLE"


@pytest.mark.rule("L-20", "X-97")
def test_a_late_message_turns_no_clock_of_a_parent_back() -> None:
    result = on_location(Method.PATCH, ONE_EVSE, {"status": "CHARGING", "last_updated": SOONER})
    assert result["evses"][0]["last_updated"] == SOONER
    assert result["last_updated"] == objects.WHEN


@pytest.mark.rule("L-19", "L-26")
def test_a_put_of_an_evse_creates_or_replaces_it_under_its_location() -> None:
    replaced = on_location(Method.PUT, ONE_EVSE | {"evse_uid": "evse-1"}, objects.evse(status="BLOCKED"))
    assert [evse["status"] for evse in replaced["evses"]] == ["BLOCKED"]
    new = objects.evse(uid="EVSE-2", last_updated=LATER)
    added = on_location(Method.PUT, ONE | {"evse_uid": "EVSE-2"}, new)
    assert [evse["uid"] for evse in added["evses"]] == ["EVSE-1", "EVSE-2"]
    assert added["last_updated"] == LATER
    empty = changed(LOCATIONS, objects.location(evses=None), Method.PUT, ONE | {"evse_uid": "EVSE-2"}, new)
    assert empty["evses"] == [new]


@pytest.mark.rule("X-76")
def test_what_has_no_parent_is_refused() -> None:
    with pytest.raises(UnknownLocation) as refusal:
        changed(LOCATIONS, None, Method.PUT, ONE_EVSE, objects.evse())
    assert (refusal.value.status_code, refusal.value.http_status) == (2003, 404)
    with pytest.raises(NotFound):
        changed(TOKENS, None, Method.PATCH, {}, {"valid": False})
    for method, variables in (
        (Method.PATCH, ONE | {"evse_uid": "NO"}),
        (Method.PUT, ONE_CONNECTOR | {"evse_uid": "NO"}),
        (Method.PATCH, ONE_CONNECTOR | {"connector_id": "NO"}),
    ):
        with pytest.raises(NotFound, match="NO"):
            on_location(method, variables, {"last_updated": LATER})


@pytest.mark.rule("L-13")
def test_a_path_leads_to_its_evse_and_connector() -> None:
    kept = objects.location()
    assert child(kept, levels_of(LOCATIONS, ONE)) is kept
    assert child(kept, levels_of(LOCATIONS, ONE_EVSE)) == kept["evses"][0]
    assert child(kept, levels_of(LOCATIONS, ONE_CONNECTOR)) == kept["evses"][0]["connectors"][0]
    assert child(kept, levels_of(LOCATIONS, ONE | {"evse_uid": "NO"})) is None


@pytest.mark.rule("Y-02", "G-57")
def test_ids_are_compared_without_case_and_kept_as_their_owner_spelled_them() -> None:
    kept = objects.location(evses=[objects.evse(uid="evse-One")])
    found = child(kept, levels_of(LOCATIONS, ONE | {"evse_uid": "EVSE-oNE"}))
    assert found is not None
    assert found["uid"] == "evse-One"
    patch = {"status": "BLOCKED", "last_updated": LATER}
    [evse] = changed(LOCATIONS, kept, Method.PATCH, ONE | {"evse_uid": "EVSE-ONE"}, patch)["evses"]
    assert (evse["uid"], evse["status"]) == ("evse-One", "BLOCKED")
