"""What is counted of messages, and under how few labels."""

import pytest

from hub.metrics import messages
from hub.routing.broadcast_push import OLDER
from tests.hub.delivery.world import World, pushed, until, world
from tests.hub.metrics.scraped import Scraped
from tests.hub.network import CPO, EMSP, accepted
from tests.hub.traces.test_writer import refuse
from tests.support import objects
from tests.support.postgres import FreshDatabase

SESSION = "/receiver/sessions/NL/CPO/S1"


async def scraped(here: World) -> Scraped:
    await here.net.writer.flush()
    return Scraped(here.net.exposition.text([]).decode())


@pytest.mark.promise("U-15")
async def test_both_legs_and_what_the_hub_pushes_are_counted_with_their_outcome(hub_database: FreshDatabase) -> None:
    async with world(hub_database) as here:
        here.net.emsp.answer = lambda seen: accepted()
        async with here.delivering():
            await here.put("L1")
            await until(lambda: pushed(here.net.emsp))
        await here.net.call(here.net.cpo, "PUT", SESSION, b'{"id":"S1"}', to=EMSP)
        here.net.emsp.answer = lambda seen: (404, {}, b"no")
        await here.net.call(here.net.cpo, "GET", "/sender/tokens", to=EMSP)
        page = await scraped(here)
        count = "ocpihub_messages_total"
        assert page(count, leg="in", module="locations", result="answered") == 1
        assert page(count, leg="pushed", module="locations", result="Delivered") == 1
        assert page(count, leg="forwarded", module="sessions", result="Delivered") == 1
        assert page(count, leg="forwarded", module="tokens") == 1
        assert page(count, leg="forwarded", module="tokens", result="Delivered") is None
        assert page("ocpihub_party_messages_total", party=str(CPO), leg="in") == 3
        assert page("ocpihub_party_messages_total", party=str(EMSP)) == 3
        assert page("ocpihub_message_seconds_count", leg="in") == 3
        bucket = page("ocpihub_message_seconds_bucket", leg="in", module="locations", le="+Inf")
        assert bucket == 1
        seconds = page("ocpihub_message_seconds_sum", leg="in", module="locations")
        assert seconds is not None
        assert 0 < seconds < 30


@pytest.mark.promise("Q-06")
async def test_a_push_that_is_older_than_what_is_kept_is_answered_counted_and_traced(
    hub_database: FreshDatabase,
) -> None:
    async with world(hub_database) as here:
        await here.put("L1", last_updated="2026-03-01T12:10:00Z")
        await here.put("L1", last_updated="2026-03-01T12:00:00Z")
        assert (await scraped(here))("ocpihub_odd_messages_total", event=OLDER) == 1
        assert [row["flags"] for row in await here.net.traced()] == [[], [OLDER]]
        assert here.net.flagged == []


async def test_who_is_refused_before_anything_is_looked_at_is_counted_without_a_trace(
    hub_database: FreshDatabase,
) -> None:
    async with world(hub_database) as here:
        here.net.cpo.token_for_us = "nobody"
        answer = await here.net.call(here.net.cpo, "PUT", SESSION, objects.WHEN.encode(), to=EMSP)
        assert answer.http_status == 401
        assert here.net.traces.turned_away == {"unauthenticated": 1}
        assert await here.net.traced() == []


async def test_so_many_parties_have_a_label_of_their_own(
    hub_database: FreshDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "MOST_PARTIES", 2)
    async with world(hub_database) as here:
        refuse(here.net.traces, 1)
        await here.put("L1")
        await here.net.call(here.net.emsp, "GET", "/sender/locations", to=None)
        page = await scraped(here)
    parties = {dict(labels)["party"] for name, labels in page.samples if name == "ocpihub_party_messages_total"}
    assert parties == {"", str(CPO), messages.OTHERS}
