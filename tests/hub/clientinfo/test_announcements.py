"""What the platforms are told of each other: for each viewer, damped, by one process, and never lost for good."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest

from hub.agreements import repository as agreements
from hub.agreements.book import read
from hub.agreements.policy import DefaultPolicy, Terms
from hub.agreements.repository import Agreement
from hub.clientinfo import repository
from hub.parties.announced_repository import LEAST_ANNOUNCED
from hub.parties.platforms import Connection, Platform
from hub.parties.repository import set_connection, touch
from ocpi_modules import envelope
from ocpi_modules.message import PartyId
from ocpi_modules.spec import InterfaceRole, ModuleID
from ocpi_modules.types import format_datetime
from tests.hub.network import eventually
from tests.hub.support import SmallHub, announcing, small_hub
from tests.support.party import Party, Received, Scripted
from tests.support.postgres import FreshDatabase

CPO, EMSP, OTHER = ("CPO", "NL/CPO"), ("EMSP", "DE/EMA"), ("EMSP", "FR/EMB")
MINUTE = timedelta(minutes=1)


@pytest.fixture
async def strict(hub_database: FreshDatabase) -> AsyncIterator[SmallHub]:
    """A hub that asks for agreements."""
    async with small_hub(hub_database.app_dsn, DefaultPolicy.agreement) as hub:
        yield hub


async def join(hub: SmallHub, party: Party) -> Platform:
    roles = [(item.role, "/".join(item.party)) for item in party.roles]
    await party.register(hub.versions_url, await hub.invite(*roles))
    await party.send("GET", "hubclientinfo", "SENDER", routed=False)
    platform = await hub.directory.platform_of(party.id)
    assert platform is not None
    return platform


async def listed(party: Party, query: str = "") -> list[dict[str, Any]]:
    answer = await party.send("GET", "hubclientinfo", "SENDER", routed=False, query=query)
    content = envelope.read(answer.body)
    assert content is not None
    assert answer.headers["x-total-count"] == str(len(content.data))
    return list(content.data)


def told(pushes: list[Received]) -> list[tuple[str, str]]:
    return [(item.document["party_id"], item.document["status"]) for item in pushes]


def was_told_last(party: Party, what: tuple[str, str]) -> bool:
    """What it hears after it joined may come late."""
    return told(party.received("PUT", "hubclientinfo"))[-1:] == [what]


def told_connected(party: Party) -> set[str]:
    return {name for name, status in told(party.received("PUT", "hubclientinfo")) if status == "CONNECTED"}


async def agree(hub: SmallHub, one: Party, other: Party, terms: Terms | None = None) -> None:
    async with hub.database.transaction() as connection:
        await agreements.put_agreements(connection, [Agreement(one.id, other.id, terms or Terms())])


async def connect(hub: SmallHub, platform: Platform, state: Connection) -> None:
    """As `ClientInfoStatus` stores it, in any process."""
    async with hub.database.transaction() as connection:
        await set_connection(connection, platform.id, state)
        await touch(connection, platform.id)
    await hub.directory.refresh()


async def look(hub: SmallHub) -> None:
    """What the background does in a second, without the pushes."""
    await read(hub.book, hub.database)
    await hub.directory.refresh()
    await hub.announcements.look()


@pytest.mark.rule("H-19", "H-08", "G-20")
async def test_an_object_changes_for_a_viewer_when_its_agreement_begins_and_ends(strict: SmallHub) -> None:
    async with Party.running(CPO) as cpo, Party.running(EMSP) as emsp, Party.running(OTHER) as other:
        async with announcing(strict):
            for party in (cpo, emsp, other):
                await join(strict, party)
            begins, ends = strict.clock() + MINUTE, strict.clock() + 5 * MINUTE
            await agree(strict, cpo, other)
            assert told(await other.wait_for("PUT", "hubclientinfo")) == [("CPO", "CONNECTED")]
            await agree(strict, cpo, emsp, Terms(valid_from=begins, valid_until=ends))
            await eventually(lambda: strict.book.between(cpo.id, emsp.id))
            unchanged = (await listed(other))[0]
            assert (await listed(emsp), emsp.received("PUT", "hubclientinfo")) == ([], [])

            strict.clock.ahead += MINUTE
            assert told(await emsp.wait_for("PUT", "hubclientinfo")) == [("CPO", "CONNECTED")]
            between = format_datetime(strict.clock() + 2 * MINUTE)
            assert await listed(emsp, f"date_from={between}") == []

            strict.clock.ahead += 4 * MINUTE
            pushed = await emsp.wait_for("PUT", "hubclientinfo", 2)
            assert told(pushed)[1:] == [("CPO", "PLANNED")]
            assert await listed(emsp, f"date_from={between}") == [pushed[1].document]
            assert (await listed(other))[0] == unchanged
            assert len(other.received("PUT", "hubclientinfo")) == 1
        assert [item.document["status"] for item in cpo.received("PUT", "hubclientinfo")].count("PLANNED") == 1


@pytest.mark.rule("H-08", "H-07", "H-18", "U-05")
async def test_without_an_agreement_a_party_is_as_if_it_was_not_there(strict: SmallHub) -> None:
    """Nor does a viewer learn what becomes of a party after their agreement was removed."""
    async with Party.running(CPO) as cpo, Party.running(EMSP, ("EMSP", "DE/EMC")) as emsp:
        await join(strict, emsp)
        await look(strict)
        nobody_there = await listed(emsp)
        platform = await join(strict, cpo)
        await look(strict)
        assert await listed(emsp) == nobody_there == []

        async with strict.database.transaction() as connection:
            await agreements.put_agreements(connection, [Agreement(cpo.id, PartyId("DE", "EMC"), Terms())])
        await look(strict)
        assert [item["status"] for item in await listed(emsp)] == ["CONNECTED"]
        async with strict.database.transaction() as connection:
            await agreements.drop_agreement(connection, cpo.id, PartyId("DE", "EMC"))
        await look(strict)
        planned = await listed(emsp)
        assert [item["status"] for item in planned] == ["PLANNED"]
        strict.clock.ahead = 2 * LEAST_ANNOUNCED
        await connect(strict, platform, Connection.OFFLINE)
        await look(strict)
        assert await listed(emsp) == planned


@pytest.mark.promise("F-24")
async def test_a_flapping_party_is_announced_at_most_every_five_minutes_and_ends_where_it_is(hub: SmallHub) -> None:
    async with Party.running(CPO) as cpo, Party.running(EMSP) as emsp:
        flapping = await join(hub, cpo)
        await join(hub, emsp)
        changes: list[tuple[str, datetime]] = []

        async def note() -> None:
            await look(hub)
            (info,) = await listed(emsp)
            if not changes or changes[-1][0] != info["status"]:
                changes.append((info["status"], hub.clock()))

        await note()
        for number in range(60):
            hub.clock.ahead += timedelta(seconds=20)
            await connect(hub, flapping, Connection.CONNECTED if number % 2 else Connection.OFFLINE)
            await note()
        await connect(hub, flapping, Connection.OFFLINE)
        await note()
        assert 2 <= len(changes) <= 1 + 20 / 5
        pauses = [later - earlier for (_, earlier), (_, later) in pairwise(changes)]
        assert min(pauses) > LEAST_ANNOUNCED - timedelta(seconds=30)
        hub.clock.ahead += LEAST_ANNOUNCED
        await note()
        assert changes[-1][0] == "OFFLINE"


@pytest.mark.promise("F-24")
async def test_what_waits_to_be_announced_survives_a_restart(hub: SmallHub, hub_database: FreshDatabase) -> None:
    async with Party.running(CPO) as cpo, Party.running(EMSP) as emsp:
        platform = await join(hub, cpo)
        await join(hub, emsp)
        await look(hub)
        await connect(hub, platform, Connection.OFFLINE)
        await look(hub)
        assert [item["status"] for item in await listed(emsp)] == ["CONNECTED"]
        async with hub.database.connection() as connection:
            await connection.execute("UPDATE client_info_leader SET holder = NULL")
        async with small_hub(hub_database.app_dsn, clock=hub.clock) as successor:
            await look(successor)
            assert [item["status"] for item in await listed(emsp)] == ["CONNECTED"]
            hub.clock.ahead += LEAST_ANNOUNCED
            await look(successor)
            assert [item["status"] for item in await listed(emsp)] == ["OFFLINE"]


@pytest.mark.rule("H-21", "H-17")
async def test_of_several_processes_one_pushes_and_another_takes_over(hub_database: FreshDatabase) -> None:
    async with (
        small_hub(hub_database.app_dsn) as one,
        small_hub(hub_database.app_dsn, clock=one.clock) as other,
        Party.running(CPO, ("EMSP", "NL/CPO")) as both,
        Party.running(EMSP) as emsp,
        Party.running(("CPO", "BE/CPZ")) as last,
    ):
        async with announcing(other):
            async with announcing(one):
                await join(one, both)
                await join(other, emsp)
                await both.wait_for("PUT", "hubclientinfo")
                await emsp.wait_for("PUT", "hubclientinfo")
            await join(one, last)
            for party, seen in ((both, {"EMA", "CPZ"}), (emsp, {"CPO", "CPZ"}), (last, {"CPO", "EMA"})):
                await eventually(lambda party=party, seen=seen: seen <= told_connected(party))
        for party in (both, emsp, last):
            pushed = [(item.raw_path, item.body) for item in party.received("PUT", "hubclientinfo")]
            assert len(set(pushed)) == len(pushed)


async def test_the_lease_of_a_dead_process_ends(hub: SmallHub) -> None:
    dead, heir = uuid4(), uuid4()
    async with hub.database.connection() as connection:
        assert await repository.lead(connection, dead, 60)
        assert await repository.lead(connection, dead, 0)
        assert await repository.lead(connection, heir, 60)
        assert not await repository.lead(connection, dead, 60)
        await repository.resign(connection, dead)
        assert not await repository.lead(connection, dead, 60)


@pytest.mark.rule("H-23", "H-11", "H-04", "H-21")
async def test_who_was_away_reads_what_changed_and_is_told_the_latest_once(hub: SmallHub) -> None:
    async with Party.running(CPO) as cpo, Party.running(EMSP) as emsp, Party.running(OTHER) as other:
        async with announcing(hub):
            platform = await join(hub, cpo)
            away = await join(hub, emsp)
            await join(hub, other)
            await emsp.wait_for("PUT", "hubclientinfo")
            await connect(hub, away, Connection.OFFLINE)
            left = hub.clock()
            for state in (Connection.OFFLINE, Connection.CONNECTED, Connection.OFFLINE):
                hub.clock.ahead += LEAST_ANNOUNCED
                await connect(hub, platform, state)
                await eventually(partial(was_told_last, other, ("CPO", state.value)), seconds=30)
            assert len(emsp.received("PUT", "hubclientinfo")) == 1

            found = await listed(emsp, f"date_from={format_datetime(left)}")
            assert [(item["party_id"], item["status"]) for item in found] == [("CPO", "OFFLINE")]
            assert told(await emsp.wait_for("PUT", "hubclientinfo", 2))[1:] == [("CPO", "OFFLINE")]


@pytest.mark.rule("H-11", "H-23")
async def test_a_push_that_failed_is_made_again_when_the_platform_reads_the_list(hub: SmallHub) -> None:
    async with Party.running(CPO) as cpo, Party.running(EMSP) as emsp:
        cpo.script("PUT", "hubclientinfo", Scripted(http_status=503, raw=b"later"), Scripted())
        await join(hub, cpo)
        await join(hub, emsp)
        async with announcing(hub):
            await cpo.wait_for("PUT", "hubclientinfo")
            await settled(hub, cpo, put_off=True)
            assert len(cpo.received("PUT", "hubclientinfo")) == 1
            await listed(cpo)
            assert len(set(told(await cpo.wait_for("PUT", "hubclientinfo", 2)))) == 1


@pytest.mark.rule("H-11")
@pytest.mark.parametrize(
    "refusal",
    [
        Scripted(http_status=401, status_code=2000),
        Scripted(http_status=404, raw=b"Not Found"),
        Scripted(http_status=404, status_code=1000),
        Scripted(http_status=429, raw=b"slow down"),
        Scripted(status_code=2001),
        Scripted(status_code=3000),
    ],
)
async def test_a_push_that_was_refused_is_made_again_until_it_is_taken(hub: SmallHub, refusal: Scripted) -> None:
    """Nobody believes an old state for ever."""
    async with Party.running(CPO) as cpo, Party.running(EMSP) as emsp:
        cpo.script("PUT", "hubclientinfo", refusal, Scripted())
        await join(hub, cpo)
        await join(hub, emsp)
        async with announcing(hub):
            await cpo.wait_for("PUT", "hubclientinfo")
            await settled(hub, cpo, put_off=True)
            hub.clock.ahead += 2 * MINUTE
            assert len(set(told(await cpo.wait_for("PUT", "hubclientinfo", 2)))) == 1
            await settled(hub, cpo, put_off=False)


@pytest.mark.rule("H-11")
async def test_who_answers_405_is_not_told_again(hub: SmallHub) -> None:
    async with Party.running(CPO) as cpo, Party.running(EMSP) as emsp:
        cpo.script("PUT", "hubclientinfo", Scripted(http_status=405, raw=b"Method Not Allowed"))
        await join(hub, cpo)
        await join(hub, emsp)
        async with announcing(hub):
            await cpo.wait_for("PUT", "hubclientinfo")
            await settled(hub, cpo, put_off=False)
            assert len(cpo.received("PUT", "hubclientinfo")) == 1


async def test_an_object_that_is_refused_keeps_none_of_the_others_back(hub: SmallHub) -> None:
    async with Party.running(CPO) as cpo, Party.running(EMSP) as emsp, Party.running(OTHER) as other:
        cpo.script("PUT", "hubclientinfo", Scripted(status_code=2001), Scripted())
        for party in (cpo, emsp, other):
            await join(hub, party)
        async with announcing(hub):
            assert {name for name, _ in told(await cpo.wait_for("PUT", "hubclientinfo", 2))} == {"EMA", "EMB"}


@pytest.mark.parametrize("refusal", [Scripted(status_code=3001), Scripted(http_status=408, status_code=2000)])
async def test_who_cannot_take_anything_now_is_not_asked_for_each_object(hub: SmallHub, refusal: Scripted) -> None:
    async with Party.running(CPO) as cpo, Party.running(EMSP) as emsp, Party.running(OTHER) as other:
        cpo.script("PUT", "hubclientinfo", refusal, Scripted())
        for party in (cpo, emsp, other):
            await join(hub, party)
        async with announcing(hub):
            await cpo.wait_for("PUT", "hubclientinfo")
            await settled(hub, cpo, put_off=True)
            assert len(cpo.received("PUT", "hubclientinfo")) == 1


async def test_who_asks_for_time_is_left_alone_so_long(hub: SmallHub) -> None:
    async with Party.running(CPO) as cpo, Party.running(EMSP) as emsp:
        cpo.script("PUT", "hubclientinfo", Scripted(http_status=429, raw=b"", headers={"Retry-After": "600"}))
        await join(hub, cpo)
        await join(hub, emsp)
        async with announcing(hub):
            await cpo.wait_for("PUT", "hubclientinfo")
            await settled(hub, cpo, put_off=True, after=9 * MINUTE)


async def test_a_platform_that_comes_to_offer_the_interface_is_told_everything(hub: SmallHub) -> None:
    offer = (ModuleID.hubclientinfo, InterfaceRole.RECEIVER)
    async with Party.running(CPO) as cpo, Party.running(EMSP) as emsp:
        emsp.offers.remove(offer)
        async with announcing(hub):
            await join(hub, cpo)
            await join(hub, emsp)
            await cpo.wait_for("PUT", "hubclientinfo")
            emsp.offers.append(offer)
            await emsp.update()
            await emsp.call("GET", hub.versions_url, emsp.hub_token)
            assert told(await emsp.wait_for("PUT", "hubclientinfo")) == [("CPO", "CONNECTED")]


async def settled(hub: SmallHub, party: Party, *, put_off: bool, after: timedelta = MINUTE / 2) -> None:
    """Wait until what the hub pushed to this party is told, or put off by a little more than `after`."""
    platform = hub.directory.known_platform_of(party.id)
    assert platform is not None
    soon, late = hub.clock() + after, hub.clock() + after + 2 * MINUTE
    async with asyncio.timeout(5), hub.database.connection() as connection:
        while not await connection.fetchval(
            "SELECT bool_and(CASE WHEN $2 THEN push_after BETWEEN $3 AND $4 ELSE pushed_at IS NOT NULL END) "
            "FROM client_info WHERE viewer = $1",
            platform.id,
            put_off,
            soon,
            late,
        ):
            await asyncio.sleep(0.01)
