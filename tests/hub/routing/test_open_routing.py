"""The clues in a request, and what messages teach about later ones."""

from datetime import timedelta

import pytest

from hub.delivery.outcome import Delivered, Garbled, NotOffered, Outcome, Refused, TimedOut, TokenRefused, Unreachable
from hub.parties import repository as parties
from hub.routing import notes, repository
from hub.routing.clues import Find, clues_of
from ocpi_modules import json, registry
from ocpi_modules.envelope import Answer
from ocpi_modules.message import OcpiRequest
from ocpi_modules.spec import Kind, Method
from ocpi_modules.status import InvalidParameters
from tests.hub.network import NOW, Network, network
from tests.hub.routing.requests import CPO, RECEIVER, SENDER, request
from tests.support import objects
from tests.support.postgres import FreshDatabase
from tests.support.raw_http import raw_server

LATER = NOW + timedelta(days=1)
ONE = "/NL/CPO/S1"


def answered(data: object = None) -> Delivered:
    return Delivered(200, {}, b"", Answer(1000, "", data))


def finds(given: OcpiRequest) -> list[tuple[Find, str, str]]:
    return [(clue.find, clue.key, clue.detail) for clue in clues_of(given)]


@pytest.mark.rule("R-58")
@pytest.mark.parametrize(
    ("given", "found"),
    [
        (request("GET", RECEIVER, "sessions", ONE), [(Find.DRIVER, "S1", "")]),
        (request("PATCH", RECEIVER, "sessions", "/nl/cpo/s1", body=b"{}"), [(Find.DRIVER, "S1", "")]),
        (request("PUT", SENDER, "sessions", "/s1/charging_preferences", body=b"{}"), [(Find.SESSION, "S1", "")]),
        (request("POST", SENDER, "tokens", "/ab/authorize"), [(Find.UID, "AB|RFID", "")]),
        (request("POST", SENDER, "tokens", "/ab/authorize", query="type=OTHER"), [(Find.UID, "AB|OTHER", "")]),
        (request("GET", SENDER, "locations", "/l1/e1/1"), [(Find.LOCATION, "L1", "E1")]),
        (request("DELETE", RECEIVER, "chargingprofiles", "/s1"), [(Find.SESSION, "S1", "")]),
        (request("PUT", SENDER, "chargingprofiles", "/s1", body=b"{}"), [(Find.PROFILE, "S1", "")]),
        (request("GET", RECEIVER, "locations", "/NL/CPO/L1"), []),
        (request("GET", RECEIVER, "tariffs", "/NL/CPO/T1"), []),
        (request("GET", RECEIVER, "tokens", "/DE/MSP/T1"), []),
        (request("POST", RECEIVER, "cdrs", body=b"{}"), []),
    ],
)
def test_each_request_shows_where_to_look(given: OcpiRequest, found: list[tuple[Find, str, str]]) -> None:
    assert finds(given) == found


@pytest.mark.rule("R-58")
def test_a_named_party_is_believed_alone_and_without_one_the_nearest_trace_comes_first() -> None:
    token = {"uid": "ab", "type": "RFID", "contract_id": "c-1", "country_code": "de", "party_id": "msp"}
    body = {"cdr_token": token, "session_id": "s1", "authorization_reference": "a1"}
    assert finds(request("POST", RECEIVER, "cdrs", body=json.encode(body))) == [(Find.PARTY, "DE*MSP", "")]
    del token["party_id"]
    assert finds(request("POST", RECEIVER, "cdrs", body=json.encode(body))) == [
        (Find.DRIVER, "S1", ""),
        (Find.AUTHORIZATION, "A1", ""),
        (Find.UID, "AB|RFID", "C-1"),
    ]


@pytest.mark.parametrize("token", [None, [], "x", {"uid": 1, "type": 2}, {"country_code": 1, "party_id": 2}])
def test_what_is_no_cdr_token_tells_nothing(token: object) -> None:
    body = json.encode({"cdr_token": token, "session_id": 3, "authorization_reference": {}})
    assert finds(request("POST", RECEIVER, "cdrs", body=body)) == []


def test_an_unknown_command_and_a_field_of_another_kind_are_2001() -> None:
    for command, body in (("EXPLODE", b"{}"), ("STOP_SESSION", b'{"session_id":7}'), ("STOP_SESSION", b"{}")):
        with pytest.raises(InvalidParameters):
            clues_of(request("POST", RECEIVER, "commands", f"/{command}", body=body))


@pytest.mark.rule("R-54")
def test_no_endpoint_is_without_an_answer_to_where_to_look() -> None:
    """Every functional endpoint that is no list either has clues, needs a named receiver, or is broadcast."""
    without = set()
    for module in registry.MODULES.values():
        for endpoint in module.endpoints:
            if module.kind is not Kind.FUNCTIONAL or endpoint.is_list or endpoint.self_defined:
                continue
            if module.broadcast and endpoint.interface is RECEIVER and endpoint.method is not Method.GET:
                continue
            body = {
                "location_id": "L",
                "session_id": "S",
                "reservation_id": "R",
                "cdr_token": {"uid": "U", "type": "RFID"},
            }
            path = endpoint.path.replace("{command}", "STOP_SESSION").replace("{", "").replace("}", "")
            given = request(endpoint.method, endpoint.interface, module.id, path, body=json.encode(body))
            if not clues_of(given):
                without.add((str(module.id), str(endpoint.interface), str(endpoint.method)))
    assert without == {(module, "RECEIVER", "GET") for module in ("locations", "tariffs", "tokens")}


@pytest.mark.rule("R-103", "P-24")
def test_a_request_teaches_before_it_leaves() -> None:
    def taught(given: OcpiRequest) -> list[tuple[str, str, bool]]:
        return [(note.kind, note.reference, note.expires_at == LATER) for note in notes.of_request(given, NOW, LATER)]

    body = json.encode({"reservation_id": "r1", "authorization_reference": "a1"})
    assert taught(request("POST", RECEIVER, "commands", "/RESERVE_NOW", body=body)) == [
        ("RESERVATION", "R1", True),
        ("AUTHORIZATION", "A1", False),
    ]
    assert taught(request("POST", RECEIVER, "commands", "/START_SESSION", body=body)) == [
        ("AUTHORIZATION", "A1", False)
    ]
    assert taught(request("POST", RECEIVER, "commands", "/RESERVE_NOW", body=b'{"reservation_id":5}')) == []
    assert taught(request("PUT", RECEIVER, "chargingprofiles", "/s1", body=b"{}")) == [("PROFILE", "S1", False)]
    assert taught(request("DELETE", RECEIVER, "chargingprofiles", "/s1")) == []


@pytest.mark.rule("R-103")
@pytest.mark.parametrize(
    ("outcome", "taken"),
    [
        (answered({"result": "ACCEPTED"}), True),
        (answered({"result": "accepted"}), True),
        (answered({"result": "TIMEOUT"}), True),
        (answered(), True),
        (answered({"result": "REJECTED"}), False),
        (answered([{"result": "REJECTED"}]), False),
        (answered({"result": "NOT_SUPPORTED"}), False),
        (Refused(200, {}, b"", Answer(2001, "", None)), False),
        (NotOffered("x"), False),
        (TokenRefused(401), False),
        (TimedOut(1.0), True),
        (Unreachable("x", request_was_sent=True), True),
        (Garbled(500, "x"), True),
    ],
)
def test_only_a_certain_no_takes_a_note_back(outcome: Outcome, taken: bool) -> None:
    assert notes.was_taken(outcome) is taken


async def clear_expired(net: Network) -> None:
    async with net.database.transaction() as connection:
        await repository.delete_expired_routes(connection, net.time[0], 10)


@pytest.mark.rule("R-103", "R-74")
async def test_notes_end_with_what_they_are_about(hub_database: FreshDatabase) -> None:
    async with network(hub_database) as net:
        driver = objects.token(country_code="DE", party_id="MSP")
        body = objects.reserve_now(token=driver, response_url=f"{net.emsp.url}/r", expiry_date="2026-03-02T00:00:00Z")
        reserve = "/receiver/commands/RESERVE_NOW"
        assert (await net.call(net.emsp, "POST", reserve, json.encode(body), to=CPO)).status_code == 1000
        cancel = json.encode({"response_url": f"{net.emsp.url}/r", "reservation_id": "RES-1"})
        net.time[0] += timedelta(days=1)
        assert (await net.call(net.emsp, "POST", "/receiver/commands/CANCEL_RESERVATION", cancel)).status_code == 1000
        net.time[0] += timedelta(days=1)
        assert (await net.call(net.emsp, "POST", "/receiver/commands/CANCEL_RESERVATION", cancel)).status_code == 4001
        await clear_expired(net)
        assert [row["kind"] for row in await net.rows("SELECT kind FROM known_route")] == ["AUTHORIZATION"]
        net.time[0] += notes.LIFETIME
        await clear_expired(net)
        assert await net.rows("SELECT * FROM known_route") == []


async def test_a_command_that_reached_nobody_teaches_nothing(hub_database: FreshDatabase) -> None:
    async with network(hub_database) as net:
        async with raw_server(net.cpo.behave) as closed_port:
            pass
        async with net.database.transaction() as connection:
            await parties.drop_endpoints(connection, net.cpo.platform_id)
            nowhere = ("commands", "RECEIVER", f"http://127.0.0.1:{closed_port}/commands")
            await parties.add_endpoints(connection, net.cpo.platform_id, [nowhere])
            await parties.touch(connection, net.cpo.platform_id)
        await net.directory.refresh()
        driver = objects.token(country_code="DE", party_id="MSP")
        body = json.encode(objects.reserve_now(token=driver, response_url=f"{net.emsp.url}/r"))
        assert (await net.call(net.emsp, "POST", "/receiver/commands/RESERVE_NOW", body, to=CPO)).status_code == 4003
        assert await net.rows("SELECT * FROM known_route") == []
