"""Pages against a model in memory, after random pushes, with a page map of small steps."""

import contextlib
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hub.db.engine import Database, open_pool
from hub.objects import listing, page_repository
from hub.objects.keep import KeptObjects
from hub.objects.pages import Asking, Found, Key, Pages
from ocpi_modules import json
from ocpi_modules.message import PartyId
from ocpi_modules.paging import PageRequest
from ocpi_modules.spec import Method, ModuleID
from tests.hub.objects.seeds import assert_exact, body_of, keep, push_of
from tests.support.postgres import FreshDatabase

OWNERS = (PartyId("BE", "AAA"), PartyId("NL", "BBB"), PartyId("NL", "CCC"))
VIEWERS = (PartyId("DE", "MSP"), PartyId("FR", "MSX"))
START = datetime(2026, 1, 1, tzinfo=UTC)
STEP = 3
Copies = dict[str, tuple[datetime, bytes]]


@pytest.fixture
async def database(hub_database: FreshDatabase) -> AsyncIterator[Database]:
    database = Database(await open_pool(hub_database.app_dsn, max_size=4, application_name="test"))
    yield database
    await database.close()


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (listing, page_repository):
        monkeypatch.setattr(module, "PAGE_MAP_STEP", STEP)


class Model:
    """What the store should hold: for each owner the objects in their order, each with its copies by audience."""

    def __init__(self) -> None:
        self.objects: dict[PartyId, dict[str, Copies]] = {owner: {} for owner in OWNERS}

    def put(self, owner: PartyId, id: str, audience: str, when: datetime, body: bytes) -> None:
        self.objects[owner].setdefault(id, {})[audience] = (when, body)

    def delete(self, owner: PartyId, id: str, audience: str) -> None:
        self.objects[owner].get(id, {}).pop(audience, None)

    def list(self, viewer: PartyId) -> list[tuple[datetime, bytes]]:
        found = []
        for owner in [viewer] if viewer in OWNERS else sorted(OWNERS, key=str):
            for copies in self.objects[owner].values():
                newest = max(copies.values(), default=None)
                copy = newest if owner == viewer else copies.get(str(viewer)) or copies.get("*")
                found += [copy] if copy else []
        return found


def asking(viewer: PartyId, page: PageRequest, after: Key | None = None) -> Asking:
    owns = viewer in OWNERS
    return Asking(ModuleID.tariffs, viewer, page, lambda owner: True, others=not owns, own=owns, after=after)


async def push_at_random(database: Database, model: Model, seed: int, *, pushes: int) -> None:
    chance = random.Random(seed)
    objects = KeptObjects(database=database, clock=lambda: START)
    for minute in range(pushes):
        owner, id = chance.choice(OWNERS), f"T{chance.randrange(25)}"
        audience = chance.choice(("*", "*", *map(str, VIEWERS)))
        method = Method.DELETE if chance.random() < 0.3 else Method.PUT
        when = START + timedelta(minutes=minute)
        body = body_of(owner, id, f"{when:%Y-%m-%dT%H:%M:%SZ}", audience=audience)
        await keep(database, objects, push_of(owner, id, audience, module=ModuleID.tariffs, method=method, body=body))
        if method is Method.DELETE:
            model.delete(owner, id, audience)
        else:
            model.put(owner, id, audience, when, body)


@pytest.mark.rule("X-40", "X-33", "X-35", "Q-17")
@pytest.mark.parametrize("seed", range(8))
async def test_every_page_of_every_viewer_is_that_of_the_model(database: Database, seed: int) -> None:
    model = Model()
    await push_at_random(database, model, seed, pushes=220)
    pages = Pages(database)
    for viewer in (*VIEWERS, OWNERS[1]):
        expected = [body for _, body in model.list(viewer)]
        for offset in range(0, len(expected) + 2):
            found = await pages.read(asking(viewer, PageRequest(100, 4, offset)))
            assert (found.bodies, found.total) == (b",".join(expected[offset : offset + 4]), len(expected))
            assert (found.next is not None) == (offset + 4 < len(expected))
        followed, key = [], None
        while True:
            found = await pages.read(asking(viewer, PageRequest(100, 4), key))
            followed += [found.bodies] if found.count else []
            if (key := found.next) is None:
                break
        assert b",".join(followed) == b",".join(expected)


@pytest.mark.rule("X-31", "X-32", "X-40")
@pytest.mark.parametrize("seed", range(3))
async def test_filtered_pages_are_those_of_the_model(
    database: Database, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Model()
    await push_at_random(database, model, seed, pushes=200)
    pages = Pages(database)
    for few, viewer, (first, last) in (
        (few, viewer, span)
        for few in (1, 1000)
        for viewer in (*VIEWERS, OWNERS[1])
        for span in ((0, 120), (120, 180), (190, 300))
    ):
        monkeypatch.setattr("hub.objects.pages._FEW", few)
        span = (START + timedelta(minutes=first), START + timedelta(minutes=last))
        expected = [body for when, body in model.list(viewer) if span[0] <= when < span[1]]
        for offset in range(0, len(expected) + 1, 3):
            found = await pages.read(asking(viewer, PageRequest(100, 4, offset, *span)))
            assert (found.bodies, found.total) == (b",".join(expected[offset : offset + 4]), len(expected))


@pytest.mark.parametrize("seed", range(3))
async def test_counters_and_page_map_are_exact_after_every_change(database: Database, seed: int) -> None:
    model = Model()
    for part in range(12):
        await push_at_random(database, model, 100 * seed + part, pushes=20)
        await assert_exact(database, STEP)


class Counting(Database):
    """Counts its statements."""

    statements = 0

    @contextlib.asynccontextmanager
    async def connection(self, deadline: float | None = None) -> AsyncIterator[Any]:
        def heard(_: Any) -> None:
            self.statements += 1

        async with super().connection(deadline) as connection:
            with connection.query_logger(heard):
                yield connection


@pytest.fixture
async def counting(hub_database: FreshDatabase) -> AsyncIterator[Counting]:
    database = Counting(await open_pool(hub_database.app_dsn, max_size=1, application_name="test"))
    yield database
    await database.close()


async def put(database: Database, owner: PartyId, *ids: str, audience: str = "*", method: Method = Method.PUT) -> None:
    objects = KeptObjects(database=database, clock=lambda: START)
    pushes = (push_of(owner, id, audience, module=ModuleID.tariffs, method=method) for id in ids)
    await keep(database, objects, *pushes)


def ids_of(found: Found) -> list[str]:
    return [item["id"] for item in json.decode(b"[%b]" % found.bodies)]


async def test_a_page_that_lies_where_the_last_one_let_expect_is_one_statement(counting: Counting) -> None:
    await put(counting, OWNERS[0], *"ABCDEFGH")
    pages, viewer = Pages(counting), VIEWERS[0]
    first = await pages.read(asking(viewer, PageRequest(100, 3)))
    for page, after in ((PageRequest(100, 3, 4), None), (PageRequest(100, 3), first.next)):
        counting.statements = 0
        found = await pages.read(asking(viewer, page, after))
        assert (counting.statements, found.count, found.total) == (1, 3, 8)


@pytest.mark.rule("X-40", "G-73")
async def test_an_owner_that_is_not_seen_any_more_is_neither_shown_nor_counted(counting: Counting) -> None:
    await put(counting, OWNERS[0], *"ABC")
    await put(counting, OWNERS[1], *"DEFGH")
    pages, everybody = Pages(counting), asking(VIEWERS[0], PageRequest(100, 2))
    first = await pages.read(everybody)
    assert (ids_of(first), first.total) == (["A", "B"], 8)
    for offset, after in ((0, None), (2, None), (0, first.next)):
        await pages.read(everybody)
        page = PageRequest(100, 2, offset)
        left = replace(everybody, page=page, after=after, sees=lambda owner: owner == OWNERS[1])
        found = await pages.read(left)
        assert (ids_of(found), found.total) == (["F", "G"] if offset else ["D", "E"], 5)


async def test_what_was_written_since_the_last_page_moves_the_next_one(counting: Counting) -> None:
    await put(counting, OWNERS[1], *"ABCD")
    pages, viewer = Pages(counting), VIEWERS[0]
    first = await pages.read(asking(viewer, PageRequest(100, 2)))
    await put(counting, OWNERS[0], *"XYZ")
    found = await pages.read(asking(viewer, PageRequest(100, 2, 4)))
    assert (ids_of(found), found.total) == (["B", "C"], 7)
    await put(counting, OWNERS[1], "B", audience=str(viewer))
    found = await pages.read(asking(viewer, PageRequest(100, 2), first.next))
    assert (ids_of(found), found.total) == (["C", "D"], 7)
    await put(counting, OWNERS[0], *"XYZ", method=Method.DELETE)
    found = await pages.read(asking(viewer, PageRequest(100, 2, 3)))
    assert (ids_of(found), found.total, found.next) == (["D"], 4, None)


async def test_a_viewer_with_very_many_owners_is_not_remembered(
    counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.objects.pages._SHELVES_REMEMBERED", 1)
    monkeypatch.setattr("hub.objects.pages._VIEWERS_REMEMBERED", 1)
    await put(counting, OWNERS[0], *"AB")
    pages = Pages(counting)
    for viewer in (VIEWERS[0], VIEWERS[1], VIEWERS[0]):
        counting.statements = 0
        await pages.read(asking(viewer, PageRequest(100, 2)))
        assert counting.statements == 2
    await put(counting, OWNERS[1], *"CD")
    for _ in range(2):
        counting.statements = 0
        assert ids_of(await pages.read(asking(VIEWERS[0], PageRequest(100, 2, 2)))) == ["C", "D"]
    assert counting.statements == 2


@pytest.mark.rule("X-34")
async def test_an_owner_that_comes_in_front_of_the_guessed_one_makes_no_page_longer(counting: Counting) -> None:
    await put(counting, OWNERS[1], *"DEFGH")
    pages, viewer = Pages(counting), VIEWERS[0]
    assert ids_of(await pages.read(asking(viewer, PageRequest(100, 3)))) == ["D", "E", "F"]
    await put(counting, OWNERS[0], "A")
    await put(counting, OWNERS[0], "A", audience=str(viewer))
    found = await pages.read(asking(viewer, PageRequest(100, 3)))
    assert (ids_of(found), found.total) == (["A", "D", "E"], 6)
