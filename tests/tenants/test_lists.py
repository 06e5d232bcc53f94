"""Lists hold and count what their asker may see, and a crawl sees an agreement end between two pages."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from ocpi_modules import json
from ocpi_modules.message import PartyId
from tests.scenarios.conftest import HUB, Answer
from tests.support.party import Party, Scripted
from tests.tenants.attempts import DATES
from tests.tenants.conftest import Street
from tests.tenants.tenant import ALSO_FOR_ONE, LISTS, link_of, party_of

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def page(street: Street, asker: Party, path: str, to: PartyId | None = HUB) -> Answer:
    return await street.world.call(asker, "GET", path, to=to)


def for_party(item: dict[str, Any]) -> PartyId | None:
    token = item.get("cdr_token")
    return PartyId(*party_of(token)) if token else None


@pytest.mark.rule("X-40", "G-73", "R-66", "D-24", "U-49")
@pytest.mark.promise("S-14", "S-15", "S-38")
@pytest.mark.parametrize("query", ["", DATES, "date_to=2020-01-01T00:00:00Z"])
@pytest.mark.parametrize("module", LISTS)
async def test_a_total_counts_exactly_what_the_asker_may_see(street: Street, module: str, query: str) -> None:
    strangers = {party.id for party in street.one.parties}
    seen: dict[str, list[str]] = {}
    for asker in street.platforms():
        answer = await page(street, asker, f"/sender/{module}?{query}")
        if answer.status_code != 1000:
            assert answer.status_code == 2000
            continue
        assert answer.headers["x-total-count"] == str(len(answer.data))
        for item in answer.data:
            owner, driver = PartyId(*party_of(item)), for_party(item)
            assert (owner in strangers) == (asker.id in strangers), (asker.id, item)
            assert driver is None or asker.id in (owner, driver), (asker.id, item)
        seen[str(asker.id)] = [str(item.get("id") or item.get("uid")) for item in answer.data]
        if asker not in street.two.parties:
            assert street.two.secret not in json.encode(answer.data).decode()
    marked = [id_ for id_ in seen[str(street.two.emsp.id)] + seen[str(street.two.cpo.id)] if street.two.mark in id_]
    assert bool(marked) == ("2020" not in query)


@pytest.mark.rule("U-49", "U-08")
@pytest.mark.promise("S-15")
async def test_a_copy_for_one_party_is_read_by_that_party_alone(street: Street) -> None:
    path = f"/sender/locations/{street.two.ids(ALSO_FOR_ONE)['location_id']}"
    assert street.two.secret in (await page(street, street.two.emsp, path)).body.decode()
    for name in ("both", "nsp", "other"):
        answer = await page(street, street.neighbours[name], path)
        assert street.two.canary in answer.body.decode()
        assert street.two.secret not in answer.body.decode()


@asynccontextmanager
async def no_agreement(street: Street) -> AsyncIterator[None]:
    """Between the two of the second tenant, for a while."""
    await street.part(*street.two.parties)
    try:
        yield
    finally:
        await street.agree(street.two.parties)


@pytest.mark.rule("R-28", "R-66")
@pytest.mark.promise("Q-13", "S-14", "S-15")
@pytest.mark.parametrize("module", LISTS)
async def test_a_crawl_goes_on_without_the_objects_of_a_party_whose_agreement_has_ended(
    street: Street, module: str
) -> None:
    cpo, emsp = street.two.parties
    owner, asker = (emsp, cpo) if LISTS[module] == "emsp" else (cpo, emsp)
    first = await page(street, asker, f"/sender/{module}?limit=1")
    everything = await page(street, asker, f"/sender/{module}")
    theirs = [item for item in everything.data if party_of(item) == owner.id]
    before = first
    while party_of(before.data[0]) != owner.id:
        before = await follow(street, asker, before)
    assert link_of(before)
    links = {"of the hub": link_of(before), "of the owner": f"/sender/{module}?{street.two.links[module][2]}"}
    behind = f"/sender/{module}?{street.two.links[module][1]}"
    async with no_agreement(street):
        after = await page(street, asker, path_of(street, links["of the hub"]))
        offset = await page(street, asker, f"/sender/{module}?offset=0&limit=100")
        for answer in (after, offset):
            assert answer.status_code == 1000
            assert street.two.canary not in answer.body.decode()
            assert street.two.secret not in answer.body.decode()
            assert not [item for item in answer.data if party_of(item) == owner.id]
            assert int(answer.headers["x-total-count"]) == len(everything.data) - len(theirs)
        for path in (links["of the owner"], behind):
            ended = await page(street, asker, path, to=None)
            nobodys = await page(street, asker, f"/sender/{module}?offset=1&hub_to=XX*NOC", to=None)
            assert (ended.http_status, ended.status_code) == (nobodys.http_status, nobodys.status_code) == (200, 4001)
            assert ended.message.replace(str(owner.id), "XX*NOC") == nobodys.message
    again = await page(street, asker, f"/sender/{module}?limit=100")
    assert len(again.data) == len(everything.data)


async def follow(street: Street, asker: Party, answer: Answer) -> Answer:
    return await page(street, asker, path_of(street, link_of(answer)))


def path_of(street: Street, link: str) -> str:
    return link.removeprefix(f"{street.world.url}/ocpi/2.2.1")


@pytest.mark.rule("M-34", "R-76")
@pytest.mark.promise("Q-13", "S-15")
@pytest.mark.parametrize("module", ["commands", "chargingprofiles"])
async def test_a_result_goes_nowhere_after_the_agreement_has_ended(street: Street, module: str) -> None:
    cpo, emsp = street.two.parties
    ticket = street.two.handed_out[f"{module}.ticket"]
    before = len(emsp.log)
    body = {"result": "ACCEPTED"}
    async with no_agreement(street):
        ended = await street.world.call(cpo, "POST", f"/sender/{module}/{ticket}", body)
        unknown = await street.world.call(cpo, "POST", f"/sender/{module}/{ticket.swapcase()}", body)
        assert (ended.http_status, ended.message) == (unknown.http_status, unknown.message)
        assert ended.http_status == 404
        assert [item.raw_path for item in emsp.log[before:] if module in item.raw_path] == []
    assert (await street.world.call(cpo, "POST", f"/sender/{module}/{ticket}", body)).status_code == 1000


@pytest.mark.rule("D-20", "R-28")
@pytest.mark.promise("S-15", "S-26")
async def test_a_location_of_a_cdr_opens_for_its_sender_alone_and_while_it_is_agreed(street: Street) -> None:
    cpo, emsp = street.two.parties
    emsp.script("GET", "cdrs", Scripted(data={"id": street.two.secret}))
    path = f"/receiver/cdrs/{street.two.handed_out['cdrs.reference']}"
    assert street.two.secret in (await street.world.call(cpo, "GET", path)).body.decode()
    for other in (emsp, *street.neighbours.values(), *street.one.parties):
        theirs = await street.world.call(other, "GET", path)
        unknown = await street.world.call(other, "GET", path.swapcase().replace("/RECEIVER/CDRS/", "/receiver/cdrs/"))
        assert (theirs.http_status, theirs.message) == (unknown.http_status, unknown.message)
        assert theirs.http_status in (404, 200)
        assert street.two.secret not in theirs.body.decode()
    async with no_agreement(street):
        assert (await street.world.call(cpo, "GET", path)).status_code == 4001
