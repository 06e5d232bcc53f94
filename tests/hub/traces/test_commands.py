"""`ocpi-hub trace` on the traces of messages that were really routed."""

import asyncio
import urllib.request
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ocpi_modules import json
from ocpi_modules.headers import authorization
from ocpi_modules.message import PartyId
from tests.hub.network import EMSP, Network, network
from tests.support import objects
from tests.support.hub_process import HubProcess
from tests.support.postgres import FreshDatabase

UID = "UID4711"


@pytest.fixture
async def net(hub_database: FreshDatabase) -> AsyncIterator[Network]:
    async with network(hub_database) as built:
        yield built


@pytest.fixture
def hub(hub_database: FreshDatabase, tmp_path: Path) -> HubProcess:
    return HubProcess(tmp_path, hub_database.app_dsn, hub_database.owner_dsn)


async def route(net: Network) -> None:
    """A session that arrives, one for nobody, a token that is shown and one that is asked about."""
    net.time[0] = datetime.now(UTC)
    session = json.encode(objects.session(country_code="NL", party_id="CPO", id="s1"))
    numbered = ({"X-Correlation-ID": f"corr-{number}"} for number in range(1, 9))
    await net.call(net.cpo, "PUT", "/receiver/sessions/NL/CPO/s1", b"{}", to=EMSP, headers=next(numbered))
    await net.call(
        net.cpo, "PUT", "/receiver/sessions/NL/CPO/s1", session, to=PartyId("FR", "X"), headers=next(numbered)
    )
    await net.call(net.emsp, "GET", f"/receiver/tokens/DE/MSP/{UID}", to=net.cpo.party, headers=next(numbered))
    await net.call(net.cpo, "POST", f"/sender/tokens/{UID.lower()}/authorize", to=EMSP, headers=next(numbered))
    await net.writer.flush()


async def told(hub: HubProcess, *arguments: str) -> Any:
    return await asyncio.to_thread(hub.json, "trace", *arguments)


async def ids(hub: HubProcess, *arguments: str) -> list[str]:
    return [row["correlation_id"].removeprefix("corr-") for row in await told(hub, "list", *arguments)]


@pytest.mark.rule("R-84")
@pytest.mark.promise("U-06")
async def test_messages_are_found_by_what_is_known_of_them(net: Network, hub: HubProcess) -> None:
    await route(net)
    assert await ids(hub) == ["4", "3", "2", "1"]
    assert await ids(hub, "--limit", "2") == ["4", "3"]
    assert await ids(hub, "--party", "de/msp") == ["4", "3", "1"]
    assert await ids(hub, "--module", "sessions") == ["2", "1"]
    assert await ids(hub, "--object", "S1") == ["2", "1"]
    assert await ids(hub, "--object", UID) == ["4", "3"]
    assert await ids(hub, "--failed") == ["2"]
    assert await ids(hub, "--party", "NL/CPO", "--failed", "--since", "1h") == ["2"]
    assert await ids(hub, "--correlation-id", "corr-3") == ["3"]
    await net.rows("SELECT ensure_trace_partition(now() - interval '2 hours')")
    assert await ids(hub, "--object", "S2") == []


@pytest.mark.promise("U-06")
async def test_both_legs_are_shown_side_by_side(net: Network, hub: HubProcess) -> None:
    await route(net)
    (shown,) = await told(hub, "show", "corr-1")
    seen = net.emsp.seen[0]
    assert shown["in"]["request_id"] == "req-1"
    assert shown["out"]["request_id"] == seen.headers["x-request-id"]
    assert (shown["in"]["status_code"], shown["out"]["status_code"]) == (1000, 1000)
    text = (await asyncio.to_thread(hub.run, "trace", "show", "corr-1")).stdout.splitlines()
    row = next(line.split() for line in text if line.strip().startswith("request id"))
    assert row == ["request", "id", "req-1", seen.headers["x-request-id"]]
    listed = await asyncio.to_thread(hub.run, "trace", "list", "--object", UID)
    assert listed.stdout.count("DE*MSP") == 2
    assert UID not in listed.stdout
    nobody = await asyncio.to_thread(hub.run, "trace", "list", "--party", "FR/ABC")
    assert (nobody.returncode, nobody.stdout) == (1, "")
    nothing = await asyncio.to_thread(hub.run, "trace", "list", "--object", "none")
    assert (nothing.returncode, nothing.stdout.count("\n")) == (0, 1)
    assert nothing.stdout.startswith("No trace of such a message is kept")


def test_a_served_hub_writes_what_it_has_before_it_ends(hub: HubProcess) -> None:
    token = hub.invite("CPO:NL/ABC")
    asked = urllib.request.Request(hub.versions_url, headers={"Authorization": authorization(token)})
    with hub.serving(), urllib.request.urlopen(asked, timeout=10) as answer:
        assert answer.status == 200
    (row,) = hub.json("trace", "list", "--module", "versions")
    assert (row["route"], row["in"]["status_code"], row["out"]) == ("OwnModule", 1000, None)
    assert hub.json("trace", "list", "--failed") == []
