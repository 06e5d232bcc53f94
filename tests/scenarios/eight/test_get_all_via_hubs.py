"""transport_and_format, GET All via Hubs, Pagination and Timestamps and Objects send via Hubs, among eight platforms."""

import re

import pytest

from ocpi_modules import json
from tests.scenarios.conftest import Answer
from tests.scenarios.eight.platforms import AAA, BBB, DUO, HUB, QUI, Eight, at, fresh, got, location, pair, until
from tests.support.party import Scripted


async def show(eight: Eight, count: int) -> dict[str, bytes]:
    """So many Locations of each CPO, broadcast: id -> bytes."""
    bodies = {}
    for _ in range(count):
        for party, owner in ((eight.duo, DUO), (eight.quiet, QUI)):
            id = fresh("L")
            bodies[id] = location(owner, id)
            answer = await eight.call(party, "PUT", "locations", "RECEIVER", at(owner, id), bodies[id])
            assert answer.status_code == 1000, answer.message
    return bodies


def next_url(answer: Answer) -> str | None:
    link = answer.headers.get("link")
    match = re.fullmatch(r'<(.*)>; rel="next"', link) if link else None
    return match[1] if match else None


@pytest.mark.rule("R-61", "R-64", "R-67", "X-38", "X-40", "L-15")
async def test_all_pages_hold_every_location_once_whichever_worker_answers(eight: Eight) -> None:
    bodies = await show(eight, 3)
    answer = await eight.call(eight.three, "GET", "locations", "SENDER", to=HUB, sender=AAA, query="limit=2")
    assert pair(answer) == ("DE*AAA", "NL*HUB")
    found: list[str] = []
    total = int(answer.headers["x-total-count"])
    while True:
        found += [item["id"] for item in answer.data]
        url = next_url(answer)
        if url is None:
            break
        assert url.startswith(f"{eight.hub.url}/ocpi/2.2.1/sender/locations?")
        headers = {"ocpi-from-country-code": "DE", "ocpi-from-party-id": "AAA"}
        answer = Answer.of(await eight.three.call("GET", url, eight.three.hub_token, extra=headers))
        assert answer.status_code == 1000, answer.message
    assert len(found) == len(set(found)) >= total
    assert set(bodies) <= set(found)


@pytest.mark.rule("R-17", "L-15", "U-08")
async def test_a_location_comes_out_of_the_hub_as_it_went_in(eight: Eight) -> None:
    id = fresh("L")
    stamp = "2015-06-28T08:12:01.12Z"
    body = location(QUI, id, last_updated=stamp)
    await eight.call(eight.quiet, "PUT", "locations", "RECEIVER", at(QUI, id), body)
    await until(lambda: got(eight.duo, id))
    assert got(eight.duo, id)[0].body == body
    answer = await eight.call(eight.three, "GET", "locations", "SENDER", f"/{id}", to=HUB, sender=BBB)
    assert bytes(json.members(answer.body)["data"]) == body
    assert (answer.data["last_updated"], answer.data["x_odd"]) == (stamp, json.decode(b'[1.10, 1E2, "\\u00e9"]'))


@pytest.mark.rule("U-49", "R-65")
async def test_what_is_pushed_to_one_party_is_shown_to_that_party_only(eight: Eight) -> None:
    id = fresh("L")
    await eight.call(eight.duo, "PUT", "locations", "RECEIVER", at(DUO, id), location(DUO, id), to=AAA)
    mine = await eight.call(eight.three, "GET", "locations", "SENDER", f"/{id}", to=HUB, sender=AAA)
    assert mine.status_code == 1000
    for party, sender in ((eight.three, BBB), (eight.raw, None), (eight.nsp, None)):
        answer = await eight.call(party, "GET", "locations", "SENDER", f"/{id}", to=HUB, sender=sender)
        assert (answer.http_status, answer.status_code) == (404, 2001)


@pytest.mark.rule("R-68", "R-69", "R-70", "U-11")
async def test_the_link_of_a_partys_own_list_leads_through_the_hub(eight: Eight) -> None:
    theirs = f"{eight.duo.url}/ocpi/2.2.1/sender/tariffs?offset=2&limit=2&date_from=2026-01-01T00:00:00Z"
    first = Scripted(data=[], headers={"Link": f'<{theirs}>; rel="next"', "X-Total-Count": "3", "X-Limit": "2"})
    eight.duo.script("GET", "tariffs", first, Scripted(data=["last"]))
    before = len(eight.duo.received("GET", "tariffs"))
    try:
        answer = await eight.call(eight.three, "GET", "tariffs", "SENDER", to=DUO, sender=AAA, query="limit=2")
        assert (answer.headers["x-total-count"], answer.headers["x-limit"]) == ("3", "2")
        url = next_url(answer)
        assert url is not None
        assert url.startswith(f"{eight.hub.url}/ocpi/2.2.1/sender/tariffs?offset=2&limit=2")
        headers = {"ocpi-from-country-code": "DE", "ocpi-from-party-id": "AAA"}
        answer = Answer.of(await eight.three.call("GET", url, eight.three.hub_token, extra=headers))
    finally:
        eight.duo.unscript("GET", "tariffs")
    assert (answer.data, pair(answer), next_url(answer)) == (["last"], ("DE*AAA", "FR*DUO"), None)
    asked = eight.duo.received("GET", "tariffs")[before:]
    assert [item.query for item in asked] == ["limit=2", theirs.partition("?")[2]]
    assert {(item.to, item.sender) for item in asked} == {(DUO, AAA)}
