"""mod_tokens and mod_commands through the hub."""

from typing import Any
from urllib.parse import quote

import pytest

from hub.settings import MAXIMUM_PUBLIC_URL
from ocpi_modules import json
from tests.scenarios.conftest import CPO, EMSP, World
from tests.support import objects
from tests.support.party import Scripted

TOKEN = "/receiver/tokens/DE/MSP/T1"
WHEN = "2026-03-01T12:00:00Z"


def token(**overrides: Any) -> dict[str, Any]:
    own = {"country_code": "DE", "party_id": "MSP", "uid": "T1", "type": "RFID", "last_updated": WHEN}
    return objects.token(**own | overrides)


@pytest.mark.rule("K-02", "K-03", "K-04", "K-05", "G-12", "R-17")
async def test_a_token_is_its_uid_and_its_type_and_the_type_is_rfid_where_none_is_named(world: World) -> None:
    for kind, query in (("RFID", ""), ("APP_USER", "?type=APP_USER")):
        answer = await world.call(world.emsp, "PUT", TOKEN + query, token(type=kind), to=CPO)
        assert answer.status_code == 1000
    for query, valid in (("", False), ("?type=APP_USER", True)):
        patch = {"valid": valid, "last_updated": "2026-03-01T13:00:00Z"}
        assert (await world.call(world.emsp, "PATCH", TOKEN + query, patch, to=CPO)).status_code == 1000
    kept = {document["type"]: document["valid"] for document in await world.kept()}
    assert kept == {"RFID": False, "APP_USER": True}
    assert [seen.query for seen in world.cpo.received("PATCH", "tokens")] == ["", "type=APP_USER"]


@pytest.mark.rule("K-32", "K-10", "K-29", "R-99")
async def test_the_hub_asks_the_emsp_each_time_though_it_knows_the_token(world: World) -> None:
    await world.call(world.emsp, "PUT", TOKEN, token(valid=True, whitelist="ALWAYS"), to=CPO)
    path = "/sender/tokens/T1/authorize"
    for number, allowed in enumerate(("ALLOWED", "BLOCKED"), 1):
        info = objects.authorization_info(allowed=allowed)
        world.emsp.script("POST", "tokens", Scripted(data=info))
        answer = await world.call(world.cpo, "POST", path, objects.location_references(), to=EMSP)
        assert answer.data["allowed"] == allowed
        assert len(world.emsp.received("POST", "tokens")) == number
    world.emsp.script("POST", "tokens", Scripted(http_status=502, raw=b""))
    assert (await world.call(world.cpo, "POST", path, to=EMSP)).status_code == 4003


@pytest.mark.rule("K-17", "K-19", "K-35", "R-17")
async def test_authorize_takes_a_location_or_nothing_and_answers_as_the_emsp_wrote(world: World) -> None:
    raw = b'{"status_code":1000,"timestamp":"2026-01-01T00:00:00Z","data":{"allowed" : "ALLOWED","x":1.10}}'
    world.emsp.script("POST", "tokens", Scripted(raw=raw))
    body = json.encode(objects.location_references())
    for sent in (b"", body):
        answer = await world.call(world.cpo, "POST", "/sender/tokens/T1/authorize?type=OTHER", sent, to=EMSP)
        assert answer.body == raw
    assert [seen.body for seen in world.emsp.received("POST", "tokens")] == [b"", body]
    assert {seen.query for seen in world.emsp.received("POST", "tokens")} == {"type=OTHER"}


def start(world: World, **overrides: Any) -> dict[str, Any]:
    url = f"{world.emsp.url}/ocpi/2.2.1/sender/commands/"
    own = {"response_url": url + "x" * (255 - len(url)), "token": token(), "location_id": "L1"}
    return objects.start_session(**own | overrides)


@pytest.mark.rule("M-01", "M-02", "M-28", "Y-19", "G-29", "G-31", "G-61", "R-73")
async def test_a_command_arrives_with_a_short_url_of_the_hub_in_place_of_a_long_one(world: World) -> None:
    asked = start(world, authorization_reference="REF-1")
    assert len(asked["response_url"]) == 255
    answer = await world.call(world.emsp, "POST", "/receiver/commands/START_SESSION", asked, to=CPO)
    assert answer.status_code == 1000
    [seen] = world.cpo.received("POST", "commands")
    ours = seen.document["response_url"]
    assert ours.startswith(f"{world.url}/ocpi/2.2.1/sender/commands/")
    assert len(ours) - len(world.url) + MAXIMUM_PUBLIC_URL <= 255
    assert seen.document == asked | {"response_url": ours}
    assert seen.document["authorization_reference"] == "REF-1"


@pytest.mark.rule("M-23", "R-74", "G-30", "M-35")
async def test_a_second_result_reaches_the_asker_too(world: World) -> None:
    await world.call(world.emsp, "POST", "/receiver/commands/START_SESSION", start(world), to=CPO)
    url = world.cpo.received("POST", "commands")[0].document["response_url"].removeprefix(f"{world.url}/ocpi/2.2.1")
    for result in ("ACCEPTED", "CANCELED_RESERVATION"):
        answer = await world.call(world.cpo, "POST", url, objects.command_result(result=result))
        assert (answer.http_status, answer.status_code) == (200, 1000)
    results = [seen.document["result"] for seen in world.emsp.received("POST", "commands")]
    assert results == ["ACCEPTED", "CANCELED_RESERVATION"]


@pytest.mark.rule("G-32", "P-22", "P-02", "P-04")
@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("encoded", [True, False])
async def test_a_nested_url_is_taken_whole_whether_it_was_encoded_or_not(
    world: World, method: str, encoded: bool
) -> None:
    theirs = f"{world.emsp.url}/ocpi/2.2.1/sender/chargingprofiles/9?a=1&b=%2F"
    nested = quote(theirs, safe="") if encoded else theirs
    world.cpo.script(method, "chargingprofiles", Scripted(data=objects.charging_profile_response()))
    path = f"/receiver/chargingprofiles/S1?duration=900&response_url={nested}"
    answer = await world.call(world.emsp, method, path, to=CPO)
    assert answer.status_code == 1000, answer.body
    [seen] = world.cpo.received(method, "chargingprofiles")
    ours = dict(part.split("=", 1) for part in seen.query.split("&"))
    assert ours["duration"] == "900"
    assert set(ours) == {"duration", "response_url"}
    ticket = "/sender/chargingprofiles/" + ours["response_url"].rpartition("%2F")[2]
    await world.call(world.cpo, "POST", ticket, objects.clear_profile_result())
    [result] = world.emsp.received("POST", "chargingprofiles")
    assert f"{result.raw_path}?{result.query}" == "/ocpi/2.2.1/sender/chargingprofiles/9?a=1&b=%2F"


@pytest.mark.rule("P-05", "M-03")
async def test_the_hub_invents_no_result(world: World) -> None:
    world.cpo.script("POST", "commands", Scripted(data={"result": "REJECTED", "timeout": 1}))
    await world.call(world.emsp, "POST", "/receiver/commands/START_SESSION", start(world), to=CPO)
    world.cpo.script("PUT", "chargingprofiles", Scripted(data={"result": "REJECTED", "timeout": 1}))
    profile = objects.set_charging_profile(response_url=f"{world.emsp.url}/x")
    await world.call(world.emsp, "PUT", "/receiver/chargingprofiles/S1", profile, to=CPO)
    assert len(world.cpo.received(module="chargingprofiles")) == 1
    assert world.emsp.received("POST") == []


@pytest.mark.rule("P-07", "G-66", "P-19", "P-20", "P-23", "R-106")
async def test_an_active_profile_is_put_to_the_sender_interface_with_every_number_as_written(world: World) -> None:
    body = b'{"start_date_time":"2026-03-01T12:00:00Z","charging_profile":{"charging_rate_unit":"A","min_charging_rate":6.0,'
    body += b'"charging_profile_period":[{"start_period":0,"limit":16.10}]}}'
    answer = await world.call(world.cpo, "PUT", "/sender/chargingprofiles/S1", body, to=EMSP)
    assert answer.status_code == 1000
    [seen] = world.emsp.received("PUT", "chargingprofiles")
    assert (seen.body, seen.sender) == (body, CPO)
    assert seen.raw_path == "/ocpi/2.2.1/sender/chargingprofiles/S1"
