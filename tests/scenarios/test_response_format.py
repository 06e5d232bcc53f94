"""transport_and_format, Response format, and status_codes: what every answer of the hub looks like."""

from datetime import UTC, datetime, timedelta

import pytest

from ocpi_modules import headers as names
from ocpi_modules import json
from ocpi_modules.message import PartyId
from ocpi_modules.status import OcpiError
from ocpi_modules.types import parse_datetime
from tests.scenarios.conftest import EMSP, Answer, World, cdr, session
from tests.support import objects
from tests.support.party import Scripted

SESSION = "/receiver/sessions/NL/CPO/S1"
ENVELOPE = {"data", "status_code", "status_message", "timestamp"}


def check_envelope(answer: Answer) -> None:
    assert answer.headers["content-type"] == "application/json"
    document = answer.document
    assert set(document) <= ENVELOPE
    assert type(document["status_code"]) is int
    assert isinstance(document["status_message"], str)
    assert document["timestamp"].endswith("Z")
    assert len(document["timestamp"]) <= 25
    age = datetime.now(UTC) - parse_datetime(document["timestamp"])
    assert timedelta(seconds=-1) < age < timedelta(seconds=10)


@pytest.mark.rule("X-59", "X-60", "Y-08", "G-04")
async def test_every_answer_of_the_hub_is_an_envelope_of_this_moment(world: World) -> None:
    for method, path in (
        ("GET", ""),
        ("GET", "/credentials"),
        ("GET", "/sender/hubclientinfo"),
        ("PUT", "/sender/hubclientinfo"),
        ("GET", "/nothing"),
        ("POST", "/credentials"),
        ("PUT", SESSION),
        ("GET", "/receiver/cdrs/unknown"),
    ):
        body = b"{}" if method != "GET" else b""
        check_envelope(await world.call(world.cpo, method, path, body, to=PartyId("XX", "XXX")))


@pytest.mark.rule("X-61", "X-43", "X-62", "X-64")
async def test_data_is_an_array_for_lists_an_object_for_one_and_left_out_where_nothing_is_defined(
    world: World,
) -> None:
    listed = await world.call(world.cpo, "GET", "/sender/hubclientinfo")
    assert isinstance(listed.data, list)
    assert len(listed.data) == 1
    nothing = await world.call(world.cpo, "GET", "/sender/hubclientinfo?date_to=2001-01-01T00:00:00Z")
    assert nothing.data == []
    assert isinstance((await world.call(world.cpo, "GET", "/credentials")).data, dict)
    assert "data" not in (await world.call(world.cpo, "DELETE", "/credentials")).document


@pytest.mark.rule("X-61", "S-06", "S-26", "R-91")
async def test_data_of_charging_preferences_is_a_string(world: World) -> None:
    world.cpo.script("PUT", "sessions", Scripted(data="NOT_POSSIBLE"))
    path = "/sender/sessions/S1/charging_preferences"
    answer = await world.call(world.emsp, "PUT", path, objects.charging_preferences(), to=world.cpo.id)
    assert answer.data == "NOT_POSSIBLE"
    [seen] = world.cpo.received("PUT", "sessions")
    assert seen.raw_path == "/ocpi/2.2.1/sender/sessions/S1/charging_preferences"


@pytest.mark.rule("X-65", "X-66", "X-67", "X-68", "X-70", "X-72", "X-75", "G-70")
@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "http_status"),
    [
        ("PUT", SESSION, b"{", {}, 400),
        ("PUT", SESSION, b"\xff\xfe", {}, 400),
        ("PUT", SESSION, b'{"kwh": NaN}', {}, 400),
        ("PUT", SESSION, b'{"kwh": Infinity}', {}, 400),
        ("PUT", SESSION, b'{"id": "S1", "id": "S2"}', {}, 400),
        ("PUT", SESSION, b"[" * 100 + b"]" * 100, {}, 400),
        ("PUT", SESSION, b'{"a": "\\u0000"}', {}, 400),
        ("GET", SESSION, b"", {"Authorization": "Token x"}, 401),
        ("GET", "/sender/bananas", b"", {}, 404),
        ("GET", "/../secrets", b"", {}, 404),
        ("POST", SESSION, b"{}", {}, 405),
        ("DELETE", SESSION, b"", {}, 405),
        ("OPTIONS", SESSION, b"", {}, 405),
        ("PUT", SESSION, b" " * 1048577, {}, 413),
        ("GET", "/sender/locations/" + "x" * 2100, b"", {}, 414),
        ("PUT", SESSION, b"{}", {"Content-Type": "text/xml"}, 415),
    ],
)
async def test_an_error_of_http_is_told_in_an_envelope_too(
    world: World, method: str, path: str, body: bytes, headers: dict[str, str], http_status: int
) -> None:
    answer = await world.call(world.cpo, method, path, body, to=EMSP, headers=headers)
    assert answer.http_status == http_status
    assert 2000 <= answer.status_code < 3000
    assert answer.message
    check_envelope(answer)
    assert world.emsp.received("PUT") == []


@pytest.mark.rule("X-69", "R-21", "R-24", "R-07")
async def test_a_refusal_of_a_valid_request_is_an_ocpi_code_in_http_200(world: World) -> None:
    unknown = await world.call(world.cpo, "PUT", SESSION, session(), to=PartyId("XX", "XXX"))
    assert (unknown.http_status, unknown.status_code) == (200, 4001)
    foreign = await world.call(world.cpo, "PUT", "/receiver/sessions/NL/XYZ/S1", session(), to=EMSP)
    assert (foreign.http_status, foreign.status_code) == (200, 2001)
    other_id = await world.call(world.cpo, "PUT", "/receiver/sessions/NL/CPO/S2", session(), to=EMSP)
    assert (other_id.http_status, other_id.status_code) == (200, 2001)
    half = await world.call(world.cpo, "PUT", SESSION, session(), headers={"OCPI-to-party-id": "MSP"})
    assert (half.http_status, half.status_code) == (200, 2001)


def every_error(kind: type[OcpiError] = OcpiError) -> list[type[OcpiError]]:
    return [kind, *(each for below in kind.__subclasses__() for each in every_error(below))]


@pytest.mark.rule("X-77", "X-78", "X-79", "X-80", "X-83")
def test_the_hub_knows_the_codes_of_the_specification_and_no_others() -> None:
    codes = {each.status_code for each in every_error() if each is not OcpiError}
    assert codes == {2000, 2001, 2002, 2003, 2004, 3000, 3001, 3002, 3003, 4000, 4001, 4002, 4003}
    by_name = {each.__name__: each.status_code for each in every_error()}
    expected = {
        "ClientError": 2000,
        "InvalidParameters": 2001,
        "NotEnoughInformation": 2002,
        "UnknownLocation": 2003,
        "UnknownToken": 2004,
        "ServerError": 3000,
        "ClientApiUnusable": 3001,
        "UnsupportedVersion": 3002,
        "NoMatchingEndpoints": 3003,
        "HubError": 4000,
        "UnknownReceiver": 4001,
        "RequestTimedOut": 4002,
        "ConnectionProblem": 4003,
    }
    assert {name: by_name.get(name) for name in expected} == expected


@pytest.mark.rule("X-84", "X-77", "X-81", "D-19")
@pytest.mark.parametrize(
    ("code", "delivered"), [(1001, True), (1950, True), (2042, False), (2950, False), (3950, False), (4950, False)]
)
async def test_a_code_nobody_knows_counts_by_its_thousand_and_passes_unchanged(
    world: World, code: int, delivered: bool
) -> None:
    world.emsp.script("POST", "cdrs", Scripted(status_code=code, headers={names.LOCATION: f"{world.emsp.url}/cdr/1"}))
    first = await world.call(world.cpo, "POST", "/receiver/cdrs", cdr(), to=EMSP)
    assert first.status_code == code
    again = await world.call(world.cpo, "POST", "/receiver/cdrs", cdr(), to=EMSP)
    assert len(world.emsp.received("POST", "cdrs")) == (1 if delivered else 2)
    assert (again.status_code < 2000) is delivered


@pytest.mark.rule("X-101", "X-102", "G-11", "G-13", "G-71", "G-72", "X-100")
@pytest.mark.parametrize(
    ("path", "arrives"),
    [
        ("/sender/tokens/authorize/authorize", "/sender/tokens/authorize/authorize"),
        ("/sender/tokens/a%2Fb/authorize", "/sender/tokens/a%2Fb/authorize"),
        ("/sender/tokens/a%2Fauthorize/authorize/", "/sender/tokens/a%2Fauthorize/authorize"),
        ("/sender/tokens/%23%2A%20%2B/authorize/", "/sender/tokens/%23%2A%20%2B/authorize"),
    ],
)
async def test_odd_ids_and_a_slash_at_the_end_go_through_without_a_redirect(
    world: World, path: str, arrives: str
) -> None:
    answer = await world.call(world.cpo, "POST", path, to=EMSP)
    assert (answer.http_status, answer.status_code) == (200, 1000)
    [seen] = world.emsp.received("POST", "tokens")
    assert seen.raw_path == "/ocpi/2.2.1" + arrives


@pytest.mark.rule("G-28", "G-59", "K-33", "X-73", "R-20")
@pytest.mark.parametrize("http_status", [200, 404])
async def test_an_unknown_token_comes_back_in_either_http_status(world: World, http_status: int) -> None:
    world.emsp.script("POST", "tokens", Scripted(http_status=http_status, status_code=2004))
    answer = await world.call(world.cpo, "POST", "/sender/tokens/T1/authorize", to=EMSP)
    assert (answer.http_status, answer.status_code) == (http_status, 2004)
    assert "data" not in answer.document


@pytest.mark.rule("G-60", "M-24", "R-19")
async def test_data_beside_an_error_comes_through(world: World) -> None:
    data = {"result": "REJECTED", "timeout": 0}
    world.cpo.script("POST", "commands", Scripted(status_code=2003, data=data))
    command = objects.unlock_connector(response_url=f"{world.emsp.url}/results/1")
    answer = await world.call(world.emsp, "POST", "/receiver/commands/UNLOCK_CONNECTOR", command, to=world.cpo.id)
    assert (answer.status_code, answer.data) == (2003, data)
    assert json.decode(answer.body)["status_message"] == "scripted"
