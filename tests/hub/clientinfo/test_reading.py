"""Reading the list keeps nobody waiting, and a look costs no more for agreements of which nothing is new."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from hub.agreements import repository as agreements
from hub.agreements.policy import DefaultPolicy, Terms
from hub.agreements.repository import Agreement
from hub.clientinfo import repository
from ocpi_modules.message import PartyId
from tests.hub.clientinfo.test_announcements import CPO, EMSP, OTHER, join, listed, look
from tests.hub.support import SmallHub, opened, small_hub
from tests.support.party import Party
from tests.support.postgres import FreshDatabase

MANY = 20
"""Five times the connections of the hub's pool in these tests."""


@asynccontextmanager
async def somebody_writing(database: FreshDatabase) -> AsyncIterator[asyncio.Event]:
    """Another process is in the middle of bringing objects up to date, until the event is set or the block ends."""
    holds, ends = asyncio.Event(), asyncio.Event()

    async def write() -> None:
        async with opened(database.app_dsn) as other, other.transaction(60) as connection:
            await repository.one_after_the_other(connection)
            holds.set()
            await ends.wait()

    task = asyncio.create_task(write())
    try:
        await holds.wait()
        yield ends
    finally:
        ends.set()
        await task


@pytest.mark.rule("H-02")
@pytest.mark.promise("Q-10")
async def test_who_reads_waits_for_nobody_who_writes(hub: SmallHub, hub_database: FreshDatabase) -> None:
    async with Party.running(CPO) as cpo, Party.running(EMSP) as emsp:
        await join(hub, cpo)
        await join(hub, emsp)
        async with somebody_writing(hub_database):
            lists = await asyncio.gather(*(listed(emsp) for _ in range(MANY)))
        assert [[item["party_id"] for item in found] for found in lists] == [["CPO"]] * MANY


@pytest.mark.promise("Q-10")
async def test_who_lacks_something_waits_beside_the_pool(hub: SmallHub, hub_database: FreshDatabase) -> None:
    """A newcomer's reads wait for the writer; those of others do not, however many the newcomer makes."""
    async with Party.running(CPO) as cpo, Party.running(EMSP) as emsp, Party.running(OTHER) as newcomer:
        await join(hub, cpo)
        await join(hub, emsp)
        await newcomer.register(hub.versions_url, await hub.invite(OTHER))
        async with somebody_writing(hub_database) as ends:
            waiting = [asyncio.create_task(listed(newcomer)) for _ in range(MANY)]
            for _ in range(3):
                assert [item["party_id"] for item in await listed(emsp)] == ["CPO"]
            assert not any(task.done() for task in waiting)
            ends.set()
            lists = await asyncio.gather(*waiting)
        assert [[item["party_id"] for item in found] for found in lists] == [["CPO"]] * MANY


@pytest.mark.rule("X-34", "H-02")
async def test_the_total_stands_on_a_page_behind_the_last(hub: SmallHub) -> None:
    async with Party.running(CPO) as cpo, Party.running(EMSP) as emsp:
        await join(hub, cpo)
        await join(hub, emsp)
        answer = await emsp.send("GET", "hubclientinfo", "SENDER", routed=False, query="offset=5")
        assert (answer.headers["x-total-count"], answer.http_status) == ("1", 200)


async def test_a_look_asks_about_no_agreement_of_which_nothing_is_new(
    hub_database: FreshDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Terms] = []
    hold_at = Terms.hold_at
    monkeypatch.setattr(Terms, "hold_at", lambda terms, now: (asked.append(terms), hold_at(terms, now))[1])
    async with small_hub(hub_database.app_dsn, DefaultPolicy.agreement) as hub:
        async with Party.running(CPO) as cpo, Party.running(EMSP) as emsp, Party.running(OTHER) as other:
            for party in (cpo, emsp, other):
                await join(hub, party)
            strangers = [(PartyId("BE", f"{number:03}"), PartyId("LU", "XYZ")) for number in range(500)]
            async with hub.database.transaction() as connection:
                pairs = [*strangers, (cpo.id, other.id), (cpo.id, emsp.id)]
                await agreements.put_agreements(connection, [Agreement(*pair, Terms()) for pair in pairs])
            await look(hub)
            assert 2 <= len(asked) < 20
            asked.clear()
            await look(hub)
            assert len(asked) <= 2  # of the one platform whose turn it is anyway
            await listed(cpo)
            asked.clear()
            await listed(cpo)
            assert asked == []
            async with hub.database.transaction() as connection:
                await agreements.drop_agreement(connection, cpo.id, other.id)
            await look(hub)
            assert len(asked) < 10
            assert {item["party_id"]: item["status"] for item in await listed(cpo)} == {
                "EMA": "CONNECTED",
                "EMB": "PLANNED",
            }
