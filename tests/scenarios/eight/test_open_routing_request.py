"""transport_and_format, Open Routing Request; mod_tokens, Real-time authorization; mod_commands and mod_charging_profiles."""

from typing import Any

import pytest

from ocpi_modules import json
from ocpi_modules.message import PartyId
from tests.scenarios.conftest import Answer
from tests.scenarios.eight.platforms import AAA, BBB, DUO, OFF, QUI, RAW, Eight, at, fresh, got, location, pair
from tests.support import objects
from tests.support.party import Party, Received, Scripted


def session_of(owner: PartyId, id: str, driver: PartyId) -> dict[str, Any]:
    token = objects.cdr_token(country_code=driver.country_code, party_id=driver.party_id)
    return objects.session(country_code=owner.country_code, party_id=owner.party_id, id=id, cdr_token=token)


async def begin(eight: Eight, party: Party, owner: PartyId, driver: PartyId, to: PartyId | None = None) -> str:
    """A Session that its CPO pushed; its id."""
    id = fresh("S")
    document = session_of(owner, id, driver)
    answer = await eight.call(party, "PUT", "sessions", "RECEIVER", at(owner, id), document, to=to)
    assert answer.status_code == 1000, answer.message
    return id


async def show_location(eight: Eight, party: Party, owner: PartyId) -> str:
    id = fresh("L")
    answer = await eight.call(party, "PUT", "locations", "RECEIVER", at(owner, id), location(owner, id))
    assert answer.status_code == 1000, answer.message
    return id


@pytest.mark.rule("R-54", "R-56", "R-57", "R-58", "R-44")
async def test_a_session_finds_its_driver_among_three_and_stays_between_the_two(eight: Eight) -> None:
    id = fresh("S")
    body = json.encode(session_of(QUI, id, BBB))
    answer = await eight.call(eight.quiet, "PUT", "sessions", "RECEIVER", at(QUI, id), body)
    assert (answer.status_code, pair(answer)) == (1000, ("NL*QUI", "DE*BBB"))
    [seen] = got(eight.three, id)
    assert (seen.to, seen.sender, seen.body) == (BBB, QUI, body)
    assert [got(platform, id) for platform in eight.here if platform is not eight.three] == [[]] * 6


@pytest.mark.rule("R-57", "R-59", "R-23")
async def test_who_cannot_be_found_or_reached_is_not_guessed(eight: Eight) -> None:
    nobody, away = fresh("S"), fresh("S")
    answer = await eight.call(
        eight.duo, "PUT", "sessions", "RECEIVER", at(DUO, nobody), session_of(DUO, nobody, PartyId("XX", "YYY"))
    )
    assert answer.status_code == 4001
    answer = await eight.call(eight.duo, "PUT", "sessions", "RECEIVER", at(DUO, away), session_of(DUO, away, OFF))
    assert answer.status_code == 4003
    assert [got(platform, id) for platform in eight.here for id in (nobody, away)] == [[]] * 14


@pytest.mark.rule("R-60", "U-24", "R-58", "R-56")
async def test_real_time_authorization_asks_the_owner_of_the_token(eight: Eight) -> None:
    uid = fresh("T")
    document = objects.token(country_code="DE", party_id="BBB", uid=uid, type="RFID")
    await eight.call(eight.three, "PUT", "tokens", "RECEIVER", at(BBB, uid), document, sender=BBB)
    answer = await eight.call(eight.quiet, "POST", "tokens", "SENDER", f"/{uid}/authorize")
    assert (answer.status_code, answer.data["allowed"], pair(answer)) == (1000, "ALLOWED", ("NL*QUI", "DE*BBB"))
    [asked] = [item for item in got(eight.three, uid) if item.method == "POST"]
    assert (asked.to, asked.sender) == (BBB, QUI)
    answer = await eight.call(eight.quiet, "POST", "tokens", "SENDER", f"/{fresh('T')}/authorize")
    assert (answer.http_status, answer.status_code) == (404, 2004)


@pytest.mark.rule("R-101", "R-104", "M-34", "U-13", "U-14", "U-40", "R-73")
async def test_the_result_of_a_command_comes_back_by_the_hubs_response_url(eight: Eight) -> None:
    id = await show_location(eight, eight.quiet, QUI)
    url = f"{eight.three.url}/ocpi/2.2.1/sender/commands/{fresh('R')}"
    token = objects.token(country_code="DE", party_id="AAA", uid=fresh("T"))
    command = {"response_url": url, "location_id": id, "token": token}
    path = "/START_SESSION"
    answer = await eight.call(eight.three, "POST", "commands", "RECEIVER", path, command, sender=AAA)
    assert (answer.status_code, answer.data["result"], pair(answer)) == (1000, "ACCEPTED", ("DE*AAA", "NL*QUI"))
    [asked] = [item for item in eight.quiet.received("POST", "commands") if item.document["location_id"] == id]
    assert (asked.to, asked.sender) == (QUI, AAA)
    ours = asked.document["response_url"]
    assert ours.startswith(f"{eight.hub.url}/ocpi/2.2.1/sender/commands/")
    assert json.members(asked.body)["token"] == json.members(json.encode(command))["token"]
    stolen = await eight.raw.call("POST", ours, eight.raw.hub_token, b'{"result":"ACCEPTED"}')
    assert stolen.http_status == 404
    for result in (b'{ "result" : "ACCEPTED" }', b'{"result":"FAILED"}'):
        bare = await eight.quiet.call("POST", ours, eight.quiet.hub_token, result)
        assert bare.http_status == 200, bare.body
    arrived = got(eight.three, url.rpartition("/")[2])
    assert [item.body for item in arrived] == [b'{ "result" : "ACCEPTED" }', b'{"result":"FAILED"}']
    assert {(item.to, item.sender) for item in arrived} == {(AAA, QUI)}


@pytest.mark.rule("R-102", "R-103")
async def test_a_stop_and_a_cancellation_go_to_who_has_the_session_and_the_reservation(eight: Eight) -> None:
    session = await begin(eight, eight.quiet, QUI, AAA)
    url = f"{eight.three.url}/ocpi/2.2.1/sender/commands/{fresh('R')}"
    stop = {"response_url": url, "session_id": session}
    answer = await eight.call(eight.three, "POST", "commands", "RECEIVER", "/STOP_SESSION", stop, sender=AAA)
    assert pair(answer) == ("DE*AAA", "NL*QUI")
    place = await show_location(eight, eight.duo, DUO)
    token = objects.token(country_code="DE", party_id="AAA", uid=fresh("T"))
    reservation = fresh("RES")
    reserve = {"response_url": url, "location_id": place, "token": token, "reservation_id": reservation}
    reserve["expiry_date"] = "2099-01-01T00:00:00Z"
    answer = await eight.call(eight.three, "POST", "commands", "RECEIVER", "/RESERVE_NOW", reserve, sender=AAA)
    assert (answer.status_code, pair(answer)) == (1000, ("DE*AAA", "FR*DUO"))
    cancel = {"response_url": url, "reservation_id": reservation}
    answer = await eight.call(eight.three, "POST", "commands", "RECEIVER", "/CANCEL_RESERVATION", cancel, sender=AAA)
    assert (answer.status_code, pair(answer)) == (1000, ("DE*AAA", "FR*DUO"))
    answer = await eight.call(eight.raw, "POST", "commands", "RECEIVER", "/CANCEL_RESERVATION", cancel)
    assert answer.status_code == 4001


@pytest.mark.rule("R-105", "R-106", "P-24", "U-43", "R-74")
async def test_a_charging_profile_is_set_asked_for_and_told_to_who_set_it(eight: Eight) -> None:
    session = await begin(eight, eight.quiet, QUI, RAW)
    callback = f"{eight.raw.url}/ocpi/2.2.1/sender/chargingprofiles/{fresh('R')}"
    body = {"response_url": callback, "charging_profile": {"charging_rate_unit": "A"}}
    answer = await eight.call(eight.raw, "PUT", "chargingprofiles", "RECEIVER", f"/{session}", body)
    assert (answer.status_code, pair(answer)) == (1000, ("CH*RAW", "NL*QUI")), answer.message
    [asked] = _profiles(eight.quiet, session, "PUT")
    await eight.quiet.call("POST", asked.document["response_url"], eight.quiet.hub_token, b'{"result":"ACCEPTED"}')
    [result] = got(eight.raw, callback.rpartition("/")[2])
    assert (result.to, result.sender, result.body) == (RAW, QUI, b'{"result":"ACCEPTED"}')
    profile = {"start_date_time": "2026-03-01T12:00:00Z", "charging_profile": {"charging_rate_unit": "A"}}
    answer = await eight.call(eight.quiet, "PUT", "chargingprofiles", "SENDER", f"/{session}", profile)
    assert (answer.status_code, pair(answer)) == (1000, ("NL*QUI", "CH*RAW"))
    [told] = _profiles(eight.raw, session, "PUT")
    assert (told.to, told.sender, told.body) == (RAW, QUI, json.encode(profile))


def _profiles(party: Party, session: str, method: str) -> list[Received]:
    return [item for item in got(party, session) if item.is_for(method, "chargingprofiles")]


@pytest.mark.rule("D-15", "D-20", "R-75", "U-12", "R-58")
async def test_a_cdr_is_read_back_at_the_location_the_hub_gave(eight: Eight) -> None:
    id = fresh("C")
    token = objects.cdr_token(country_code="DE", party_id="CCC")
    owner = {"country_code": "NL", "party_id": "QUI", "id": id, "credit": None, "credit_reference_id": None}
    body = json.encode(objects.cdr(**owner, cdr_token=token))
    answer = await eight.call(eight.quiet, "POST", "cdrs", "RECEIVER", "", body)
    assert (answer.http_status, answer.status_code, pair(answer)) == (201, 1000, ("NL*QUI", "DE*CCC"))
    url = answer.headers["location"]
    assert url.startswith(eight.hub.url)
    read = Answer.of(await eight.quiet.call("GET", url, eight.quiet.hub_token))
    assert (read.status_code, read.data["id"]) == (1000, id)
    posted = [item for item in eight.three.received("POST", "cdrs") if item.document["id"] == id]
    assert [item.body for item in posted] == [body]
    again = await eight.call(eight.quiet, "POST", "cdrs", "RECEIVER", "", body)
    assert (again.status_code, again.headers["location"]) == (1000, url)
    assert len([item for item in eight.three.received("POST", "cdrs") if item.document["id"] == id]) == 1


@pytest.mark.rule("R-57")
async def test_a_list_is_never_an_open_routing_request(eight: Eight) -> None:
    eight.raw.script("GET", "tokens", Scripted(data=["from the eMSP"]))
    try:
        answer = await eight.call(eight.quiet, "GET", "tokens", "SENDER")
    finally:
        eight.raw.unscript("GET", "tokens")
    assert (answer.status_code, pair(answer)) == (1000, ("NL*QUI", "NL*HUB"))
