"""transport_and_format, Authorization header; seen from a partner's socket."""

import base64

import pytest

from ocpi_modules.registry import MODULES
from ocpi_modules.spec import Kind
from tests.scenarios.conftest import EMSP, World

SENDER_LISTS = ["locations", "sessions", "cdrs", "tariffs", "tokens"]


def encoded(token: str) -> str:
    return base64.b64encode(token.encode()).decode()


def every_path() -> list[tuple[str, str]]:
    """One request for each endpoint of the tables."""
    found = []
    for spec in MODULES.values():
        for endpoint in spec.endpoints:
            side = (
                ""
                if spec.kind is Kind.CONFIGURATION and spec.id != "hubclientinfo"
                else f"{endpoint.interface.lower()}/"
            )
            path = "".join("/X" if part.startswith("{") else f"/{part}" for part in endpoint.segments)
            if spec.id == "versions":
                found.append((endpoint.method, "/ocpi/versions" if "versions" in endpoint.path else "/ocpi/2.2.1"))
            else:
                found.append((endpoint.method, f"/ocpi/2.2.1/{side}{spec.id}{path}"))
    return found


@pytest.mark.rule("X-02", "X-11", "X-67", "X-72", "E-09")
async def test_every_endpoint_asks_for_the_header_and_answers_401_in_an_envelope(world: World) -> None:
    for method, path in every_path():
        for header in ({}, {"Authorization": "Token " + encoded("nobody's")}, {"Authorization": "Basic abc"}):
            answer = await world.raw(method, path, {"X-Request-ID": "r-1", "X-Correlation-ID": "c-1", **header})
            assert answer.http_status == 401, (method, path)
            assert answer.status_code == 2000
            assert answer.headers["content-type"] == "application/json"
            assert (answer.headers["x-request-id"], answer.headers["x-correlation-id"]) == ("r-1", "c-1")


@pytest.mark.rule("X-03", "X-04", "X-06", "X-08", "X-14", "G-01", "G-03")
async def test_the_token_is_taken_encoded_or_raw_with_the_line_feed_of_the_samples_and_any_case_of_the_word(
    world: World,
) -> None:
    token = world.cpo.hub_token
    for value in (
        f"Token {encoded(token)}",
        f"token {encoded(token)}",
        f"TOKEN {encoded(token)}",
        f"Token {encoded(token + chr(10))}",
        f"Token {token}",
    ):
        answer = await world.raw("GET", "/ocpi/versions", {"Authorization": value})
        assert (answer.http_status, answer.status_code) == (200, 1000), value
    urlsafe = encoded(token).rstrip("=")
    for value in (f"Token{encoded(token)}", f"Bearer {encoded(token)}", f"Token {encoded(token)}x", "Token ", urlsafe):
        answer = await world.raw("GET", "/ocpi/versions", {"Authorization": value})
        assert answer.http_status == 401, value


@pytest.mark.rule("X-03", "X-04", "X-05", "X-09", "R-15")
async def test_the_hub_sends_the_word_one_space_and_the_base64_of_the_raw_token_it_was_given(world: World) -> None:
    await world.call(world.cpo, "PUT", "/receiver/sessions/NL/CPO/S1", {"id": "S1"}, to=EMSP)
    [seen] = world.emsp.received("PUT", "sessions")
    word, space, sent = seen.headers["authorization"].partition(" ")
    assert (word, space) == ("Token", " ")
    assert base64.b64decode(sent, validate=True) == world.emsp.our_tokens[0].encode()


@pytest.mark.rule("X-10", "R-07")
async def test_a_token_is_one_platform_and_speaks_for_its_parties_only(world: World) -> None:
    assert world.cpo.hub_token != world.emsp.hub_token
    foreign = {"OCPI-from-country-code": "DE", "OCPI-from-party-id": "MSP"}
    answer = await world.call(world.cpo, "GET", "/sender/tokens", to=EMSP, headers=foreign)
    assert answer.status_code == 2001
    assert world.emsp.received("GET", "tokens") == []


@pytest.mark.rule("X-12", "X-72", "G-02")
async def test_token_a_opens_versions_and_credentials_and_nothing_else(world: World) -> None:
    token_a = await world.invite(("CPO", "NL/NEW"))
    for value in (encoded(token_a), token_a):
        header = {"Authorization": f"Token {value}"}
        for path in ("/ocpi/versions", "/ocpi/2.2.1", "/ocpi/2.2.1/credentials"):
            assert (await world.raw("GET", path, header)).http_status == 200
        for module in (*(f"sender/{name}" for name in SENDER_LISTS), "sender/hubclientinfo"):
            answer = await world.raw("GET", f"/ocpi/2.2.1/{module}", header)
            assert (answer.http_status, answer.status_code) == (401, 2000), module


@pytest.mark.rule("X-15", "X-16")
async def test_what_the_hub_sends_says_json_where_there_is_a_body_and_nothing_where_there_is_none(world: World) -> None:
    await world.call(world.cpo, "PUT", "/receiver/sessions/NL/CPO/S1", {"id": "S1"}, to=EMSP)
    await world.call(world.cpo, "GET", "/sender/tokens", to=EMSP)
    [put], [get] = world.emsp.received("PUT", "sessions"), world.emsp.received("GET", "tokens")
    assert put.headers["content-type"] == "application/json"
    assert "content-type" not in get.headers
    bare = {"Authorization": f"Token {encoded(world.cpo.hub_token)}"}
    for method, path in (("GET", "/ocpi/2.2.1/credentials"), ("DELETE", "/ocpi/2.2.1/credentials")):
        assert (await world.raw(method, path, bare)).http_status == 200


@pytest.mark.rule("X-22")
async def test_header_names_are_read_in_any_case(world: World) -> None:
    answer = await world.raw(
        "GET",
        "/ocpi/versions",
        {"aUTHORIZATION": f"Token {encoded(world.cpo.hub_token)}", "X-REQUEST-id": "r-9", "x-CORRELATION-id": "c-9"},
    )
    assert answer.http_status == 200
    assert (answer.headers["x-request-id"], answer.headers["x-correlation-id"]) == ("r-9", "c-9")
