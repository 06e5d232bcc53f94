"""What is written of every message, on every route, and what never is."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from hub.traces.record import LegIn
from ocpi_modules import json
from ocpi_modules.message import OcpiResponse, PartyId
from ocpi_modules.secrets import Keys, pseudonym
from tests.hub.delivery.world import World, pushed, until, world
from tests.hub.network import CPO, EMSP, HUB, Network, accepted
from tests.support import objects
from tests.support.postgres import FreshDatabase

UID, CONTRACT, AUTH, VISUAL = "CANARYUID0815", "DE-CANARYCON-7", "CANARYAUTH99", "CANARY-VISUAL"
SESSION = "/receiver/sessions/NL/CPO/S1"


@pytest.fixture
async def here(hub_database: FreshDatabase) -> AsyncIterator[World]:
    async with world(hub_database) as built:
        yield built


@pytest.fixture
def net(here: World) -> Network:
    return here.net


def token(**fields: Any) -> dict[str, Any]:
    own = {"country_code": "DE", "party_id": "MSP", "uid": UID, "contract_id": CONTRACT, "visual_number": VISUAL}
    return objects.token(**own | {"last_updated": "2026-03-01T12:00:00Z"} | fields)


def cdr_token() -> dict[str, Any]:
    return objects.cdr_token(country_code="DE", party_id="MSP", uid=UID, contract_id=CONTRACT)


def session(**fields: Any) -> bytes:
    own = {"country_code": "NL", "party_id": "CPO", "id": "S1", "cdr_token": cdr_token()}
    return json.encode(objects.session(**own | {"authorization_reference": AUTH} | fields))


def cdr(**fields: Any) -> bytes:
    own = {"country_code": "NL", "party_id": "CPO", "id": "CDR1", "cdr_token": cdr_token()}
    own |= {"authorization_reference": AUTH, "credit": None, "credit_reference_id": None}
    return json.encode(objects.cdr(**own | fields))


def command(net: Network) -> bytes:
    return json.encode({"response_url": f"{net.emsp.url}/secret/{AUTH}", "token": token(), "location_id": "L1"})


@pytest.mark.rule("R-84")
async def test_both_legs_stand_in_one_row(net: Network) -> None:
    body = session()
    answer = await net.call(net.cpo, "PUT", SESSION, body, to=EMSP)
    (row,) = await net.traced()
    (seen,) = net.emsp.seen
    named = ("sender", "receiver", "module", "interface", "method", "route", "target", "forwarded_outcome")
    assert [row[name] for name in named] == [
        "NL*CPO", "DE*MSP", "sessions", "RECEIVER", "PUT", "PartyToParty", "/NL/CPO/S1", "Delivered",
    ]  # fmt: skip
    assert (row["request_id"], row["correlation_id"]) == ("req-1", "corr-1")
    assert row["forwarded_request_id"] == seen.headers["x-request-id"]
    assert (row["sender_platform"], row["receiver_platform"]) == (str(net.cpo.platform_id), str(net.emsp.platform_id))
    assert (row["object_owner"], row["object_id"]) == ("NL*CPO", "S1")
    assert (row["http_status"], row["status_code"]) == (200, 1000)
    assert (row["forwarded_http_status"], row["forwarded_status_code"]) == (200, 1000)
    assert (row["request_bytes"], row["forwarded_bytes"]) == (len(body), len(seen.body))
    assert row["answer_bytes"] == row["forwarded_answer_bytes"] == len(answer.body)
    assert 0 < row["forwarded_microseconds"] <= row["microseconds"]


async def test_a_leg_that_fails_tells_what_each_side_saw(net: Network) -> None:
    net.emsp.answer = lambda seen: (401, {}, b"")
    await net.call(net.cpo, "PUT", SESSION, session(), to=EMSP)
    net.emsp.answer = lambda seen: accepted() if False else (200, {"Server": "x"}, b"<html>CANARY</html>")
    await net.call(net.cpo, "PUT", SESSION, session(), to=EMSP)
    rows = await net.traced()
    assert [(r["status_code"], r["forwarded_outcome"], r["forwarded_http_status"]) for r in rows] == [
        (4000, "TokenRefused", 401),
        (4000, "Garbled", 200),
    ]
    assert [row["refusal"] for row in rows] == ["HubError", "HubError"]


@pytest.mark.rule("R-84")
async def test_each_route_and_each_refusal_is_traced(here: World) -> None:
    net = here.net
    net.cpo.answer = lambda seen: accepted({"result": "ACCEPTED", "timeout": 30})
    await here.put()
    await net.call(net.emsp, "GET", "/sender/locations")
    await net.call(net.emsp, "GET", "/sender/locations/L1", to=HUB)
    await net.call(net.emsp, "GET", "/receiver/hubclientinfo/NL/CPO")
    await net.call(net.emsp, "POST", "/receiver/commands/START_SESSION", command(net))
    url = json.decode(net.cpo.seen[-1].body)["response_url"]
    await net.call(net.cpo, "POST", url, b'{"result":"ACCEPTED"}')
    await net.call(net.cpo, "PUT", SESSION, session(), to=PartyId("FR", "XXX"))
    await net.call(net.cpo, "PUT", SESSION, session(id="S2"), to=EMSP)
    await net.call(net.cpo, "PUT", SESSION, session(), to=EMSP, headers={"OCPI-from-party-id": "ZZZ"})
    rows = await net.traced()
    assert [(row["route"], row["status_code"], row["forwarded_outcome"]) for row in rows] == [
        ("BroadcastPush", 1000, None),
        ("GetAll", 1000, None),
        ("OwnCopy", 1000, None),
        ("OwnModule", 1000, None),
        ("OpenRouting", 1000, "Delivered"),
        ("Ticket", 1000, "Delivered"),
        ("PartyToParty", 4001, None),
        ("PartyToParty", 2001, None),
        ("", 2001, None),
    ]
    assert rows[-1]["sender"] == ""
    assert [row["object_id"] for row in rows[4:6]] == ["L1", ""]
    assert "OCPI-to names FR*XXX" in rows[6]["refusal"]


async def test_a_page_is_traced_with_its_length_but_not_held(here: World) -> None:
    await here.put()
    answer = await here.net.call(here.net.emsp, "GET", "/sender/locations")
    _, page = here.net.traces.entries
    assert isinstance(page, LegIn)
    assert isinstance(page.answer, OcpiResponse)
    assert page.answer.body == b""
    _, row = await here.net.traced()
    assert (row["http_status"], row["answer_bytes"]) == (200, len(answer.body))


async def test_a_request_without_a_known_token_leaves_no_trace(net: Network) -> None:
    answer = await net.call(net.cpo, "PUT", SESSION, session(), headers={"Authorization": "Token nobody"})
    assert answer.http_status == 401
    assert await net.traced() == []


@pytest.mark.rule("R-84")
async def test_each_delivery_of_a_broadcast_carries_its_correlation_id(here: World) -> None:
    other = await here.join("TWO")
    async with here.delivering():
        await here.put()
        await until(lambda: pushed(here.net.emsp) and pushed(other))
        await until(lambda: len(here.net.traces.entries) == 3)
    accept, *legs = await here.net.traced()
    assert {row["correlation_id"] for row in (accept, *legs)} == {"corr-1"}
    assert (accept["http_status"], accept["forwarded_outcome"]) == (201, None)
    assert {(row["route"], row["sender"], row["receiver"], row["http_status"]) for row in legs} == {
        ("Delivery", "NL*HUB", "DE*MSP", None),
        ("Delivery", "NL*HUB", "DE*TWO", None),
    }
    assert {(row["object_owner"], row["object_id"]) for row in (accept, *legs)} == {("NL*CPO", "L1")}
    assert {row["forwarded_request_id"] for row in legs} == {
        seen.headers["x-request-id"] for seen in (*pushed(here.net.emsp), *pushed(other))
    }


@pytest.mark.rule("R-85")
@pytest.mark.promise("S-07", "S-36")
async def test_no_token_and_nothing_personal_is_in_any_byte_of_the_traces(here: World) -> None:
    """Through every route, with what is refused and what the receivers answer."""
    net = here.net
    stranger = await here.join("CAN", "CPO")

    def echo(seen: Any) -> tuple[int, dict[str, str], bytes]:
        data = {"result": "ACCEPTED", "timeout": 30, "allowed": "ALLOWED", "authorization_reference": AUTH} | token()
        return accepted(data, headers={"Location": f"{net.emsp.url}/cdrs/{CONTRACT}", "X-Echo": UID})

    net.cpo.answer = net.emsp.answer = stranger.answer = echo
    one = f"/receiver/tokens/DE/MSP/{UID}"
    async with here.delivering():
        await net.call(net.emsp, "PUT", f"{one}?type=RFID&note={UID}", json.encode(token()), to=CPO)
        await net.call(net.emsp, "PUT", one, json.encode(token(type="RFIDX" + UID)), to=CPO)
        await net.call(net.emsp, "PUT", one, json.encode(token(uid="OTHER" + UID)), to=HUB)
        await net.call(net.emsp, "PUT", one.lower(), json.encode(token()), to=HUB)
        await until(lambda: len(pushed(net.cpo)) > 1 and pushed(stranger))
    await net.call(net.cpo, "GET", f"/sender/tokens?date_from=2026-01-01T00:00:00Z&x={CONTRACT}")
    await net.call(net.emsp, "GET", f"/receiver/tokens/DE/MSP/{UID}", to=HUB)
    await net.call(net.cpo, "POST", f"/sender/tokens/{UID}/authorize", to=EMSP)
    await net.call(net.cpo, "POST", f"/sender/tokens/%43ANARYUID0815/authorize?type={UID}")
    await net.call(net.cpo, "PUT", SESSION, session(), to=EMSP)
    await net.call(net.cpo, "PUT", SESSION, session(status=AUTH), to=EMSP)
    await net.call(net.cpo, "PATCH", SESSION, session(id=UID))
    answer = await net.call(net.cpo, "POST", "/receiver/cdrs", cdr(), to=EMSP)
    await net.call(net.cpo, "GET", answer.headers["location"])
    await net.call(net.cpo, "POST", "/receiver/cdrs", cdr(currency=CONTRACT))
    await net.call(net.emsp, "POST", "/receiver/commands/START_SESSION", command(net), to=CPO)
    url = json.decode(net.cpo.seen[-1].body)["response_url"]
    await net.call(net.cpo, "POST", url, json.encode({"result": "ACCEPTED", "uid": UID}))
    query = f"duration=60&response_url={net.emsp.url}/secret/{AUTH}"
    await net.call(net.emsp, "GET", f"/receiver/chargingprofiles/S1?{query}", to=CPO)
    net.emsp.answer = lambda seen: (200, {}, f"<p>{UID} {CONTRACT}</p>".encode())
    await net.call(net.cpo, "PUT", SESSION, session(), to=EMSP)
    rows = await net.traced()
    assert {row["route"] for row in rows} >= {"PartyToParty", "OpenRouting", "BroadcastPush", "Ticket", "Delivery"}
    assert {row["route"] for row in rows} >= {"GetAll", "OwnCopy"}
    bytes_of = " ".join(row["row"] for row in await net.rows("SELECT trace::text AS row FROM trace")).upper()
    tickets = [row["reference"] for row in await net.rows("SELECT reference FROM ticket")]
    tokens = [secret for partner in (net.cpo, net.emsp, stranger) for secret in _secrets(partner)]
    assert tickets
    for canary in (UID, CONTRACT, AUTH, VISUAL, "/secret/", *tokens, *tickets):
        assert canary.upper() not in bytes_of, canary
    hashed = f"#{pseudonym(net.keys.pseudonym[0], UID)}"
    assert hashed in bytes_of.lower()
    assert {row["object_id"] for row in rows if row["module"] == "tokens" and row["object_id"]} >= {hashed}


def _secrets(partner: Any) -> list[str]:
    from ocpi_modules.headers import authorization

    raw = [partner.token_for_us, partner.token_of_ours]
    return raw + [authorization(secret).removeprefix("Token ") for secret in raw]


@pytest.mark.promise("S-36")
def test_pseudonyms_have_a_key_of_their_own_and_no_other_secret_makes_the_same() -> None:
    one, other = Keys.derived_from(b"k" * 32), Keys.derived_from(b"o" * 32)
    assert len({*one.mac, *one.seal, *one.pseudonym}) == 3
    made = pseudonym(one.pseudonym[0], UID)
    assert (len(made), made) == (10, pseudonym(one.pseudonym[0], UID))
    assert made != pseudonym(other.pseudonym[0], UID)


async def test_a_status_code_no_column_holds_loses_no_trace(here: World) -> None:
    net = here.net
    net.cpo.answer = lambda seen: (200, {}, b'{"status_code":99999999999,"timestamp":"2026-03-01T12:30:00Z"}')
    await net.call(net.emsp, "GET", "/sender/locations/L1", to=CPO)
    [row] = await net.traced()
    assert (row["http_status"], row["status_code"], row["forwarded_status_code"]) == (200, None, None)
