"""Lists read over sockets while writers run."""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from hub.objects import listing, page_repository
from hub.objects.keep import Push
from ocpi_modules.message import PartyId
from ocpi_modules.paging import parse_link
from ocpi_modules.spec import Method, ModuleID
from tests.hub.network import CPO, EMSP, Network, Partner, network, register
from tests.hub.objects.seeds import body_of, keep, push_of
from tests.support.postgres import FreshDatabase

OWNERS = (PartyId("BE", "CPX"), CPO, PartyId("NL", "CPZ"))
START = datetime(2026, 1, 1, tzinfo=UTC)
TARGET = "/sender/tariffs"
Ids = list[tuple[str, str]]


@pytest.fixture
async def net(hub_database: FreshDatabase, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Network]:
    for module in (listing, page_repository):
        monkeypatch.setattr(module, "PAGE_MAP_STEP", 5)
    async with network(hub_database) as built:
        for owner in OWNERS:
            if owner != CPO:
                await register(built.database, built.keys, Partner(owner, "CPO", port=9))
        await built.directory.refresh()
        yield built


def random_push(chance: random.Random, number: int, *, removals: bool) -> Push:
    owner, id = chance.choice(OWNERS), f"T{chance.randrange(60)}"
    method = Method.DELETE if removals and chance.random() < 0.3 else Method.PUT
    when = START + timedelta(minutes=number)
    body = body_of(owner, id, f"{when:%Y-%m-%dT%H:%M:%SZ}")
    audience = chance.choice(("*", "*", str(EMSP)))
    return push_of(owner, id, audience, module=ModuleID.tariffs, method=method, body=body)


async def write(net: Network, chance: random.Random, removed: set[tuple[str, str]], *, removals: bool) -> None:
    """Until cancelled; `removed` hears of an object before it goes, and again afterwards, as it may be cleared in between."""
    number = 0
    while True:
        number += 1
        push = random_push(chance, number, removals=removals)
        gone = {(push.key.owner.party_id, push.key.key_folded)} if push.method is Method.DELETE else set()
        removed |= gone
        await keep(net.database, net.objects, push)
        removed |= gone


async def visible(net: Network) -> set[tuple[str, str]]:
    rows = await net.rows("SELECT DISTINCT owner, key_folded FROM kept_object WHERE listed")
    return {(row["owner"].split("*")[1], row["key_folded"]) for row in rows}


async def crawl(net: Network, *, by_link: bool) -> Ids:
    found: Ids = []
    target = f"{TARGET}?limit=7"
    while True:
        answer = await net.call(net.emsp, "GET", target)
        shown = answer.document["data"]
        found += [(item["party_id"], item["id"]) for item in shown]
        total = int(answer.headers["x-total-count"])
        if by_link:
            link = parse_link(answer.headers.get("link", ""))
            if link is None:
                return found
            target = link
        else:
            offset = int(target.rpartition("offset=")[2]) if "offset=" in target else 0
            if not shown or offset + 7 >= total:
                return found
            target = f"{TARGET}?limit=7&offset={offset + 7}"


@pytest.mark.rule("Q-17", "X-35", "X-38")
@pytest.mark.parametrize("seed", range(3))
async def test_following_links_misses_nothing_and_repeats_nothing(net: Network, seed: int) -> None:
    chance = random.Random(seed)
    await keep(net.database, net.objects, *(random_push(chance, 0, removals=False) for _ in range(60)))
    removed: set[tuple[str, str]] = set()
    writers = [asyncio.create_task(write(net, random.Random(seed * 10 + n), removed, removals=True)) for n in range(2)]
    try:
        for _ in range(4):
            removed.clear()
            there = await visible(net)
            found = await crawl(net, by_link=True)
            assert len(found) == len(set(found))
            assert there - removed <= set(found)
    finally:
        await _ended(writers)


@pytest.mark.rule("Q-17", "X-33")
@pytest.mark.parametrize("seed", range(3))
async def test_bare_offsets_miss_nothing_while_objects_come_in(net: Network, seed: int) -> None:
    chance = random.Random(seed)
    await keep(net.database, net.objects, *(random_push(chance, 0, removals=False) for _ in range(40)))
    writers = [asyncio.create_task(write(net, random.Random(seed * 10 + n), set(), removals=False)) for n in range(2)]
    try:
        for _ in range(4):
            there = await visible(net)
            assert there <= set(await crawl(net, by_link=False))
    finally:
        await _ended(writers)


async def _ended(writers: list[asyncio.Task[None]]) -> None:
    for writer in writers:
        writer.cancel()
    results = await asyncio.gather(*writers, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results), results
