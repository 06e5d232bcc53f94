"""What a pull brings into the hub's store, and what it leaves alone."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from hub.parties import repository as parties
from hub.pulls import crawl, pages
from ocpi_modules import json
from tests.hub.delivery.world import pushed, until
from tests.hub.network import CPO, HUB, accepted
from tests.hub.pulls.world import (
    LOCATIONS,
    Listing,
    World,
    location,
    locations,
    running,
    statuses,
    tariff,
    token,
    world,
)
from tests.support import objects
from tests.support.postgres import FreshDatabase

LATER = "2026-03-01T12:20:00Z"


@pytest.fixture
async def here(hub_database: FreshDatabase) -> AsyncIterator[World]:
    async with world(hub_database) as built:
        yield built


async def push(here: World, body: bytes, method: str = "PUT", module: str = "locations") -> None:
    path = f"/receiver/{module}/NL/CPO/{json.decode(body)['id']}"
    answer = await here.net.call(here.net.cpo, method, path, body if method == "PUT" else b"")
    assert answer.status_code == 1000, answer.message


# What comes


@pytest.mark.rule("U-10", "U-51", "R-65")
async def test_every_page_is_kept_as_spelled_and_asked_for_as_the_hub(here: World) -> None:
    odd = location("L9").replace(b'"id":"L9"', b'"id" : "l9", "x_unknown":[1.10, 1E2,"\\u00e9"]')
    here.listing.bodies = [*locations(4), odd]
    row = await here.pull()
    counted = [row[name] for name in ("state", "pages", "objects", "changed", "vanished", "refused", "said", "flag")]
    assert counted == ["DONE", 3, 5, 5, 0, 0, "", ""]
    assert await here.kept() == {f"L{number}": body for number, body in enumerate(here.listing.bodies[:4])} | {
        "L9": odd
    }
    assert here.listing.offsets == [0, 2, 4]
    first = here.net.cpo.seen[0]
    assert first.routing == (str(CPO), str(HUB))
    assert first.headers["authorization"].startswith("Token ")
    assert dict(here.listing.asked[0]) == {"offset": "0", "limit": str(pages.LIMIT)}


@pytest.mark.rule("X-34")
async def test_a_page_is_asked_for_with_the_platforms_own_cap(here: World) -> None:
    async with here.net.database.transaction() as connection:
        await parties.change_switches(connection, here.net.cpo.platform_id, {"page_cap": 7}, [])
        await parties.touch(connection, here.net.cpo.platform_id)
    await here.net.directory.refresh()
    await here.pull()
    assert dict(here.listing.asked[0])["limit"] == "7"


@pytest.mark.rule("R-65")
async def test_what_was_pulled_is_delivered_as_what_was_pushed(here: World) -> None:
    here.listing.bodies = locations(3)
    await here.pull()
    async with running(here.net.delivery.run):
        await until(lambda: len(pushed(here.net.emsp)) == 3)
    assert sorted(seen.body for seen in pushed(here.net.emsp)) == sorted(here.listing.bodies)


async def test_what_did_not_change_makes_no_change(here: World) -> None:
    here.listing.bodies = locations(4)
    await here.pull()
    here.listing.bodies[1] = location("L1", name="same time")
    here.listing.bodies[2] = location("L2", name="newer", last_updated=LATER)
    row = await here.pull(whole=True)
    assert (row["objects"], row["changed"]) == (4, 1)
    assert await here.changes() == ["L0", "L1", "L2", "L3", "L2"]
    assert (await here.kept())["L2"] == here.listing.bodies[2]
    assert b"same time" not in (await here.kept())["L1"]


@pytest.mark.rule("X-29", "X-57", "X-58")
@pytest.mark.promise("S-11")
async def test_wrong_objects_are_counted_and_told_and_stop_nothing(here: World) -> None:
    here.listing.bodies = [
        location("L0"),
        location("L1", country_code="BE"),
        location("L2", party_id="OTH"),
        location("L3", time_zone=None),
        location("L4", last_updated="2027-01-01T00:00:00Z"),
        location("L5"),
    ]
    row = await here.pull()
    assert (row["state"], row["objects"], row["changed"], row["refused"]) == ("DONE", 6, 2, 4)
    assert row["said"] == (
        "locations 'L4': last_updated is 2027-01-01T00:00:00Z, more than a day from now; set the clock right and push again."
    )
    assert set(await here.kept()) == {"L0", "L5"}


@pytest.mark.rule("X-21")
@pytest.mark.parametrize("data", [b'"data":null,', b""], ids=["null", "left out"])
async def test_a_list_of_nothing_may_be_null_or_left_out(here: World, data: bytes) -> None:
    """As stacks write it whose language has no empty lists (Go)."""
    body = b"{" + data + b'"status_code":1000,"timestamp":"2026-03-01T12:00:00Z"}'
    here.listing.before = lambda offset: (200, {"X-Total-Count": "0", "X-Limit": "2"}, body)
    row = await here.pull()
    assert (row["state"], row["pages"], row["objects"], row["said"]) == ("DONE", 1, 0, "")


@pytest.mark.rule("X-31", "X-45")
async def test_the_second_reading_asks_for_changes_and_takes_nothing_out(here: World) -> None:
    here.listing.bodies = locations(4)
    await here.pull()
    here.listing.bodies = [location("L2", last_updated=LATER)]
    row = await here.pull()
    assert here.listing.asked[-1]["date_from"] == "2026-03-01T11:30:00.000Z"
    assert (row["state"], row["whole"], row["changed"], row["vanished"]) == ("DONE", False, 1, 0)
    assert set(await here.kept()) == {"L0", "L1", "L2", "L3"}
    assert all("REMOVED" not in statuses(body) for body in (await here.kept()).values())


# Newer pushes


@pytest.mark.rule("U-33")
async def test_what_is_pushed_while_a_page_is_under_way_wins(here: World) -> None:
    newer = location("L1", name="pushed", last_updated=LATER)

    async def before(offset: int) -> None:
        if offset == 0:
            await push(here, newer)

    here.listing.bodies = locations(4)
    here.listing.before = before
    row = await here.pull()
    assert (row["state"], row["changed"]) == ("DONE", 3)
    assert (await here.kept())["L1"] == newer


async def test_what_is_deleted_while_a_page_is_under_way_stays_deleted_and_comes_back_when_listed_later(
    here: World,
) -> None:
    async def before(offset: int) -> None:
        if offset == 2:
            await push(here, tariff("T2"), "DELETE", "tariffs")

    here.listing.bodies = [tariff(f"T{number}") for number in range(4)]
    await push(here, tariff("T2"), module="tariffs")
    here.listing.before = before
    await here.pull("tariffs")
    assert set(await here.kept()) == {"T0", "T1", "T3"}
    here.listing.before = lambda offset: None
    await here.pull("tariffs", whole=True)
    assert set(await here.kept()) == {"T0", "T1", "T2", "T3"}


# What vanished


@pytest.mark.rule("X-44", "L-16")
async def test_evses_of_a_location_that_is_on_no_page_are_removed(here: World) -> None:
    two = [objects.evse(uid="E1"), objects.evse(uid="E2", status="CHARGING")]
    gone = location("L3", evses=two).replace(b'"id":"L3"', b'"id": "L3","x_unknown":1.10')
    here.listing.bodies = [*locations(3), gone]
    await here.pull()
    del here.listing.bodies[3]
    row = await here.pull(whole=True)
    assert (row["state"], row["vanished"], row["said"]) == ("DONE", 1, "")
    body = (await here.kept())["L3"]
    assert statuses(body) == ["REMOVED", "REMOVED"]
    document = json.decode(body)
    assert {document["last_updated"], *(evse["last_updated"] for evse in document["evses"])} == {
        "2026-03-01T12:30:00.000Z"
    }
    before, after = json.members(gone), json.members(body)
    assert {name for name in before if bytes(before[name]) != bytes(after[name])} == {"evses", "last_updated"}
    assert [statuses(body) for key, body in (await here.kept()).items() if key != "L3"] == [["AVAILABLE"]] * 3
    async with running(here.net.delivery.run):
        await until(lambda: len(pushed(here.net.emsp)) == 4)
    assert body in [seen.body for seen in pushed(here.net.emsp)]
    assert (await here.pull(whole=True))["vanished"] == 0


async def test_the_hubs_word_about_what_vanished_yields_to_the_owners(here: World) -> None:
    here.listing.bodies = locations(4)
    await here.pull()
    whole = here.listing.bodies
    here.listing.bodies = whole[:2]
    assert (await here.pull(whole=True))["vanished"] == 2
    late = location("L3", name="late", last_updated="2026-03-01T12:10:00Z")
    await push(here, late)
    here.listing.bodies = whole
    assert (await here.pull(whole=True))["changed"] == 1
    kept = await here.kept()
    assert (kept["L2"], kept["L3"]) == (whole[2], late)


@pytest.mark.rule("X-44", "T-04")
async def test_a_tariff_that_is_on_no_page_is_deleted(here: World) -> None:
    here.listing.bodies = [tariff(f"T{number}") for number in range(4)]
    await here.pull("tariffs")
    async with running(here.net.delivery.run):
        await until(lambda: len(pushed(here.net.emsp)) == 4)
        del here.listing.bodies[1]
        assert (await here.pull("tariffs", whole=True))["vanished"] == 1
        assert set(await here.kept()) == {"T0", "T2", "T3"}
        await until(lambda: len(pushed(here.net.emsp)) == 5)
    last = pushed(here.net.emsp)[-1]
    assert (last.method, last.target.rpartition("/")[2]) == ("DELETE", "T1")


async def test_a_token_that_is_on_no_page_stays_valid_and_is_told(here: World) -> None:
    listing = Listing(here.net.emsp, [token(f"T{number}") for number in range(3)])
    await here.pull("tokens", "DE*MSP")
    kept = await here.kept()
    del listing.bodies[0]
    row = await here.pull("tokens", "DE*MSP", whole=True)
    assert (row["state"], row["vanished"], await here.kept()) == ("DONE", 1, kept)
    assert "stay as they are" in row["said"]


@pytest.mark.rule("X-44")
async def test_what_is_pushed_during_the_run_has_not_vanished(here: World) -> None:
    """Known before and pushed again, new, and pushed with an older time: none is on the pages."""
    here.listing.bodies = locations(4)
    await push(here, location("OLD"))
    await push(here, location("GONE"))

    async def before(offset: int) -> None:
        if offset == 2 and "NEW" not in await here.kept():
            await push(here, location("NEW"))
            await push(here, location("OLD", last_updated=LATER))

    here.listing.before = before
    assert (await here.pull(whole=True))["vanished"] == 1
    gone = [key for key, body in (await here.kept()).items() if "REMOVED" in statuses(body)]
    assert gone == ["GONE"]


async def test_what_was_for_one_party_is_not_touched(here: World) -> None:
    body = location("L7")
    await here.net.call(here.net.cpo, "PUT", f"{LOCATIONS}/L7", body, to=here.net.emsp.party)
    here.listing.bodies = locations(2)
    assert (await here.pull(whole=True))["vanished"] == 0
    rows = await here.net.rows("SELECT body FROM kept_object WHERE audience <> '*'")
    assert [row["body"] for row in rows] == [body]


async def test_an_object_that_slips_from_page_to_page_has_not_vanished(here: World) -> None:
    """The list shrinks at its beginning while it is read; the object that moved is found at the second look."""
    here.listing.bodies = locations(5)
    await here.pull()

    async def before(offset: int) -> None:
        if offset == 2 and len(here.listing.bodies) == 5:
            del here.listing.bodies[0]

    here.listing.before = before
    row = await here.pull(whole=True)
    assert (row["state"], row["vanished"], row["pages"], here.listing.offsets[3:]) == ("DONE", 0, 4, [0, 2, 0, 2])
    row = await here.pull(whole=True)
    assert row["vanished"] == 1
    assert [key for key, body in (await here.kept()).items() if "REMOVED" in statuses(body)] == ["L0"]


async def test_what_is_listed_but_wrong_has_not_vanished(here: World) -> None:
    here.listing.bodies = locations(3)
    await here.pull()
    here.listing.bodies[1] = location("L1", time_zone="Nowhere", last_updated=LATER)
    row = await here.pull(whole=True)
    assert (row["refused"], row["vanished"]) == (1, 0)


async def test_an_entry_without_a_name_may_be_any_object(here: World) -> None:
    here.listing.bodies = locations(3)
    await here.pull()
    here.listing.bodies = [location("L0"), location("L1").replace(b'"id":"L1",', b"")]
    row = await here.pull(whole=True)
    assert (row["state"], row["vanished"], row["refused"]) == ("DONE", 0, 1)
    assert "nothing was taken out" in row["said"]


async def test_a_run_of_the_schedule_does_not_take_out_most_of_what_there_is(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crawl, "FEW", 2)
    here.listing.bodies = locations(5)
    await here.pull()
    here.listing.bodies = locations(2)
    row = await here.pull(whole=True, by_hand=False)
    assert (row["state"], row["vanished"]) == ("DONE", 0)
    assert "3 of 5 objects are not in its list" in row["said"]
    assert (await here.pull(whole=True, by_hand=True))["vanished"] == 3


# Runs that do not come to the end


def refusing(status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> Any:
    return lambda offset: (status, headers or {}, body) if offset else None


NO = b'{"status_code":2000,"status_message":"no","timestamp":"2026-03-01T12:00:00Z"}'


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        ({"before": refusing(200, body=NO)}, "OCPI 2000: no"),
        ({"before": refusing(200, body=b'{"data":{},' + NO[1:].replace(b"2000", b"1000"))}, "not an array"),
        ({"before": refusing(422, body=b'{"detail":[]}')}, "HTTP 422"),
        ({"total": 9}, "X-Total-Count names 7 more"),
        ({"link": lambda after: "?offset=0"}, "came twice"),
    ],
)
@pytest.mark.rule("X-44", "X-46")
async def test_after_a_run_that_broke_off_nothing_has_vanished(here: World, spoil: dict[str, Any], words: str) -> None:
    here.listing.bodies = locations(4)
    await here.pull()
    before = await here.kept()
    here.listing.bodies = here.listing.bodies[:2] if "total" in spoil else here.listing.bodies[:3]
    for name, value in spoil.items():
        setattr(here.listing, name, value)
    row = await here.pull(whole=True)
    assert (row["state"], row["vanished"], await here.kept()) == ("FAILED", 0, before)
    assert words in row["said"]
    assert row["succeeded_at"] is not None


@pytest.mark.rule("F-21")
async def test_a_giant_page_is_refused_in_a_sentence(here: World) -> None:
    here.listing.before = lambda offset: (200, {}, b" " * (11 * 1024 * 1024))
    row = await here.pull()
    assert (row["state"], row["pages"]) == ("FAILED", 0)
    assert row["said"]
    assert len(here.listing.asked) == 1


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_waited_for_and_the_same_page_asked_again(here: World, status: int) -> None:
    here.listing.bodies = locations(4)
    here.listing.before = refusing(status, {"Retry-After": "1000"})
    await here.want()
    async with running(here.worker.run):
        async with asyncio.timeout(10):
            while (await here.row()).get("not_before") is None:
                await asyncio.sleep(0.02)
    [row] = await here.net.rows("SELECT *, not_before - clock_timestamp() AS wait FROM pull WHERE module = 'locations'")
    assert (row["state"], row["pages"], row["failures"], row["holder"]) == ("RUNNING", 1, 1, None)
    assert 900 < row["wait"].total_seconds() <= 1000
    here.listing.before = lambda offset: None
    await here.net.database._pool.execute("UPDATE pull SET not_before = clock_timestamp()")
    async with running(here.worker.run):
        row = await here.ended()
    assert (row["state"], row["pages"], row["said"], here.listing.offsets) == ("DONE", 2, "", [0, 2, 2])


async def test_a_party_that_keeps_failing_is_given_up(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crawl, "FIRST_PAUSE_SECONDS", 0.0)
    here.listing.before = lambda offset: (502, {}, b"gateway")
    row = await here.pull()
    assert (row["state"], len(here.listing.asked)) == ("FAILED", crawl.TRIES)


async def test_what_was_switched_off_ends_with_the_reason(here: World) -> None:
    await here.net.database._pool.execute('UPDATE platform SET switches = \'{"pull": "never"}\', revision = 99')
    await here.net.directory.refresh()
    row = await here.pull()
    assert (row["state"], here.listing.asked) == ("FAILED", [])
    assert "switched off" in row["said"]


# Links


@pytest.mark.parametrize(
    "link",
    [
        "https://127.0.0.1/cpo/sender/v/locations?offset={after}&limit=2",
        "http://internal:8000/ocpi/locations?offset={after}&date_from=None",
        "http://internal:8000/broken",
        "/elsewhere?offset={after}",
        "http://[bad",
    ],
)
@pytest.mark.rule("G-08", "X-46")
async def test_a_link_that_leads_elsewhere_is_counted_on_at_the_endpoint_and_flagged(here: World, link: str) -> None:
    here.listing.bodies = locations(5)
    here.listing.link = lambda after: link.format(after=after)
    row = await here.pull()
    assert (row["state"], row["objects"], here.listing.offsets) == ("DONE", 5, [0, 2, 4])
    assert "lead away" in row["flag"]
    assert [query.get("date_from") for query in here.listing.asked] == [None] * 3


@pytest.mark.rule("X-46")
async def test_pages_without_a_link_are_counted_on_to_the_total_and_flagged(here: World) -> None:
    here.listing.bodies = locations(5)
    here.listing.no_link = True
    row = await here.pull()
    assert (row["state"], row["objects"], here.listing.offsets) == ("DONE", 5, [0, 2, 4])
    assert "without a Link" in row["flag"]


@pytest.mark.rule("X-46")
async def test_a_list_without_end_is_cut(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crawl, "MAXIMUM_PAGES", 3)
    here.listing.bodies = locations(20)
    row = await here.pull()
    assert (row["state"], row["pages"]) == ("FAILED", 3)
    assert "more than 3 pages" in row["said"]


async def test_a_list_that_ignores_the_offset_is_a_loop(here: World) -> None:
    here.listing.bodies = locations(4)
    here.listing.link = lambda after: f"http://elsewhere/x?offset={after}"
    page = b'{"data":[' + location("L0") + b'],"status_code":1000,"timestamp":"2026-03-01T12:00:00Z"}'
    here.listing.before = lambda offset: (200, {"Link": f'<http://x/y?offset={offset + 1}>; rel="next"'}, page)
    row = await here.pull()
    assert (row["state"], len(here.listing.asked)) == ("FAILED", 2)


async def test_an_empty_list_is_a_list(here: World) -> None:
    here.listing.before = lambda offset: accepted([])
    row = await here.pull()
    assert (row["state"], row["pages"], row["objects"]) == ("DONE", 1, 0)


@pytest.mark.rule("X-29")
async def test_one_entry_with_an_endless_id_keeps_nothing_else_out(here: World) -> None:
    endless = "".join(f"{number:X}" for number in range(20_000))  # nothing that shrinks
    here.listing.bodies = [*locations(2), location(endless), location("L9")]
    row = await here.pull()
    assert (row["state"], row["refused"]) == ("DONE", 1), row["said"]
    assert set(await here.kept()) == {"L0", "L1", "L9"}
