"""mod_locations, pushed by a CPO through the hub: what arrives, and what the hub keeps of it."""

from typing import Any

import pytest

from ocpi_modules import json
from tests.scenarios.conftest import EMSP, World
from tests.support import objects
from tests.support.party import Party

LOCATION = "/receiver/locations/NL/CPO/L1"


def location(**overrides: Any) -> dict[str, Any]:
    own = {"country_code": "NL", "party_id": "CPO", "id": "L1", "last_updated": "2026-03-01T12:00:00Z"}
    return objects.location(**own | overrides)


async def push(world: World, method: str, path: str, body: Any) -> None:
    answer = await world.call(world.cpo, method, path, body, to=EMSP)
    assert answer.status_code == 1000, answer.body


@pytest.mark.rule("L-01", "L-19", "L-20", "L-24", "L-26", "L-42")
async def test_each_level_has_its_own_put_and_moves_the_levels_above_it(world: World) -> None:
    connectors = [objects.connector(id="1", last_updated="2026-03-01T12:00:00Z")]
    evses = [objects.evse(uid=uid, connectors=connectors, last_updated="2026-03-01T12:00:00Z") for uid in ("E1", "E2")]
    await push(world, "PUT", LOCATION, location(evses=evses))
    changed = objects.connector(id="1", max_amperage=63, last_updated="2026-03-01T13:00:00Z")
    await push(world, "PUT", f"{LOCATION}/E2/1", changed)
    await push(world, "PUT", f"{LOCATION}/E3", objects.evse(uid="E3", last_updated="2026-03-01T12:30:00Z"))
    paths = [seen.raw_path.partition("/locations")[2] for seen in world.emsp.received("PUT", "locations")]
    assert paths == ["/NL/CPO/L1", "/NL/CPO/L1/E2/1", "/NL/CPO/L1/E3"]
    [kept] = await world.kept()
    assert kept["last_updated"] == "2026-03-01T13:00:00Z"
    assert [evse["uid"] for evse in kept["evses"]] == ["E1", "E2", "E3"]
    assert kept["evses"][1]["last_updated"] == "2026-03-01T13:00:00Z"
    assert kept["evses"][0]["last_updated"] == "2026-03-01T12:00:00Z"
    assert kept["evses"][1]["connectors"][0]["max_amperage"] == 63
    assert kept["evses"][0]["connectors"] == connectors


@pytest.mark.rule("L-28", "L-39", "X-55", "R-59")
async def test_an_id_belongs_to_its_owner_and_does_not_change(world: World) -> None:
    await push(world, "PUT", LOCATION, location(name="Mill"))
    async with Party.running(("CPO", "BE/OTH")) as other:
        await other.register(world.versions_url, await world.invite(("CPO", "BE/OTH")))
        theirs = location(country_code="BE", party_id="OTH", name="Tower")
        answer = await world.call(other, "PUT", "/receiver/locations/BE/OTH/L1", theirs, to=EMSP)
        assert answer.status_code == 1000
    assert sorted(kept["name"] for kept in await world.kept()) == ["Mill", "Tower"]
    for path, body in (
        (LOCATION, location(id="L2")),
        (f"{LOCATION}/E1", objects.evse(uid="E2")),
        (f"{LOCATION}/E1/1", objects.connector(id="2")),
        (LOCATION, {"id": "L2", "last_updated": "2026-03-02T12:00:00Z"}),
    ):
        method = "PATCH" if len(body) == 2 else "PUT"
        assert (await world.call(world.cpo, method, path, body, to=EMSP)).status_code == 2001, path
    assert len(world.emsp.received(module="locations")) == 2


@pytest.mark.rule("L-29", "L-34", "D-36")
async def test_long_addresses_and_places_without_a_postal_code_are_kept(world: World) -> None:
    await push(world, "PUT", LOCATION, location(address="a" * 255, state="s" * 45, postal_code=None))
    [kept] = await world.kept()
    assert (len(kept["address"]), len(kept["state"])) == (255, 45)
    assert "postal_code" not in kept
    await push(world, "PUT", LOCATION, location(address="a" * 256))
    assert len((await world.kept())[0]["address"]) == 255


ODD = {
    "an unknown value of an enumeration": {"parking_type": "ON_THE_MOON"},
    "an unpublished place": {"publish": False},
    "swapped coordinates": {"coordinates": {"latitude": "3.729945", "longitude": "51.047599"}},
    "seven decimals": {"coordinates": {"latitude": "-12.1234567", "longitude": "-126.1234567"}},
    "no operator": {"operator": None, "suboperator": None, "owner": None},
    "a field nobody knows": {"floor": 3, "x_more": {"a": [1, {"b": None}]}},
    "an EVSE as in the specification's sample": {
        "evses": [objects.evse(floor=-1, physical_reference=3, connectors=[{"id": "1"}])]
    },
}


@pytest.mark.rule("L-66", "L-67", "L-36", "G-17", "G-18", "G-19", "G-49", "G-69")
@pytest.mark.parametrize("name", ODD)
async def test_an_odd_location_arrives_byte_for_byte(world: World, name: str) -> None:
    body = json.encode(location(**ODD[name]))
    await push(world, "PUT", LOCATION, body)
    [seen] = world.emsp.received("PUT", "locations")
    assert seen.body == body


@pytest.mark.rule("L-25", "G-56", "X-48", "G-53")
async def test_a_later_put_is_the_new_truth_and_an_array_in_a_patch_replaces(world: World) -> None:
    two = [objects.evse(uid="E1"), objects.evse(uid="E2")]
    await push(world, "PUT", LOCATION, location(evses=two))
    await push(world, "PUT", LOCATION, location(evses=two[:1], name=None))
    [kept] = await world.kept()
    assert [evse["uid"] for evse in kept["evses"]] == ["E1"]
    assert "name" not in kept
    patch = {"facilities": ["WIFI"], "last_updated": "2026-03-03T12:00:00Z"}
    await push(world, "PATCH", LOCATION, patch)
    assert (await world.kept())[0]["facilities"] == ["WIFI"]


@pytest.mark.rule("X-50", "L-21", "G-55")
async def test_a_patch_without_last_updated_is_not_kept(world: World) -> None:
    await push(world, "PUT", LOCATION, location(name="Mill"))
    await push(world, "PATCH", LOCATION, {"name": "Tower"})
    assert (await world.kept())[0]["name"] == "Mill"
    await push(world, "PATCH", LOCATION, {"name": "Tower", "last_updated": "2026-03-03T12:00:00Z"})
    assert (await world.kept())[0]["name"] == "Tower"


@pytest.mark.rule("Y-11", "Y-09", "X-97", "R-18")
async def test_instants_are_compared_at_full_precision_and_kept_as_written(world: World) -> None:
    await push(world, "PUT", LOCATION, location(name="second", last_updated="2026-03-01T12:00:00.000002Z"))
    await push(world, "PUT", LOCATION, location(name="first", last_updated="2026-03-01T12:00:00.000001Z"))
    [kept] = await world.kept()
    assert (kept["name"], kept["last_updated"]) == ("second", "2026-03-01T12:00:00.000002Z")
    await push(world, "PUT", LOCATION, location(name="third", last_updated="2026-03-01T12:00:00.0000021"))
    assert (await world.kept())[0]["last_updated"] == "2026-03-01T12:00:00.0000021"


@pytest.mark.rule("Y-02", "G-57", "R-09")
async def test_ids_and_parties_are_the_same_in_any_case(world: World) -> None:
    await push(world, "PUT", LOCATION, location(name="one"))
    await push(world, "PUT", "/receiver/locations/nl/Cpo/l1", location(country_code="nl", id="l1", name="two"))
    assert [kept["name"] for kept in await world.kept()] == ["two"]
    assert world.emsp.received("PUT", "locations")[1].raw_path.endswith("/nl/Cpo/l1")
