"""Each switch of the table changes what a platform sees: it is set as an operator types it, and looked at from outside."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from hub.command_line import arguments
from hub.delivery.send import Deadlines, DoorOut, RoutedMessage
from hub.parties import repository
from hub.parties.switches import TABLE, Switches, named
from hub.pulls.schedule import forbidden
from ocpi_modules import json
from ocpi_modules.http import failures
from ocpi_modules.http.client import OutgoingRequest
from ocpi_modules.http.connection import IncomingAnswer
from ocpi_modules.spec import InterfaceRole, Method, ModuleID
from tests.hub.delivery.world import LOCATIONS, World, location, pushed, until, world
from tests.hub.network import EMSP, HUB, Seen
from tests.scenarios.conftest import session
from tests.support.postgres import FreshDatabase

DEADLINES = Deadlines(direct=0.3, authorize=0.2, push=0.1)
Probe = Callable[[World], Awaitable[Any]]


async def token_sent(here: World) -> str:
    return (await list_tokens(here)).headers["authorization"]


async def routing_sent(here: World) -> tuple[str, str]:
    return (await list_tokens(here)).routing


async def page_asked(here: World) -> tuple[str, str]:
    """The limit of a list that is asked of it, and the bound of a list the hub serves it."""
    asked = (await list_tokens(here, "?offset=3&limit=70")).target.partition("?")[2]
    served = await here.net.call(here.net.emsp, "GET", "/sender/locations", to=HUB)
    return asked, served.headers["x-limit"]


async def url_asked(here: World) -> str:
    return (await list_tokens(here)).target


async def list_tokens(here: World, query: str = "") -> Seen:
    """A list the CPO asks the eMSP for, as it arrived there."""
    await here.net.call(here.net.cpo, "GET", f"/sender/tokens{query}", to=EMSP)
    return here.net.emsp.seen[-1]


async def name_pushed(here: World) -> Any:
    """An optional field of a Location that has none, as the eMSP got it in a delivery."""
    body = json.decode(location())
    del body["parking_type"]
    async with here.delivering():
        await here.net.call(here.net.cpo, "PUT", f"{LOCATIONS}/L1", json.encode(body))
        await until(lambda: pushed(here.net.emsp))
    return json.decode(pushed(here.net.emsp)[-1].body).get("parking_type", "left out")


async def change_pushed(here: World) -> str:
    """How a change of a Location arrives."""
    async with here.delivering():
        await here.put()
        await until(lambda: pushed(here.net.emsp))
        await here.patch("L1", name="New", last_updated="2026-03-01T12:20:00Z")
        await until(lambda: len(pushed(here.net.emsp)) == 2)
    return pushed(here.net.emsp)[-1].method


async def pushed_at_once(here: World) -> int:
    """Of three Locations, how many it has when another receiver has all."""
    other = await here.join("OTH")
    async with here.delivering():
        await until(lambda: {EMSP, other.party} <= set(here.net.delivery.destinations))
        for number in range(3):
            await here.put(f"L{number}")
        await until(lambda: len(pushed(other)) == 3 and pushed(here.net.emsp))
        held = here.net.delivery.destinations[EMSP]
        await until(lambda: not held.in_flight and (not held.pending or len(pushed(here.net.emsp)) == 1))
        return len(pushed(here.net.emsp))


async def odd_session(here: World) -> int:
    body = json.encode(session(kwh="many"))
    return (await here.net.call(here.net.cpo, "PUT", "/receiver/sessions/NL/CPO/S1", body, to=EMSP)).status_code


async def after_absence(here: World) -> list[str]:
    """What it is pushed of two Locations, the first of them from when it was away."""
    async with here.delivering():
        await here.set_connection(here.net.emsp, "OFFLINE")
        await until(lambda: here.net.delivery.destinations[EMSP].away)
        await here.put("L1")
        await here.set_connection(here.net.emsp, "CONNECTED")
        await until(lambda: not here.net.delivery.destinations[EMSP].away)
        await here.put("L2")
        await until(lambda: any(seen.target.endswith("L2") for seen in pushed(here.net.emsp)))
    return sorted(seen.target[-2:] for seen in pushed(here.net.emsp))


async def direct_patience(here: World) -> str:
    return await patience(here, "GET", "/sender/tokens")


async def authorize_patience(here: World) -> str:
    return await patience(here, "POST", "/sender/tokens/T1/authorize")


async def patience(here: World, method: str, path: str) -> str:
    """What the asker is told when the eMSP never answers."""
    here.net.emsp.answer = lambda seen: asyncio.Event().wait()
    answer = await here.net.call(here.net.cpo, method, path, to=EMSP)
    assert answer.status_code == 4002
    return answer.message.partition(" within ")[2]


async def push_patience(here: World) -> float:
    """The deadline of a delivery, as the client is given it."""
    deadlines: list[float] = []

    class Client:
        async def send(self, request: OutgoingRequest, deadline: float) -> IncomingAnswer:
            deadlines.append(deadline)
            raise failures.Unreachable("not there")

    platform = await here.net.directory.platform_of(EMSP)
    assert platform is not None
    message = RoutedMessage(Method.PUT, ModuleID.locations, InterfaceRole.RECEIVER, EMSP, HUB, "/NL/CPO/L1")
    await DoorOut(Client(), deadlines=DEADLINES).send(message, platform, push=True)
    return deadlines[0]


async def may_be_read(here: World) -> bool:
    """Whether the hub reads its list of tokens at some time."""
    platform = await here.net.directory.platform_of(EMSP)
    return forbidden(platform, EMSP, ModuleID.tokens) is None


@dataclass(frozen=True)
class Case:
    """What `probe` sees as it usually is, and with the switch set to `text`."""

    text: str
    probe: Probe
    usual: Any
    switched: Any


CASES = {
    "token_encoding": Case("raw", token_sent, "Token dG9rZW4tb2YtTVNQ", "Token token-of-MSP"),
    "omit_routing_headers": Case("true", routing_sent, ("DE*MSP", "NL*CPO"), ("None*None", "None*None")),
    "explicit_nulls": Case("true", name_pushed, "left out", None),
    "send_put_for_patch": Case("true", change_pushed, "PATCH", "PUT"),
    "page_cap": Case("50", page_asked, ("offset=3&limit=70", "100"), ("offset=3&limit=50", "50")),
    "rate_cap": Case("0.001", pushed_at_once, 3, 1),
    "trailing_slash": Case("always", url_asked, "/msp/sender/v/tokens", "/msp/sender/v/tokens/"),
    "strict": Case("true", odd_session, 1000, 2001),
    "resync": Case("pull", after_absence, ["L1", "L2"], ["L2"]),
    "pull": Case("never", may_be_read, True, False),
    "direct_timeout": Case("0.05", direct_patience, "0.3 seconds.", "0.05 seconds."),
    "authorize_timeout": Case("0.05", authorize_patience, "0.2 seconds.", "0.05 seconds."),
    "push_timeout": Case("7", push_patience, 0.1, 7.0),
    "endpoint_overrides": Case(
        "tokens:SENDER=http://127.0.0.1:{port}/else/where", url_asked, "/msp/sender/v/tokens", "/else/where"
    ),
}
"""A switch of the table without a case here has no effect anybody proved."""


@pytest.mark.rule("X-07", "U-03")
@pytest.mark.parametrize("name", [switch.name for switch in TABLE])
@pytest.mark.parametrize("set_so", [False, True], ids=["usual", "set"])
async def test_each_switch_of_the_table_changes_what_is_sent(
    hub_database: FreshDatabase, name: str, set_so: bool
) -> None:
    case = CASES[name]
    async with world(hub_database, deadlines=DEADLINES) as here:
        here.net.emsp.answer = lambda seen: (200, {}, b'{"status_code":1000,"timestamp":"2026-03-01T12:30:00Z"}')
        if set_so:
            await set_switch(here, f"{name}={case.text.format(port=here.net.emsp.port)}")
        assert await case.probe(here) == (case.switched if set_so else case.usual)


async def set_switch(here: World, typed: str) -> None:
    changes, reset = arguments.switches([typed])
    async with here.net.database.transaction() as connection:
        await repository.change_switches(connection, here.net.emsp.platform_id, changes, reset)
        await repository.touch(connection, here.net.emsp.platform_id)
    await here.net.directory.refresh()


def test_a_case_belongs_to_a_switch_and_every_row_is_told_in_full() -> None:
    assert set(CASES) == {switch.name for switch in TABLE}
    for switch in TABLE:
        assert switch.meaning.endswith(".")
        assert switch.values.words
        assert switch.read_by


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("strict", "yes"),
        ("strict", 1),
        ("page_cap", "1.5"),
        ("page_cap", "0"),
        ("page_cap", True),
        ("rate_cap", "nan"),
        ("rate_cap", "-1"),
        ("push_timeout", "301"),
        ("push_timeout", []),
        ("resync", "pul"),
        ("pull", "often"),
        ("pull", "169h"),
        ("token_encoding", None),
        ("endpoint_overrides", {"cdrs": "https://x"}),
        ("endpoint_overrides", {"cdrs:SENDER": 1}),
    ],
)
def test_a_value_no_switch_has_is_refused_with_what_it_may_be(name: str, given: Any) -> None:
    with pytest.raises(ValueError, match=f"{name} is .*, or default"):
        named(name).read(given)


@pytest.mark.parametrize(
    "url", ["https://", "https:///cdrs", "https://:443/", "https://[::1/cdrs", "https://x:99999/", "https://x/a b"]
)
def test_a_url_nobody_can_call_is_no_override(url: str) -> None:
    sentence = f"endpoint_overrides: {url} names no host that can be called; write it like https://ocpi.example.com/2.2.1/cdrs."
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        named("endpoint_overrides").read({"cdrs:SENDER": url})


def test_what_a_later_version_stored_is_passed_over() -> None:
    assert Switches.of({"resync": "perhaps", "unknown": 1, "page_cap": 20}) == Switches(page_cap=20)


@pytest.mark.parametrize(
    ("form", "url", "shaped"),
    [
        ("always", "https://x/a", "https://x/a/"),
        ("always", "https://x/a/?b=/c", "https://x/a/?b=/c"),
        ("never", "https://x/a/?b=c", "https://x/a?b=c"),
        ("as_listed", "https://x/a/", "https://x/a/"),
    ],
)
def test_the_slash_stands_at_the_end_of_the_path(form: str, url: str, shaped: str) -> None:
    assert Switches(trailing_slash=form).shaped(url) == shaped
