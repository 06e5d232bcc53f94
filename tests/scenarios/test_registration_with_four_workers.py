"""Credentials with a hub of four processes, a new connection for each request: every step may land on any of them.

Registration in both directions, then two hundred requests at once: a fresh token is known everywhere, and its predecessor dead.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ocpi_modules import envelope, headers, json
from ocpi_modules.http.connection import IncomingAnswer
from ocpi_modules.http.paths import details_url
from tests.support.hub_process import HubProcess
from tests.support.party import Party
from tests.support.postgres import FreshDatabase
from tests.support.raw_http import connected

CPO, EMSP = ("CPO", "NL/ABC"), ("EMSP", "DE/XYZ")
REQUESTS = 200


@pytest.fixture
async def hub(hub_database: FreshDatabase, tmp_path: Path) -> AsyncIterator[HubProcess]:
    hub = HubProcess(tmp_path, hub_database.app_dsn, hub_database.owner_dsn)
    with hub.serving("--workers", "4"):
        yield hub


async def call_anew(hub: HubProcess, method: str, path: str, token: str, body: bytes = b"") -> tuple[int, bytes]:
    """One request on a connection of its own: HTTP status and body."""
    head = f"{method} {path} HTTP/1.1\r\nHost: hub\r\nConnection: close\r\nAuthorization: {headers.authorization(token)}\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    async with connected(hub.port) as connection:
        await connection.send(head.encode() + b"\r\n" + body)
        status, _, answer = await connection.answer(20)
        return status, answer


async def statuses(hub: HubProcess, token: str, count: int = REQUESTS) -> list[int]:
    paths = ["/ocpi/versions", "/ocpi/2.2.1", "/ocpi/2.2.1/sender/hubclientinfo", "/ocpi/2.2.1/credentials"]
    calls = [call_anew(hub, "GET", paths[number % len(paths)], token) for number in range(count)]
    return [status for status, _ in await asyncio.gather(*calls)]


async def register_anew(hub: HubProcess, party: Party, token_a: str) -> str:
    """Every step of a Sender on a new connection; the token the hub gave."""
    for path in ("/ocpi/versions", "/ocpi/2.2.1"):
        assert (await call_anew(hub, "GET", path, token_a))[0] == 200
    party.our_tokens.insert(0, f"partyC_{party.id.party_id}")
    body = json.encode(party.credentials(party.our_tokens[0]))
    status, answer = await call_anew(hub, "POST", "/ocpi/2.2.1/credentials", token_a, body)
    content = envelope.read(answer)
    assert content is not None
    assert (status, content.status_code) == (200, 1000), answer
    return str(content.data["token"])


@pytest.mark.rule("C-03", "C-06", "F-50")
async def test_a_partner_registers_with_any_of_four_processes(hub: HubProcess) -> None:
    invitations = [hub.invite("CPO:NL/ABC"), hub.invite("EMSP:DE/XYZ")]
    async with Party.running(CPO) as cpo, Party.running(EMSP) as emsp:
        tokens = [await register_anew(hub, party, token) for party, token in zip((cpo, emsp), invitations, strict=True)]
        for token in tokens:
            assert await statuses(hub, token) == [200] * REQUESTS
        await _dead_everywhere(hub, invitations[0])


async def test_the_hub_registers_with_a_partner_and_every_process_knows(hub: HubProcess) -> None:
    async with Party.running(CPO) as party:
        token_a = party.issue_token_a()
        command = ["connect", "--versions-url", party.versions_url, "--party", "CPO:NL/ABC", "--token-a-stdin"]
        await asyncio.to_thread(hub.json, *command, given=token_a + "\n")
        posted = party.received("POST", "credentials")
        assert len(posted) == 1
        token = posted[0].document["token"]
        assert posted[0].document["url"] == hub.versions_url
        assert await statuses(hub, token) == [200] * REQUESTS
        shown = await asyncio.to_thread(hub.json, "platform", "list")
        assert [(row["state"], row["parties"]) for row in shown] == [("REGISTERED", ["CPO:NL/ABC"])]


async def test_a_rotated_token_is_known_everywhere_and_the_old_one_dies_everywhere(hub: HubProcess) -> None:
    async with Party.running(CPO) as party:
        first = await register_anew(hub, party, hub.invite("CPO:NL/ABC"))
        party.hub_token = first
        party.hub_endpoints = {("credentials", "SENDER"): f"{details_url(hub.url)}/credentials"}
        assert await statuses(hub, first, 20) == [200] * 20
        answer: IncomingAnswer = await party.update()
        assert answer.http_status == 200
        assert party.hub_token != first
        assert await statuses(hub, party.hub_token) == [200] * REQUESTS
        await _dead_everywhere(hub, first)


async def test_the_processes_share_the_connections(hub: HubProcess) -> None:
    """The kernel spreads new connections over the sockets of all workers: each worker's CPU time grows."""
    token = hub.invite("CPO:NL/ABC")
    before = {pid: _cpu_ticks(pid) for pid in hub.workers()}
    assert len(before) == 4
    for _ in range(3):
        assert set(await asyncio.gather(*(_status(hub, token) for _ in range(REQUESTS)))) == {200}
    assert all(_cpu_ticks(pid) > ticks for pid, ticks in before.items())


async def _status(hub: HubProcess, token: str) -> int:
    return (await call_anew(hub, "GET", "/ocpi/versions", token))[0]


def _cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


async def _dead_everywhere(hub: HubProcess, token: str) -> None:
    """A revoked token dies on every process within a second or so."""
    async with asyncio.timeout(5):
        while set(await statuses(hub, token, 40)) != {401}:
            await asyncio.sleep(0.1)
