"""mod_hub_client_info: the scenarios of another party's life, as the CPO hears of them, and the still alive check."""

import asyncio

import pytest

from ocpi_modules.message import PartyId
from tests.scenarios.conftest import Answer
from tests.scenarios.eight.platforms import DUO, OFF, Eight, fresh, invitation, status_of, until, until_asked
from tests.support.party import Party


def told(party: Party, about: PartyId) -> list[str]:
    """What a platform was pushed about a party, in order, without repeats of the same."""
    seen = [item for item in party.received("PUT", "hubclientinfo") if item.raw_path.endswith("/".join(about))]
    states = [str(item.document["status"]) for item in seen]
    return [state for place, state in enumerate(states) if place == 0 or states[place - 1] != state]


@pytest.mark.rule("H-04", "H-07", "H-22")
async def test_another_party_becomes_planned_connected_and_suspended(eight: Eight) -> None:
    newcomer = PartyId("IT", f"{eight.workers}{fresh('')[:2].replace('-', 'X')}"[:3].ljust(3, "Z"))
    async with Party.running(("EMSP", "/".join(newcomer))) as party:
        token_a = await invitation(eight.hub, party)
        await until_asked(lambda: _is(eight, newcomer, "PLANNED"))
        await party.register(eight.hub.versions_url, token_a)
        await until(lambda: told(eight.duo, newcomer)[-1:] == ["CONNECTED"])
        await until(lambda: told(eight.quiet, newcomer)[-1:] == ["CONNECTED"])
        await until(lambda: told(party, DUO)[-1:] == ["CONNECTED"])
        await party.unregister()
        await until(lambda: told(eight.duo, newcomer)[-1:] == ["SUSPENDED"])
        await until_asked(lambda: _is(eight, newcomer, "SUSPENDED"))
    pushes = [item for item in eight.duo.received("PUT", "hubclientinfo") if item.raw_path.endswith("/".join(newcomer))]
    assert {(item.to, item.sender) for item in pushes} == {(None, None)}
    assert told(eight.raw, newcomer) == []


@pytest.mark.rule("H-09")
async def test_another_party_goes_offline(eight: Eight) -> None:
    assert await status_of(eight, OFF) == "OFFLINE"
    assert told(eight.duo, OFF)[-2:] == ["CONNECTED", "OFFLINE"]


@pytest.mark.rule("E-16")
async def test_the_still_alive_check_of_a_platform_is_answered_by_every_worker(eight: Eight) -> None:
    calls = [eight.duo.call("GET", eight.hub.versions_url, eight.duo.hub_token) for _ in range(8 * eight.workers)]
    answers = [Answer.of(answer) for answer in await asyncio.gather(*calls)]
    assert {(answer.http_status, answer.status_code) for answer in answers} == {(200, 1000)}
    assert not any(name.startswith("ocpi-") for answer in answers for name in answer.headers)
    assert {line.split()[:2][-1] for line in eight.away} <= {"/ocpi/versions"}


async def _is(eight: Eight, party: PartyId, state: str) -> bool:
    return await status_of(eight, party) == state
