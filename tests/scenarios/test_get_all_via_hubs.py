"""transport_and_format, GET All via Hubs: lists and single objects out of the hub's own store."""

from typing import Any
from urllib.parse import urlsplit

import pytest

from ocpi_modules import json
from tests.scenarios.conftest import CPO, EMSP, HUB, Answer, World, cdr, session
from tests.support import objects
from tests.support.party import Party


def location(number: int, **overrides: Any) -> dict[str, Any]:
    own = {"country_code": "NL", "party_id": "CPO", "id": f"L{number}"}
    return objects.location(**own | {"last_updated": f"2026-03-0{number}T12:00:00Z"} | overrides)


async def push(world: World, path: str, body: Any, method: str = "PUT") -> None:
    assert (await world.call(world.cpo, method, path, body, to=EMSP)).status_code == 1000


async def push_locations(world: World, *numbers: int) -> None:
    for number in numbers:
        await push(world, f"/receiver/locations/NL/CPO/L{number}", location(number))


async def crawl(world: World, path: str) -> tuple[list[str], list[Answer]]:
    """The ids of a list in order, and its pages."""
    ids: list[str] = []
    pages: list[Answer] = []
    while path:
        page = await world.call(world.emsp, "GET", path, to=HUB)
        assert page.status_code == 1000, page.body
        pages.append(page)
        ids += [item["id"] for item in page.data]
        link = page.headers.get("link", "")
        path = link[1:].partition(">")[0].removeprefix(f"{world.url}/ocpi/2.2.1") if link else ""
    return ids, pages


@pytest.mark.rule("R-61", "R-62", "R-64", "R-67", "X-35", "X-36", "G-09", "L-11")
async def test_the_list_is_in_the_order_of_creation_out_of_the_hubs_own_store(world: World) -> None:
    await push_locations(world, 3, 1, 2)
    await push(world, "/receiver/locations/NL/CPO/L3", location(3, last_updated="2026-03-09T12:00:00Z"))
    ids, pages = await crawl(world, "/sender/locations?limit=1")
    assert ids == ["L3", "L1", "L2"]
    assert world.cpo.received("GET", "locations") == []
    for page in pages:
        assert page.headers["x-total-count"] == "3"
        assert (page.headers["ocpi-to-party-id"], page.headers["ocpi-from-party-id"]) == ("MSP", "HUB")


@pytest.mark.rule("X-38", "X-39", "X-41", "X-42", "X-34", "X-33")
async def test_each_page_but_the_last_links_to_the_next_with_the_same_filters(world: World) -> None:
    await push_locations(world, 1, 2, 3, 4, 5)
    filters = "date_from=2026-03-02T00:00:00Z&date_to=2026-03-05T00:00:00Z"
    ids, pages = await crawl(world, f"/sender/locations?{filters}&limit=2")
    assert ids == ["L2", "L3", "L4"]
    assert ["link" in page.headers for page in pages] == [True, False]
    query = urlsplit(pages[0].headers["link"][1:].partition(">")[0]).query.replace("%3A", ":")
    assert set(f"{filters}&limit=2&offset=2".split("&")) <= set(query.split("&"))
    assert {page.headers["x-total-count"] for page in pages} == {"3"}
    huge = await world.call(world.emsp, "GET", "/sender/locations?limit=2000", to=HUB)
    assert huge.headers["x-limit"] == pages[0].headers["x-limit"] == "100"
    beyond = await world.call(world.emsp, "GET", "/sender/locations?offset=5", to=HUB)
    assert (beyond.data, beyond.headers["x-total-count"], "link" in beyond.headers) == ([], "5", False)


@pytest.mark.rule("X-31", "X-32", "Y-11", "G-10")
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("date_from=2026-03-01T12:00:00Z", ["L1", "L2"]),
        ("date_from=2026-03-01T12:00:00.000001Z", ["L2"]),
        ("date_to=2026-03-02T12:00:00Z", ["L1"]),
        ("date_to=2026-03-02T12:00:00.000001Z", ["L1", "L2"]),
        ("date_from=2026-03-01T12:00:00&date_to=2026-03-01T12:00:00", []),
        ("date_from=2026-03-02T12:00:00+00:00", ["L2"]),
    ],
)
async def test_the_start_of_a_window_belongs_to_it_and_its_end_does_not(
    world: World, query: str, found: list[str]
) -> None:
    await push_locations(world, 1, 2)
    assert (await crawl(world, f"/sender/locations?{query}"))[0] == found


@pytest.mark.rule("X-40", "G-73", "X-28", "R-66", "D-24", "U-49")
async def test_a_list_and_its_total_hold_what_the_asker_may_see(world: World) -> None:
    async with Party.running(("EMSP", "FR/OTH")) as other:
        await other.register(world.versions_url, await world.invite(("EMSP", "FR/OTH")))
        await push_locations(world, 1)
        await push(world, "/receiver/sessions/NL/CPO/S1", session())
        await push(world, "/receiver/cdrs", cdr(), "POST")
        for module, id_ in (("locations", "L1"), ("sessions", "S1"), ("cdrs", "C1")):
            path = f"/sender/{module}?date_from=2000-01-01T00:00:00Z"
            ids, [page] = await crawl(world, path)
            assert (ids, page.headers["x-total-count"]) == ([id_], "1"), module
            theirs = await world.call(other, "GET", path, to=HUB)
            assert (theirs.data, theirs.headers["x-total-count"]) == ([], "0"), module
            assert b"S1" not in theirs.body
        mine = await world.call(world.cpo, "GET", "/sender/tokens", to=HUB)
        assert mine.data == []


@pytest.mark.rule("L-13", "G-26", "U-08", "L-15", "X-70")
async def test_one_object_is_read_from_the_hubs_copy_at_each_level(world: World) -> None:
    evse = objects.evse(uid="E1", connectors=[objects.connector(id="1", max_amperage=63)])
    await push(world, "/receiver/locations/NL/CPO/L1", location(1, evses=[evse]))
    for path, field, value in (("", "id", "L1"), ("/E1", "uid", "E1"), ("/e1/1", "max_amperage", 63)):
        answer = await world.call(world.emsp, "GET", f"/sender/locations/l1{path}", to=HUB)
        assert answer.data[field] == value, answer.body
    assert (await world.call(world.emsp, "GET", "/sender/locations/L2", to=HUB)).http_status == 404
    own = await world.call(world.cpo, "GET", "/receiver/locations/NL/CPO/L1", to=HUB)
    assert own.data["id"] == "L1"


@pytest.mark.rule("T-07", "T-01", "T-03")
async def test_a_deleted_tariff_is_missing_from_the_whole_list_and_shows_in_no_window(world: World) -> None:
    for id_ in ("T1", "T2"):
        tariff = objects.tariff(country_code="NL", party_id="CPO", id=id_, last_updated="2026-03-01T12:00:00Z")
        await push(world, f"/receiver/tariffs/NL/CPO/{id_}", tariff)
    await push(world, "/receiver/tariffs/NL/CPO/T1", b"", "DELETE")
    assert (await crawl(world, "/sender/tariffs"))[0] == ["T2"]
    assert (await crawl(world, "/sender/tariffs?date_from=2026-03-02T00:00:00Z"))[0] == []


@pytest.mark.rule("X-30", "X-61", "X-43", "R-72", "U-09")
@pytest.mark.parametrize("module", ["locations", "sessions", "cdrs", "tariffs"])
async def test_everything_may_be_left_out_and_a_list_is_an_array(world: World, module: str) -> None:
    answer = await world.call(world.emsp, "GET", f"/sender/{module}")
    assert (answer.http_status, answer.status_code, answer.data) == (200, 1000, [])
    assert (answer.headers["x-total-count"], answer.headers["x-limit"]) == ("0", "100")
    assert "link" not in answer.headers


@pytest.mark.rule("R-17", "R-18", "R-63", "G-69")
async def test_a_listed_object_has_the_bytes_its_owner_wrote(world: World) -> None:
    body = json.encode(location(1)).replace(b'"id":"L1"', b'"id" : "L1","x":[1.10, 1E2,"\\u00e9"]')
    await push(world, "/receiver/locations/NL/CPO/L1", body)
    answer = await world.call(world.emsp, "GET", "/sender/locations", to=HUB)
    assert body in answer.body
    assert answer.data[0]["party_id"] == CPO.party_id
