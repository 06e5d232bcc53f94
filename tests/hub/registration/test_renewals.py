"""A hub that comes back under another public URL tells its partners, once, and patiently."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from hub.registration.handshake import HubIdentity, Registration
from hub.registration.renewals import Renewals
from tests.hub.support import HUB, KEYS, SmallHub, opened
from tests.support.party import Party, Scripted
from tests.support.postgres import FreshDatabase

CPO = ("CPO", "NL/ABC")


def renewals(hub: SmallHub, url: str, first_pause: float = 0.1) -> Renewals:
    identity = HubIdentity(HUB, url, {"name": "Hub"})
    registration = Registration(hub.database, hub.directory, hub.client, KEYS, hub.clock, identity)
    return Renewals(hub.database, hub.directory, registration, url, look_seconds=0.02, first_pause_seconds=first_pause)


@asynccontextmanager
async def registered(hub: SmallHub) -> AsyncIterator[Party]:
    async with Party.running(CPO) as party:
        await party.register(hub.versions_url, await hub.invite(CPO))
        await party.call("GET", hub.versions_url, party.hub_token)
        party.log.clear()
        yield party


@pytest.mark.rule("C-29", "C-32")
async def test_a_partner_is_told_the_new_url_and_only_then(hub: SmallHub) -> None:
    async with registered(hub) as party:
        await asyncio.wait_for(renewals(hub, hub.url).run(), 5)
        assert party.received("PUT", "credentials") == []
        moved = hub.url.replace("127.0.0.1", "localhost")
        await asyncio.wait_for(renewals(hub, moved).run(), 5)
        told = [item.document["url"] for item in party.received("PUT", "credentials")]
        assert told == [f"{moved}/ocpi/versions"]
        await asyncio.wait_for(renewals(hub, moved).run(), 5)
        assert len(party.received("PUT", "credentials")) == 1


async def test_a_partner_that_refuses_is_asked_again_with_a_pause_that_doubles(hub: SmallHub) -> None:
    async with registered(hub) as party:
        refusal = Scripted(http_status=200, status_code=3000)
        party.script("PUT", "credentials", refusal, refusal, refusal)
        moved = hub.url.replace("127.0.0.1", "localhost")
        task = asyncio.create_task(renewals(hub, moved, first_pause=0.3).run())
        tries = await party.wait_for("PUT", "credentials", 3)
        first, second = ((tries[n + 1].at - tries[n].at).total_seconds() for n in range(2))
        assert 0.25 < first < 0.5
        assert 0.55 < second < 1.0
        party.script("PUT", "credentials")
        await asyncio.wait_for(task, 10)


async def test_of_several_processes_one_tells(hub: SmallHub, hub_database: FreshDatabase) -> None:
    async with registered(hub) as party, opened(hub_database.app_dsn):
        moved = hub.url.replace("127.0.0.1", "localhost")
        await asyncio.wait_for(asyncio.gather(*(renewals(hub, moved, first_pause=60).run() for _ in range(4))), 10)
        assert len(party.received("PUT", "credentials")) == 1


async def test_an_old_process_does_not_put_its_url_back(hub: SmallHub) -> None:
    async with registered(hub) as party:
        party.script("PUT", "credentials", Scripted(http_status=200, status_code=3000))
        older = asyncio.create_task(renewals(hub, f"{hub.url}/older", first_pause=2).run())
        await party.wait_for("PUT", "credentials", 1)
        party.script("PUT", "credentials")
        moved = hub.url.replace("127.0.0.1", "localhost")
        await asyncio.wait_for(renewals(hub, moved).run(), 1)
        await asyncio.wait_for(older, 5)
        assert [item.document["url"] for item in party.received("PUT", "credentials")][1:] == [f"{moved}/ocpi/versions"]
