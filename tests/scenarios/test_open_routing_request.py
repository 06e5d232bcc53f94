"""Open Routing Request, seen over sockets (transport_and_format)."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from hub.agreements.policy import DefaultPolicy
from hub.parties import repository as parties
from ocpi_modules import json
from ocpi_modules.message import PartyId
from tests.hub.network import CPO, EMSP, HUB, Network, Outage, Partner, accepted, network, register
from tests.support import objects
from tests.support.postgres import FreshDatabase
from tests.support.raw_http import raw_server

OTHER_CPO, OTHER_EMSP, SCSP = PartyId("BE", "CPX"), PartyId("FR", "MSX"), PartyId("BE", "SCP")
SESSION, CDRS, COMMANDS = "/receiver/sessions/NL/CPO/S1", "/receiver/cdrs", "/receiver/commands"
AUTHORIZE = "/sender/tokens/04a1b2c3/authorize"


@dataclass
class World:
    """The network with a second CPO, a second eMSP and an SCSP, all of them listening."""

    net: Network
    other_cpo: Partner
    other_emsp: Partner
    scsp: Partner

    @property
    def partners(self) -> list[Partner]:
        return [self.net.cpo, self.net.emsp, self.other_cpo, self.other_emsp, self.scsp]

    def seen(self) -> dict[str, int]:
        """How many requests each partner got, those without any left out."""
        return {str(partner.party): len(partner.seen) for partner in self.partners if partner.seen}

    def forget(self) -> None:
        for partner in self.partners:
            partner.seen.clear()

    async def reserve(self, reservation_id: str = "R1", *, cpo: PartyId = CPO, **fields: Any) -> Any:
        token = objects.token(country_code="DE", party_id="MSP")
        body = {"token": token, "reservation_id": reservation_id, "expiry_date": "2026-03-02T00:00:00Z"} | fields
        return await self.command("RESERVE_NOW", to=cpo, location_id="L9", **body)

    async def command(self, name: str, *, to: PartyId | None = None, **fields: Any) -> Any:
        body = {"response_url": f"{self.net.emsp.url}/r"} | fields
        return await self.net.call(self.net.emsp, "POST", f"{COMMANDS}/{name}", json.encode(body), to=to)


@asynccontextmanager
async def building(fresh: FreshDatabase, **options: Any) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        net = await stack.enter_async_context(network(fresh, **options))
        others = [Partner(OTHER_CPO, "CPO"), Partner(OTHER_EMSP, "EMSP"), Partner(SCSP, "SCSP")]
        for partner in others:
            partner.port = await stack.enter_async_context(raw_server(partner.behave))
            await register(net.database, net.keys, partner)
        await net.directory.refresh()
        yield World(net, *others)


@pytest.fixture
async def world(hub_database: FreshDatabase) -> AsyncIterator[World]:
    async with building(hub_database) as built:
        yield built


def session(owner: PartyId = CPO, driver: PartyId | None = EMSP, **fields: Any) -> bytes:
    """`driver` None makes a cdr_token as OCPI 2.2 has it, without an owner."""
    named = (driver.country_code, driver.party_id) if driver else (None, None)
    token = objects.cdr_token(country_code=named[0], party_id=named[1])
    own = {"country_code": owner.country_code, "party_id": owner.party_id, "id": "S1", "cdr_token": token}
    return json.encode(objects.session(**own | fields))


def cdr(driver: PartyId | None = EMSP, **fields: Any) -> bytes:
    named = (driver.country_code, driver.party_id) if driver else (None, None)
    token = objects.cdr_token(country_code=named[0], party_id=named[1])
    own = {"country_code": "NL", "party_id": "CPO", "id": "C1", "cdr_token": token, "session_id": "S1"}
    return json.encode(objects.cdr(**own | {"credit": None, "credit_reference_id": None} | fields))


async def pushed(world: World, partner: Partner, body: bytes, to: PartyId, module: str = "sessions") -> None:
    """A direct push, which the hub keeps."""
    document = json.decode(body)
    one = document.get("uid") or document["id"]
    target = f"/receiver/{module}/{document['country_code']}/{document['party_id']}/{one}"
    answer = await world.net.call(partner, "PUT", target, body, to=to)
    assert answer.status_code == 1000, answer.message
    world.forget()


async def location(world: World, partner: Partner, id: str = "L1", *, evse_uid: str = "E1") -> None:
    body = objects.location(
        country_code=partner.party.country_code,
        party_id=partner.party.party_id,
        id=id,
        evses=[objects.evse(uid=evse_uid)],
    )
    await pushed(world, partner, json.encode(body), EMSP, "locations")


async def token(world: World, partner: Partner, to: PartyId = OTHER_CPO, **fields: Any) -> None:
    party = {"country_code": partner.party.country_code, "party_id": partner.party.party_id}
    await pushed(world, partner, json.encode(objects.token(**party | fields)), to, "tokens")


# Sessions and CDRs


@pytest.mark.rule("R-54", "R-55", "R-56", "R-58", "R-92", "R-17")
@pytest.mark.parametrize("to", [None, HUB])
async def test_a_session_goes_to_the_party_in_its_cdr_token(world: World, to: PartyId | None) -> None:
    body = session().replace(b'{"country_code"', b'{ "x":1.10,"country_code"')
    answer = await world.net.call(world.net.cpo, "PUT", SESSION, body, to=to)
    assert answer.status_code == 1000
    assert world.seen() == {"DE*MSP": 1}
    seen = world.net.emsp.seen[0]
    assert (seen.body, seen.routing) == (body, ("DE*MSP", "NL*CPO"))
    assert answer.routing == ("NL*CPO", "DE*MSP")


@pytest.mark.rule("R-92", "R-57", "R-58")
async def test_a_patch_and_a_get_follow_the_stored_session(world: World) -> None:
    await pushed(world, world.net.cpo, session(), EMSP)
    await pushed(world, world.net.cpo, session(), SCSP)
    patch = b'{"kwh":13.50,"last_updated":"2026-03-01T12:05:00Z"}'
    assert (await world.net.call(world.net.cpo, "PATCH", SESSION.lower(), patch)).status_code == 1000
    assert (await world.net.call(world.net.cpo, "GET", SESSION)).status_code == 1000
    assert world.seen() == {"DE*MSP": 2}
    assert world.net.emsp.seen[0].body == patch


@pytest.mark.rule("U-23", "U-18", "R-54")
@pytest.mark.parametrize(("to", "code"), [(None, 4001), (HUB, 2001)])
async def test_a_patch_of_a_session_nobody_stored_goes_nowhere(world: World, to: PartyId | None, code: int) -> None:
    patch = b'{"kwh":13.50,"last_updated":"2026-03-01T12:05:00Z"}'
    answer = await world.net.call(world.net.cpo, "PATCH", SESSION, patch, to=to)
    assert (answer.http_status, answer.status_code, world.seen()) == (200, code, {})
    assert answer.routing == ("NL*CPO", "NL*HUB")
    assert "OCPI-to" in answer.message


@pytest.mark.rule("R-94", "R-95", "R-58", "U-18")
@pytest.mark.parametrize("to", [None, HUB])
async def test_a_cdr_goes_to_the_party_in_its_cdr_token_and_gets_our_location(world: World, to: PartyId | None) -> None:
    answer = await world.net.call(world.net.cpo, "POST", CDRS, cdr(), to=to)
    assert (answer.status_code, answer.routing, world.seen()) == (1000, ("NL*CPO", "DE*MSP"), {"DE*MSP": 1})
    assert answer.headers["location"].startswith(world.net.public_url)
    assert (await world.net.call(world.net.cpo, "GET", answer.headers["location"])).status_code == 1000


@pytest.mark.rule("U-23", "R-58")
@pytest.mark.parametrize(("path", "body"), [(SESSION, session), (CDRS, cdr)])
async def test_a_driver_of_nobody_here_is_4001_and_is_not_looked_for_elsewhere(
    world: World, path: str, body: Any
) -> None:
    await token(world, world.net.emsp)
    method = "POST" if path == CDRS else "PUT"
    answer = await world.net.call(world.net.cpo, method, path, body(driver=PartyId("SE", "NOB")))
    assert (answer.http_status, answer.status_code, world.seen()) == (200, 4001, {})
    assert await world.net.rows("SELECT * FROM cdr_identity") == []


@pytest.mark.rule("R-58", "R-94")
async def test_a_cdr_without_token_owner_follows_its_session(world: World) -> None:
    await pushed(world, world.net.cpo, session(), EMSP)
    await token(world, world.other_emsp)
    answer = await world.net.call(world.net.cpo, "POST", CDRS, cdr(driver=None))
    assert (answer.status_code, world.seen()) == (1000, {"DE*MSP": 1})


@pytest.mark.rule("R-58", "U-25")
async def test_a_session_that_was_too_odd_to_keep_still_shows_the_way(world: World) -> None:
    await pushed(world, world.net.cpo, session(driver=None), EMSP)
    await world.net.notes.work_off()
    assert await world.net.rows("SELECT * FROM kept_object") == []
    assert (await world.net.call(world.net.cpo, "POST", CDRS, cdr(driver=None))).status_code == 1000
    answer = await world.command("STOP_SESSION", session_id="s1")
    assert (answer.status_code, world.seen()) == (1000, {"DE*MSP": 1, "NL*CPO": 1})


@pytest.mark.rule("R-58")
async def test_a_cdr_follows_the_authorization_reference_of_a_command(world: World) -> None:
    driver = objects.token(country_code="DE", party_id="MSP")
    answer = await world.command(
        "START_SESSION", to=CPO, token=driver, location_id="L", authorization_reference="Auth-7"
    )
    assert answer.status_code == 1000
    world.forget()
    body = cdr(driver=None, session_id=None, authorization_reference="AUTH-7")
    assert (await world.net.call(world.net.cpo, "POST", CDRS, body)).status_code == 1000
    assert world.seen() == {"DE*MSP": 1}


@pytest.mark.rule("R-58")
@pytest.mark.parametrize("listed", [False, True], ids=["object", "list of one"])
async def test_a_session_follows_the_authorization_reference_of_an_authorize(world: World, listed: bool) -> None:
    info = objects.authorization_info(authorization_reference="Auth-8")
    world.net.emsp.answer = lambda seen: accepted([info] if listed else info)
    assert (await world.net.call(world.net.cpo, "POST", AUTHORIZE, to=EMSP)).status_code == 1000
    await world.net.notes.work_off()
    world.forget()
    body = session(driver=None, authorization_reference="Auth-8")
    assert (await world.net.call(world.net.cpo, "PUT", SESSION, body)).status_code == 1000
    assert world.seen() == {"DE*MSP": 1}


@pytest.mark.rule("R-58", "R-59", "U-23")
async def test_a_cdr_follows_its_token_unless_two_parties_have_it(world: World) -> None:
    await token(world, world.net.emsp, contract_id="DE-MSP-1")
    body = cdr(driver=None, authorization_reference=None)
    answer = await world.net.call(world.net.cpo, "POST", CDRS, body)
    assert (answer.status_code, world.seen()) == (4001, {})  # the card of another contract
    await token(world, world.net.emsp, last_updated="2026-03-01T12:00:01Z")
    assert (await world.net.call(world.net.cpo, "POST", CDRS, body)).status_code == 1000
    assert world.seen() == {"DE*MSP": 1}
    await token(world, world.other_emsp)
    answer = await world.net.call(world.net.cpo, "POST", CDRS, cdr(driver=None, authorization_reference=None, id="C2"))
    assert (answer.status_code, world.seen()) == (4001, {})
    assert "More than one" in answer.message


# Commands


@pytest.mark.rule("R-101", "R-104", "R-58", "M-28", "R-56")
@pytest.mark.parametrize("name", ["START_SESSION", "RESERVE_NOW", "UNLOCK_CONNECTOR"])
async def test_a_command_goes_to_the_owner_of_its_location(world: World, name: str) -> None:
    await location(world, world.net.cpo)
    await location(world, world.other_cpo, "L2")
    world.net.cpo.answer = lambda seen: accepted({"result": "ACCEPTED", "timeout": 30})
    driver = objects.token(country_code="DE", party_id="MSP")
    answer = await world.command(
        name, location_id="l1", token=driver, reservation_id="R", expiry_date="2026-03-02T00:00:00Z"
    )
    assert (answer.status_code, answer.routing, world.seen()) == (1000, ("DE*MSP", "NL*CPO"), {"NL*CPO": 1})
    seen = world.net.cpo.seen[0]
    assert seen.routing == ("NL*CPO", "DE*MSP")
    ours = json.decode(seen.body)["response_url"]
    assert ours.startswith(world.net.public_url)
    assert (await world.net.call(world.net.cpo, "POST", ours, b'{"result":"ACCEPTED"}')).status_code == 1000
    assert world.net.emsp.seen[0].target == "/r"


@pytest.mark.rule("R-59", "R-101")
async def test_a_location_id_of_two_cpos_is_told_apart_by_its_evse_or_not_at_all(world: World) -> None:
    await location(world, world.net.cpo, evse_uid="E1")
    await location(world, world.other_cpo, evse_uid="E2")
    answer = await world.command("UNLOCK_CONNECTOR", location_id="L1", connector_id="1")
    assert (answer.http_status, answer.status_code, world.seen()) == (200, 4001, {})
    assert "More than one party has a Location" in answer.message
    answer = await world.command("UNLOCK_CONNECTOR", location_id="L1", evse_uid="E7", connector_id="1")
    assert (answer.status_code, world.seen()) == (4001, {})
    answer = await world.command("UNLOCK_CONNECTOR", location_id="L1", evse_uid="e2", connector_id="1")
    assert (answer.status_code, world.seen()) == (1000, {"BE*CPX": 1})


@pytest.mark.rule("R-59", "R-23")
async def test_an_owner_that_left_does_not_make_an_id_ambiguous_and_alone_is_4003(world: World) -> None:
    await location(world, world.net.cpo)
    await location(world, world.other_cpo)
    await suspend(world, world.other_cpo)
    answer = await world.command("UNLOCK_CONNECTOR", location_id="L1", connector_id="1")
    assert (answer.status_code, world.seen()) == (1000, {"NL*CPO": 1})
    await suspend(world, world.net.cpo)
    await location_gone(world)
    answer = await world.command("UNLOCK_CONNECTOR", location_id="L1", connector_id="1")
    assert (answer.status_code, world.seen()) == (4003, {"NL*CPO": 1})


async def suspend(world: World, partner: Partner) -> None:
    async with world.net.database.transaction() as connection:
        await parties.set_state(connection, partner.platform_id, "SUSPENDED")
        await parties.touch(connection, partner.platform_id)
    await world.net.directory.refresh()


async def location_gone(world: World) -> None:
    """Only the first CPO's copy is left."""
    async with world.net.database.transaction() as connection:
        await connection.execute("UPDATE kept_object SET deleted = true WHERE owner = 'BE*CPX'")


@pytest.mark.rule("R-102", "R-58")
async def test_a_stop_goes_to_the_cpo_of_the_session_of_the_askers_driver(world: World) -> None:
    await pushed(world, world.net.cpo, session(), EMSP)
    await pushed(world, world.other_cpo, session(owner=OTHER_CPO, driver=OTHER_EMSP), OTHER_EMSP)
    answer = await world.command("STOP_SESSION", session_id="S1")
    assert (answer.status_code, world.seen()) == (1000, {"NL*CPO": 1})


@pytest.mark.rule("R-59", "R-102", "P-23")
async def test_a_session_id_of_two_cpos_is_not_guessed(world: World) -> None:
    await pushed(world, world.net.cpo, session(), EMSP)
    await pushed(world, world.other_cpo, session(owner=OTHER_CPO), EMSP)
    answer = await world.command("STOP_SESSION", session_id="S1")
    assert (answer.status_code, world.seen()) == (4001, {})
    assert "More than one" in answer.message


@pytest.mark.rule("R-103", "R-58")
async def test_a_cancellation_goes_to_the_cpo_that_took_the_reservation(world: World) -> None:
    await world.reserve()
    await world.net.call(
        world.other_emsp, "POST", f"{COMMANDS}/RESERVE_NOW", reservation_of(world.other_emsp), to=OTHER_CPO
    )
    world.forget()
    answer = await world.command("CANCEL_RESERVATION", reservation_id="r1")
    assert (answer.status_code, answer.routing, world.seen()) == (1000, ("DE*MSP", "NL*CPO"), {"NL*CPO": 1})


def reservation_of(partner: Partner) -> bytes:
    driver = objects.token(country_code=partner.party.country_code, party_id=partner.party.party_id)
    return json.encode(objects.reserve_now(token=driver, reservation_id="R1", response_url=f"{partner.url}/r"))


@pytest.mark.rule("R-103", "R-59")
async def test_a_reservation_that_was_refused_is_not_looked_for_at_who_refused_it(world: World) -> None:
    world.net.cpo.answer = lambda seen: accepted({"result": "REJECTED", "timeout": 30})
    await world.reserve()
    assert (await world.command("CANCEL_RESERVATION", reservation_id="R1")).status_code == 4001
    await world.reserve(cpo=OTHER_CPO)
    world.forget()
    assert (await world.command("CANCEL_RESERVATION", reservation_id="R1")).status_code == 1000
    assert world.seen() == {"BE*CPX": 1}
    await world.reserve("R2", cpo=OTHER_CPO)
    ours = json.decode(world.other_cpo.seen[-1].body)["response_url"]
    assert (await world.net.call(world.other_cpo, "POST", ours, b'{"result":"EVSE_OCCUPIED"}')).status_code == 1000
    assert (await world.command("CANCEL_RESERVATION", reservation_id="R2")).status_code == 4001


@pytest.mark.rule("R-59", "R-103")
async def test_a_reservation_of_two_cpos_is_not_guessed_and_one_in_doubt_counts(world: World) -> None:
    world.net.cpo.answer = lambda seen: None
    assert (await world.reserve()).status_code == 4003
    await world.reserve(cpo=OTHER_CPO)
    world.forget()
    answer = await world.command("CANCEL_RESERVATION", reservation_id="R1")
    assert (answer.status_code, world.seen()) == (4001, {})


@pytest.mark.parametrize(
    ("name", "field"),
    [("START_SESSION", "location_id"), ("STOP_SESSION", "session_id"), ("CANCEL_RESERVATION", "reservation_id")],
)
async def test_a_command_without_what_tells_the_way_is_2001(world: World, name: str, field: str) -> None:
    driver = objects.token(country_code="DE", party_id="MSP")
    answer = await world.command(name, token=driver)
    assert (answer.status_code, world.seen()) == (2001, {})
    assert field in answer.message


# Charging preferences and profiles


@pytest.mark.rule("R-91", "R-105", "P-26", "R-57", "R-58")
async def test_preferences_and_profiles_go_to_the_cpo_of_the_session(world: World) -> None:
    await pushed(world, world.net.cpo, session(), EMSP)
    url = f"{world.net.emsp.url}/r"
    profile = json.encode(objects.set_charging_profile(response_url=url))
    one = "/receiver/chargingprofiles/s1"
    for method, path, body, to in (
        ("PUT", "/sender/sessions/s1/charging_preferences", b'{"profile_type":"GREEN"}', None),
        ("PUT", one, profile, None),
        ("GET", f"{one}?duration=900&response_url={url}", b"", None),
        ("GET", f"{one}?duration=900&response_url={url}", b"", HUB),
        ("DELETE", f"{one}?response_url={url}", b"", None),
    ):
        answer = await world.net.call(world.net.emsp, method, path, body, to=to)
        assert (answer.status_code, answer.routing, world.seen()) == (1000, ("DE*MSP", "NL*CPO"), {"NL*CPO": 1}), path
        world.forget()


@pytest.mark.rule("R-91", "R-105", "U-23")
async def test_a_session_of_another_emsp_is_like_one_that_is_not_there(world: World) -> None:
    await pushed(world, world.net.cpo, session(driver=OTHER_EMSP), OTHER_EMSP)
    answers = [
        await world.net.call(
            world.net.emsp, "PUT", f"/sender/sessions/{one}/charging_preferences", b'{"profile_type":"GREEN"}'
        )
        for one in ("S1", "S9")
    ]
    assert [(answer.http_status, answer.status_code) for answer in answers] == [(200, 4001), (200, 4001)]
    assert answers[0].message == answers[1].message
    assert world.seen() == {}


@pytest.mark.rule("R-106", "P-24", "P-23", "R-58")
async def test_an_active_profile_goes_to_who_set_the_last_one_that_was_taken(world: World) -> None:
    body = json.encode(objects.active_charging_profile())

    async def set_by(partner: Partner) -> None:
        profile = json.encode(objects.set_charging_profile(response_url=f"{partner.url}/r"))
        await world.net.call(partner, "PUT", "/receiver/chargingprofiles/S1", profile, to=CPO)
        world.net.time[0] += world.net.time[0].resolution
        world.forget()

    async def updated() -> tuple[int, dict[str, int]]:
        world.forget()
        return (
            await world.net.call(world.net.cpo, "PUT", "/sender/chargingprofiles/s1", body)
        ).status_code, world.seen()

    assert await updated() == (4001, {})
    await set_by(world.net.emsp)
    assert await updated() == (1000, {"DE*MSP": 1})
    assert world.net.emsp.seen[0].routing == ("DE*MSP", "NL*CPO")
    await set_by(world.scsp)
    assert await updated() == (1000, {"BE*SCP": 1})
    world.net.cpo.answer = lambda seen: accepted({"result": "REJECTED", "timeout": 30})
    await set_by(world.other_emsp)
    assert await updated() == (1000, {"BE*SCP": 1})
    answer = await world.net.call(world.other_cpo, "PUT", "/sender/chargingprofiles/S1", body)
    assert answer.status_code == 4001


# Tokens and Locations


@pytest.mark.rule("R-99", "K-29", "K-32", "R-56", "R-58")
@pytest.mark.parametrize("to", [None, HUB])
async def test_an_authorize_goes_to_the_owner_of_the_token(world: World, to: PartyId | None) -> None:
    await token(world, world.net.emsp)
    await token(world, world.other_emsp, type="APP_USER")
    answer = await world.net.call(world.net.cpo, "POST", AUTHORIZE, b'{ "location_id":"L1"}', to=to)
    assert (answer.status_code, answer.routing, world.seen()) == (1000, ("NL*CPO", "DE*MSP"), {"DE*MSP": 1})
    seen = world.net.emsp.seen[0]
    assert (seen.target, seen.body) == ("/msp/sender/v/tokens/04a1b2c3/authorize", b'{ "location_id":"L1"}')
    answer = await world.net.call(world.net.cpo, "POST", f"{AUTHORIZE}?type=APP_USER", to=to)
    assert answer.routing == ("NL*CPO", "FR*MSX")


@pytest.mark.rule("R-60", "U-24", "R-99", "X-73")
async def test_an_unknown_token_at_authorize_is_404_and_2004_and_nobody_hears_of_it(world: World) -> None:
    answer = await world.net.call(world.net.cpo, "POST", AUTHORIZE)
    assert (answer.http_status, answer.status_code, world.seen()) == (404, 2004, {})
    assert answer.routing == ("NL*CPO", "NL*HUB")
    await token(world, world.net.emsp)
    answer = await world.net.call(world.net.cpo, "POST", f"{AUTHORIZE}?type=OTHER")
    assert (answer.http_status, answer.status_code, world.seen()) == (404, 2004, {})


@pytest.mark.rule("K-33", "K-31", "R-99")
async def test_the_owners_no_passes_and_an_owner_that_is_away_is_4003(world: World) -> None:
    await token(world, world.net.emsp)
    unknown = b'{"status_code":2004,"status_message":"Not ours","timestamp":"2026-01-01T00:00:00Z"}'
    world.net.emsp.answer = lambda seen: (404, {}, unknown)
    answer = await world.net.call(world.net.cpo, "POST", AUTHORIZE)
    assert (answer.http_status, answer.body, answer.routing) == (404, unknown, ("NL*CPO", "DE*MSP"))
    async with world.net.database.transaction() as connection:
        await parties.set_connection(connection, world.net.emsp.platform_id, "OFFLINE")
        await parties.touch(connection, world.net.emsp.platform_id)
    await world.net.directory.refresh()
    answer = await world.net.call(world.net.cpo, "POST", AUTHORIZE)
    assert (answer.http_status, answer.status_code, len(world.net.emsp.seen)) == (200, 4003, 1)


@pytest.mark.rule("R-59", "R-99", "K-04")
async def test_a_token_of_two_emsps_is_not_guessed(world: World) -> None:
    await token(world, world.net.emsp)
    await token(world, world.other_emsp)
    answer = await world.net.call(world.net.cpo, "POST", AUTHORIZE)
    assert (answer.http_status, answer.status_code, world.seen()) == (200, 4001, {})
    assert "More than one party has a token" in answer.message


@pytest.mark.rule("R-87", "R-57", "R-58", "R-56")
@pytest.mark.parametrize("path", ["L1", "L1/E1", "L1/E1/1"])
async def test_a_single_location_is_asked_of_its_owner(world: World, path: str) -> None:
    await location(world, world.net.cpo)
    world.net.cpo.answer = lambda seen: accepted({"id": "L1"})
    answer = await world.net.call(world.net.emsp, "GET", f"/sender/locations/{path}")
    assert (answer.document["data"], answer.routing) == ({"id": "L1"}, ("DE*MSP", "NL*CPO"))
    assert [seen.target for seen in world.net.cpo.seen] == [f"/cpo/sender/v/locations/{path}"]


async def test_a_location_that_was_shown_to_another_emsp_only_is_like_one_that_is_not_there(world: World) -> None:
    await location(world, world.net.cpo)
    answers = [await world.net.call(world.other_emsp, "GET", f"/sender/locations/{one}") for one in ("L1", "L9")]
    assert [answer.status_code for answer in answers] == [4001, 4001]
    assert answers[0].message == answers[1].message
    assert world.seen() == {}


@pytest.mark.rule("R-89")
@pytest.mark.parametrize("path", ["locations/NL/CPO/L1", "tariffs/NL/CPO/T1"])
async def test_a_get_at_a_receiver_needs_a_receiver(world: World, path: str) -> None:
    answer = await world.net.call(world.net.cpo, "GET", f"/receiver/{path}")
    assert (answer.status_code, world.seen()) == (4001, {})
    answer = await world.net.call(world.net.emsp, "GET", "/receiver/tokens/DE/MSP/T1")
    assert (answer.status_code, world.seen()) == (4001, {})


# Who may


@pytest.mark.rule("R-28", "R-54", "U-05")
async def test_a_party_without_an_agreement_is_not_found_and_does_not_count(hub_database: FreshDatabase) -> None:
    async with building(hub_database, policy=DefaultPolicy.agreement) as world:
        pairs = [(CPO, EMSP), (OTHER_CPO, EMSP), (OTHER_CPO, OTHER_EMSP)]
        everybody = {frozenset(pair): frozenset() for pair in pairs}
        world.net.policy.replace(everybody)
        await token(world, world.net.emsp)
        await token(world, world.other_emsp)
        await location(world, world.net.cpo)
        await location(world, world.other_cpo)
        answer = await world.net.call(world.net.cpo, "POST", AUTHORIZE)
        assert (answer.status_code, world.seen()) == (1000, {"DE*MSP": 1})
        world.net.policy.replace({frozenset((OTHER_CPO, EMSP)): frozenset()})
        world.forget()
        answer = await world.net.call(world.net.emsp, "GET", "/sender/locations/L1")
        assert (answer.status_code, world.seen()) == (1000, {"BE*CPX": 1})
        refused = await world.net.call(world.net.cpo, "PUT", SESSION, session())
        unknown = await world.net.call(world.net.cpo, "PUT", SESSION, session(driver=PartyId("SE", "NOB")))
        assert (refused.status_code, refused.message) == (4001, unknown.message)
        assert (await world.net.call(world.net.cpo, "POST", AUTHORIZE)).http_status == 404
        assert world.seen() == {"BE*CPX": 1}


@pytest.mark.rule("R-83", "M-33", "X-68")
@pytest.mark.promise("S-11")
async def test_what_a_direct_message_is_refused_with_an_open_one_is_too(world: World) -> None:
    await location(world, world.net.cpo)
    foreign = objects.token(country_code="FR", party_id="MSX")
    assert (await world.command("START_SESSION", location_id="L1", token=foreign)).status_code == 2001
    call = world.net.call
    assert (await call(world.net.emsp, "PUT", "/receiver/sessions/DE/MSP/S1", session(owner=EMSP))).status_code == 4001
    assert (await call(world.other_cpo, "PUT", SESSION, session())).status_code == 2001
    assert (await call(world.net.cpo, "POST", f"{COMMANDS}/STOP_SESSION", b"{}")).status_code == 2000
    assert (await call(world.net.cpo, "PUT", SESSION, b"{")).http_status == 400
    assert (await call(world.net.cpo, "PUT", SESSION, b"[1]")).status_code == 2001
    assert world.seen() == {}


async def test_while_the_store_is_away_only_what_names_its_receiver_passes(hub_database: FreshDatabase) -> None:
    async with building(hub_database, wrap=Outage) as world:
        await token(world, world.net.emsp)
        world.net.seen_database.away = True
        answer = await world.net.call(world.net.cpo, "POST", AUTHORIZE)
        assert (answer.http_status, answer.status_code, world.seen()) == (503, 3000, {})
        assert "retry-after" in answer.headers
        assert (await world.net.call(world.net.cpo, "PUT", SESSION, session())).status_code == 1000
