"""transport_and_format, Pagination: lists of one party through the hub, and the hub's own list."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from ocpi_modules import headers as names
from tests.scenarios.conftest import CPO, EMSP, World
from tests.support.party import Party, Scripted

LISTS = {
    "locations": ("L-11", "X-30"),
    "sessions": ("S-04", "X-30"),
    "cdrs": ("D-13", "X-30"),
    "tariffs": ("T-02", "X-30"),
    "tokens": ("K-07", "X-30"),
}
FILTERS = "date_from=2026-01-01T00:00:00Z&date_to=2026-02-01T00:00:00Z"


@pytest.mark.rule("X-38", "X-39", "X-23", "R-67", "R-68")
@pytest.mark.parametrize(
    "module", [pytest.param(module, marks=pytest.mark.rule(*ids)) for module, ids in LISTS.items()]
)
async def test_the_list_of_one_party_is_crawled_page_by_page_through_the_hub(world: World, module: str) -> None:
    asker, owner = (world.cpo, world.emsp) if module == "tokens" else (world.emsp, world.cpo)
    theirs = f"{owner.url}/ocpi/2.2.1/sender/{module}?{FILTERS}&offset=2&limit=2"
    counts = {names.TOTAL_COUNT: "3", names.LIMIT: "2"}
    owner.script(
        "GET",
        module,
        Scripted(data=[1, 2], headers={**counts, names.LINK: f'<{theirs}>; rel="next"'}),
        Scripted(data=[3], headers=counts),
    )
    first = await world.call(asker, "GET", f"/sender/{module}?{FILTERS}&limit=5", to=owner.id)
    assert (first.data, first.headers["x-total-count"], first.headers["x-limit"]) == ([1, 2], "3", "2")
    assert parse_qs(owner.received("GET", module)[0].query) == parse_qs(f"{FILTERS}&limit=5")
    link = first.headers["link"]
    assert link.startswith(f"<{world.url}/ocpi/2.2.1/sender/{module}?")
    assert link.endswith('>; rel="next"')
    following = link[1:].partition(">")[0].removeprefix(f"{world.url}/ocpi/2.2.1")
    last = await world.call(asker, "GET", following)
    assert (last.data, "link" in last.headers) == ([3], False)
    assert parse_qs(owner.received("GET", module)[1].query) == parse_qs(f"{FILTERS}&offset=2&limit=2")


async def infos(world: World, query: str = "") -> Any:
    return await world.call(world.cpo, "GET", f"/sender/hubclientinfo{query}")


@pytest.mark.rule("X-31", "X-32", "X-33", "X-34", "X-40", "X-41", "X-42", "X-46")
async def test_the_hubs_own_list_has_pages_totals_and_dates(world: World) -> None:
    async with Party.running(("EMSP", "FR/AAA"), ("EMSP", "FR/BBB")) as party:
        await party.register(world.versions_url, await world.invite(("EMSP", "FR/AAA"), ("EMSP", "FR/BBB")))
        whole = await infos(world)
        assert len(whole.data) == 3
        assert (whole.headers["x-total-count"], "link" in whole.headers) == ("3", False)
        cap = whole.headers["x-limit"]
        many = await infos(world, "?limit=100000")
        assert (many.headers["x-limit"], len(many.data)) == (cap, 3)
        seen, path = [], "?limit=2"
        while path:
            page = await infos(world, path)
            assert page.headers["x-total-count"] == "3"
            assert page.headers["x-limit"] == cap
            seen += page.data
            path = "?" + urlsplit(page.headers["link"][1:].partition(">")[0]).query if "link" in page.headers else ""
        assert seen == whole.data
        assert (await infos(world, "?offset=1")).data == whole.data[1:]
        assert (await infos(world, "?offset=7")).data == []


@pytest.mark.rule("X-47", "U-37")
@pytest.mark.parametrize("query", ["limit=0", "limit=-1", "limit=x", "offset=-1", "date_from=yesterday", "date_to=1"])
async def test_a_wrong_parameter_is_2001_in_http_200_and_named(world: World, query: str) -> None:
    answer = await infos(world, f"?{query}")
    assert (answer.http_status, answer.status_code) == (200, 2001)
    assert query.partition("=")[0] in answer.message


@pytest.mark.rule("S-05", "X-30")
async def test_sessions_without_date_from_are_served_too(world: World) -> None:
    world.cpo.script("GET", "sessions", Scripted(data=[]))
    answer = await world.call(world.emsp, "GET", "/sender/sessions", to=CPO)
    assert (answer.status_code, answer.data) == (1000, [])


@pytest.mark.rule("D-12", "X-28", "R-07")
async def test_a_list_is_asked_of_its_owner_in_the_name_of_the_asker(world: World) -> None:
    world.cpo.script("GET", "cdrs", Scripted(data=[]))
    await world.call(world.emsp, "GET", "/sender/cdrs", to=CPO)
    [seen] = world.cpo.received("GET", "cdrs")
    assert (seen.to, seen.sender) == (CPO, EMSP)
