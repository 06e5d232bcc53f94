"""Asking who is OFFLINE or silent, over real sockets, with a clock the test pushes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from hub.clientinfo import still_alive
from hub.clientinfo.still_alive import StillAlive
from hub.parties.platforms import Connection, Platform
from tests.hub.network import eventually
from tests.hub.support import SmallHub
from tests.support.party import Party, Scripted

CPO, EMSP = ("CPO", "NL/ABC"), ("EMSP", "DE/XYZ")


@asynccontextmanager
async def asking(hub: SmallHub) -> AsyncIterator[StillAlive]:
    """The check and the storing of states, running."""
    check = StillAlive(hub.directory, hub.client, hub.status, hub.clock, look_seconds=0.01)
    tasks = [asyncio.create_task(check.run()), asyncio.create_task(hub.status.run())]
    try:
        yield check
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def registered(hub: SmallHub, party: Party, *roles: tuple[str, str]) -> None:
    await party.register(hub.versions_url, await hub.invite(*roles))
    await party.call("GET", hub.versions_url, party.hub_token)
    party.log.clear()


def platform(hub: SmallHub, party: Party) -> Platform:
    found = hub.directory.known_platform_of(party.id)
    assert found is not None
    return found


@pytest.mark.rule("H-13", "U-31")
async def test_a_platform_is_asked_after_five_minutes_of_silence_and_not_before(hub: SmallHub) -> None:
    async with Party.running(CPO) as silent, Party.running(EMSP) as talking:
        await registered(hub, silent, CPO)
        await registered(hub, talking, EMSP)
        async with asking(hub):
            hub.clock.ahead = timedelta(minutes=4, seconds=50)
            await talking.call("GET", hub.versions_url, talking.hub_token)
            assert silent.received("GET", "versions") == []
            hub.clock.ahead = timedelta(minutes=5, seconds=1)
            await silent.wait_for("GET", "versions")
            assert silent.received("GET", "versions")[0].headers["authorization"].startswith("Token ")
        assert talking.received("GET", "versions") == []


@pytest.mark.rule("H-14", "H-15")
async def test_two_failed_checks_make_it_offline_and_one_success_connected_again(hub: SmallHub) -> None:
    async with Party.running(CPO) as party:
        await registered(hub, party, CPO)
        party.script("GET", "versions", Scripted(http_status=500, raw=b"down"))
        async with asking(hub):
            hub.clock.ahead = timedelta(minutes=5, seconds=1)
            await party.wait_for("GET", "versions", 1)
            assert platform(hub, party).connection is Connection.CONNECTED
            hub.clock.ahead += timedelta(seconds=10)
            await party.wait_for("GET", "versions", 2)
            await eventually(lambda: platform(hub, party).connection is Connection.OFFLINE)
            party.script("GET", "versions")
            hub.clock.ahead += timedelta(minutes=1)
            await eventually(lambda: platform(hub, party).connection is Connection.CONNECTED)


@pytest.mark.rule("G-74")
async def test_an_offline_platform_is_asked_ever_more_rarely(hub: SmallHub) -> None:
    async with Party.running(CPO) as party:
        await registered(hub, party, CPO)
        party.script("GET", "versions", Scripted(http_status=500, raw=b"down"))
        check = StillAlive(hub.directory, hub.client, hub.status, hub.clock)
        hub.clock.ahead = timedelta(minutes=5, seconds=1)
        pauses = []
        for _ in range(12):
            await check.ask(platform(hub, party))
            before = hub.clock.ahead
            while not check.due():
                hub.clock.ahead += timedelta(seconds=0.25)
            pauses.append((hub.clock.ahead - before).total_seconds())
        assert pauses[0] < 2
        assert all(200 <= pause <= 361 for pause in pauses[-2:])


async def test_a_refused_token_is_no_absence(hub: SmallHub) -> None:
    async with Party.running(CPO) as party:
        await registered(hub, party, CPO)
        party.script("GET", "versions", Scripted(http_status=401, status_code=2000))
        check = StillAlive(hub.directory, hub.client, hub.status, hub.clock)
        for _ in range(3):
            await check.ask(platform(hub, party))
        await hub.status.store()
        assert platform(hub, party).connection is Connection.CONNECTED


async def test_slow_platforms_keep_nobody_else_waiting(hub: SmallHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(still_alive, "MOST_AT_ONCE", 2)
    async with Party.running(CPO) as slow, Party.running(EMSP) as quick:
        await registered(hub, slow, CPO)
        await registered(hub, quick, EMSP)
        slow.script("GET", "versions", Scripted(delay=5))
        async with asking(hub):
            hub.clock.ahead = timedelta(minutes=5, seconds=1)
            await slow.wait_for("GET", "versions")
            await eventually(lambda: _heard_within_a_minute(hub, quick))
            hub.clock.ahead += timedelta(minutes=6)
            await quick.wait_for("GET", "versions", 2, seconds=3)
            assert len(slow.received("GET", "versions")) == 1


def _heard_within_a_minute(hub: SmallHub, party: Party) -> bool:
    heard = hub.status.last_heard(platform(hub, party))
    return heard is not None and hub.clock() - heard < timedelta(minutes=1)
