"""The door out, to one receiver that keeps every byte."""

import asyncio
from dataclasses import replace
from uuid import uuid4

import pytest
from pydantic import SecretStr

from hub.delivery.outcome import Delivered, NotSent
from hub.delivery.send import Deadlines, DoorOut, RoutedMessage
from hub.parties.platforms import Connection, Platform, PlatformState
from hub.parties.switches import Switches
from ocpi_modules.http.client import OcpiClient
from ocpi_modules.message import PartyId
from ocpi_modules.spec import InterfaceRole, Method, ModuleID
from tests.support.raw_http import RawConnection, raw_server

HUB, EMSP = PartyId("DE", "HUB"), PartyId("DE", "MSP")
ANSWER = b'HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{"status_code":1000}'


def platform_at(port: int, token: str = "t", switches: Switches | None = None) -> Platform:
    return Platform(
        uuid4(),
        "eMSP",
        PlatformState.REGISTERED,
        endpoints={(ModuleID.locations, InterfaceRole.RECEIVER): f"http://127.0.0.1:{port}/ocpi/locations"},
        token=SecretStr(token),
        switches=switches or Switches(),
        connection=Connection.CONNECTED,
    )


def a_push(**fields: str) -> RoutedMessage:
    given = {"path": "/NL/CPO/L1", "query": "", "correlation_id": "c", "request_id": "r"} | fields
    return RoutedMessage(Method.PUT, ModuleID.locations, InterfaceRole.RECEIVER, EMSP, HUB, body=b"{ }", **given)  # type: ignore[arg-type]


async def arrived(message: RoutedMessage, *variants: tuple[str, Switches]) -> list[str]:
    """What one client sends to a platform that is registered anew with each (token, switches)."""
    seen: list[str] = []

    async def keep(connection: RawConnection) -> None:
        while True:
            seen.append((await connection.reader.readuntil(b"{ }")).decode())
            await connection.send(ANSWER)

    async with raw_server(keep) as port, OcpiClient(allow_insecure=True) as client:
        door, platform = DoorOut(client), platform_at(port)
        for token, switches in variants:
            platform = replace(platform, token=SecretStr(token), switches=switches)
            assert isinstance(await door.send(message, platform, push=True), Delivered)
    return [text.replace(f":{port}", ":1") for text in seen]


@pytest.mark.rule("R-17", "X-88", "X-89", "X-100")
async def test_a_push_leaves_with_these_bytes() -> None:
    (sent,) = await arrived(a_push(path="/NL/CPO/L%31", query="a=%2b"), ("t", Switches()))
    assert sent == (
        "PUT /ocpi/locations/NL/CPO/L%31?a=%2b HTTP/1.1\r\nHost: 127.0.0.1:1\r\nUser-Agent: ocpi\r\n"
        "Accept: application/json\r\nAccept-Encoding: identity\r\nAuthorization: Token dA==\r\n"
        "X-Request-ID: r\r\nX-Correlation-ID: c\r\n"
        "OCPI-to-country-code: DE\r\nOCPI-to-party-id: MSP\r\nOCPI-from-country-code: DE\r\nOCPI-from-party-id: HUB\r\n"
        "Content-Type: application/json\r\nContent-Length: 3\r\n\r\n{ }"
    )


@pytest.mark.rule("R-15")
async def test_a_platform_that_registers_anew_is_sent_its_new_token_at_once() -> None:
    first, second = await arrived(a_push(), ("old", Switches()), ("new", Switches()))
    assert ("Token b2xk" in first, "Token bmV3" in second) == (True, True)


async def test_a_platform_that_is_switched_is_written_to_as_it_wants_at_once() -> None:
    switched = Switches(omit_routing_headers=True)
    slashed = Switches(trailing_slash="always")
    usual, bare, ending = await arrived(a_push(), ("t", Switches()), ("t", switched), ("t", slashed))
    assert bare == "".join(line for line in usual.splitlines(keepends=True) if not line.startswith("OCPI-"))
    assert ending == usual.replace("/L1 HTTP", "/L1/ HTTP")


@pytest.mark.promise("Q-10")
@pytest.mark.parametrize("slashes", ["as_listed", "always"])
async def test_pushes_that_hang_hold_up_no_direct_message_and_no_other_platform_of_the_host(slashes: str) -> None:
    async def hang_for_the_first(connection: RawConnection) -> None:
        while b"/slow/" not in await connection.reader.readuntil(b"{ }"):
            await connection.send(ANSWER)
        await asyncio.sleep(60)

    switches = Switches(trailing_slash=slashes)
    async with raw_server(hang_for_the_first) as port, OcpiClient(allow_insecure=True, connections=2) as client:
        door = DoorOut(client, deadlines=Deadlines(direct=5, push=60))
        slow, other = platform_at(port, switches=switches), platform_at(port, switches=switches)
        held = [asyncio.create_task(door.send(a_push(path="/slow/1"), slow, push=True)) for _ in range(3)]
        await asyncio.sleep(0)
        assert isinstance(await door.send(a_push(path="/quick/1"), slow), Delivered)
        for push in (True, False):
            assert isinstance(await door.send(a_push(path="/quick/1"), other, push=push), Delivered)
        held += [asyncio.create_task(door.send(a_push(path="/slow/1"), slow)) for _ in range(3)]
        await asyncio.sleep(0)
        for push in (True, False):
            assert isinstance(await door.send(a_push(path="/quick/1"), other, push=push), Delivered)
        for task in held:
            task.cancel()
        await asyncio.gather(*held, return_exceptions=True)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"path": "/a\r\nX: y"}, "The URL holds a character that must be percent-encoded."),
        ({"path": "/a b"}, "The URL holds a character that must be percent-encoded."),
        ({"query": "\u00e4"}, "The URL holds a character that must be percent-encoded."),
        ({"path": f"/{'a' * 2000}"}, "The URL is longer than 2000 characters."),
        ({"correlation_id": "c\r\nX: y"}, "The header X-Correlation-ID holds characters no header may hold."),
        ({"request_id": "\u20ac"}, "The header X-Request-ID holds characters no header may hold."),
    ],
)
async def test_what_would_break_a_request_is_not_sent(fields: dict[str, str], reason: str) -> None:
    async with OcpiClient(allow_insecure=True) as client:
        assert await DoorOut(client).send(a_push(**fields), platform_at(2024)) == NotSent(reason)


async def test_an_endpoint_without_tls_is_not_called() -> None:
    async with OcpiClient() as client:
        assert await DoorOut(client).send(a_push(), platform_at(2024)) == NotSent("The URL must begin with https://.")
