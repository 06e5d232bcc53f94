"""transport_and_format, Unique message IDs, over two hops."""

from uuid import UUID

import pytest

from tests.scenarios.conftest import EMSP, World
from tests.support import objects
from tests.support.party import Scripted

SESSION = "/receiver/sessions/NL/CPO/S1"


@pytest.mark.rule("X-85", "X-86", "X-92")
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("GET", "/credentials"),
        ("GET", "/sender/hubclientinfo"),
        ("GET", "/nowhere"),
        ("POST", "/receiver/sessions/NL/CPO/S1"),
        ("PUT", "/receiver/sessions/XX/XXX/S1"),
        ("PUT", SESSION),
    ],
)
async def test_every_answer_repeats_both_ids(world: World, method: str, path: str) -> None:
    body = b"{}" if method != "GET" else b""
    ids = {"X-Request-ID": "my-request", "X-Correlation-ID": "my-correlation"}
    answer = await world.call(world.cpo, method, path, body, to=EMSP, headers=ids)
    assert (answer.headers["x-request-id"], answer.headers["x-correlation-id"]) == ("my-request", "my-correlation")


@pytest.mark.rule("X-87", "X-88", "X-89", "X-90", "G-22")
async def test_a_forward_has_an_id_of_its_own_and_the_answer_has_the_askers(world: World) -> None:
    world.emsp.script("PUT", "sessions", Scripted(headers={"X-Extra": "1"}))
    for number in ("1", "2"):
        ids = {"X-Request-ID": f"mine-{number}", "X-Correlation-ID": "together"}
        answer = await world.call(world.cpo, "PUT", SESSION, {"id": "S1"}, to=EMSP, headers=ids)
        assert (answer.headers["x-request-id"], answer.headers["x-correlation-id"]) == (f"mine-{number}", "together")
    forwarded = [seen.headers["x-request-id"] for seen in world.emsp.received("PUT", "sessions")]
    assert [str(UUID(id_)) for id_ in forwarded] == forwarded
    assert len(set(forwarded)) == 2
    assert {seen.headers["x-correlation-id"] for seen in world.emsp.received("PUT", "sessions")} == {"together"}


@pytest.mark.rule("X-87", "X-93", "U-42")
async def test_missing_ids_are_made_up_told_and_passed_on(world: World) -> None:
    path = "/ocpi/2.2.1" + SESSION
    headers = {
        "Authorization": f"Token {world.cpo.hub_token}",
        "Content-Type": "application/json",
        "OCPI-to-country-code": "DE",
        "OCPI-to-party-id": "MSP",
    }
    answer = await world.raw("PUT", path, headers, b'{"id":"S1"}')
    assert (answer.http_status, answer.status_code) == (201, 1000)
    UUID(answer.headers["x-request-id"])
    [seen] = world.emsp.received("PUT", "sessions")
    assert seen.headers["x-correlation-id"] == answer.headers["x-correlation-id"]
    assert UUID(seen.headers["x-correlation-id"])


@pytest.mark.rule("X-94", "U-41", "M-29", "R-77")
async def test_a_result_is_a_request_of_its_own_that_keeps_the_correlation_it_came_with(world: World) -> None:
    command = objects.unlock_connector(response_url=f"{world.emsp.url}/ocpi/2.2.1/sender/commands/UNLOCK_CONNECTOR/9")
    ids = {"X-Request-ID": "command", "X-Correlation-ID": "whole-story"}
    await world.call(world.emsp, "POST", "/receiver/commands/UNLOCK_CONNECTOR", command, to=world.cpo.id, headers=ids)
    [seen] = world.cpo.received("POST", "commands")
    assert seen.headers["x-correlation-id"] == "whole-story"
    ticket = seen.document["response_url"].removeprefix(world.url + "/ocpi/2.2.1")
    ids = {"X-Request-ID": "result", "X-Correlation-ID": "whole-story"}
    answer = await world.call(world.cpo, "POST", ticket, objects.command_result(), headers=ids)
    assert answer.headers["x-request-id"] == "result"
    [result] = world.emsp.received("POST", "commands")
    assert result.headers["x-request-id"] not in ("result", "command", seen.headers["x-request-id"])
    assert result.headers["x-correlation-id"] == "whole-story"
    assert (result.to, result.sender) == (EMSP, world.cpo.id)
