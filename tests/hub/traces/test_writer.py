"""Traces while PostgreSQL is away, and how much of them is held."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from hub.delivery.outcome import TimedOut
from hub.delivery.send import RoutedMessage
from hub.traces.record import Traces
from hub.traces.writer import TraceWriter
from ocpi_modules.status import HubError
from tests.hub.network import NOW, Network, Outage, network
from tests.hub.routing.requests import RECEIVER, request
from tests.support.postgres import FreshDatabase


@pytest.fixture
async def net(hub_database: FreshDatabase) -> AsyncIterator[Network]:
    async with network(hub_database, wrap=Outage) as built:
        yield built


def writing(net: Network, traces: Traces, most_rows: int = 100) -> TraceWriter:
    key = net.keys.pseudonym[0]
    return TraceWriter(traces=traces, database=net.seen_database, key=key, clock=lambda: NOW, most_rows=most_rows)


def refuse(traces: Traces, number: int, **fields: Any) -> None:
    for place in range(number):
        given = request("PUT", RECEIVER, "sessions", f"/NL/CPO/{fields.get('id', place)}", body=b"{}")
        traces.refused(given, None, None, HubError("no"), 0)


async def test_while_postgresql_is_away_the_newest_wait_and_the_rest_is_counted(net: Network) -> None:
    traces = Traces()
    writer = writing(net, traces, most_rows=3)
    net.seen_database.away = True
    refuse(traces, 5)
    await writer.flush()
    assert (writer.dropped, len(traces.entries)) == (2, 0)
    net.seen_database.away = False
    await writer.flush()
    assert [row["object_id"] for row in await net.rows("SELECT * FROM trace ORDER BY seq")] == ["2", "3", "4"]
    (gap,) = await net.rows("SELECT * FROM trace_gap")
    assert (gap["number"], gap["ended_at"], writer.dropped) == (2, NOW, 0)
    await writer.flush()
    assert len(await net.rows("SELECT * FROM trace_gap")) == 1


async def test_what_waits_to_be_taken_apart_is_bounded_too(net: Network) -> None:
    traces = Traces(most=4)
    refuse(traces, 10)
    assert (len(traces.entries), traces.dropped) == (4, 6)


async def test_where_no_traces_are_kept_messages_are_counted_all_the_same(net: Network) -> None:
    traces = Traces()
    writer = writing(net, traces, most_rows=0)
    counted: list[Any] = []
    writer._counted = counted.extend
    refuse(traces, 10)
    await writer.flush()
    assert (len(counted), len(traces.entries), writer.dropped, writer.waiting) == (10, 0, 0, 0)
    assert await net.rows("SELECT * FROM trace") == []


async def test_a_trace_postgresql_will_not_have_takes_no_other_with_it(
    net: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.traces.rows.storable", lambda text: text)
    monkeypatch.setattr("hub.traces.redact.folded", lambda text: text.replace("BAD", "\0"))
    traces = Traces()
    writer = writing(net, traces)
    refuse(traces, 2)
    refuse(traces, 1, id="BAD")
    refuse(traces, 3)
    await writer.flush()
    assert len(await net.rows("SELECT * FROM trace")) == 5
    assert [row["number"] for row in await net.rows("SELECT number FROM trace_gap")] == [1]


async def test_text_no_database_takes_is_made_storable(net: Network) -> None:
    traces = Traces()
    given = request("PUT", RECEIVER, "sessions", "/NL/CPO/S\ud8001", body=b"{}")
    traces.refused(given, None, None, HubError("half a \ud83d and a \0"), 0)
    await writing(net, traces).flush()
    (row,) = await net.rows("SELECT * FROM trace")
    assert (row["target"], row["object_id"], row["refusal"]) == ("/NL/CPO/S?1", "S?1", "half a ? and a ")


async def test_a_leg_whose_asker_went_away_is_written_in_the_end(net: Network) -> None:
    traces = Traces()
    given = request("GET", RECEIVER, "sessions", "/NL/CPO/S1")
    platform = net.directory.platform(net.emsp.platform_id)
    assert platform is not None
    message = RoutedMessage.of(given, to=net.emsp.party, sender=net.cpo.party)
    traces.sent(given, message, platform, TimedOut(30.0), -(10**15))
    traces.entries[0] = traces.entries[0]._replace(ended=-(10**15))
    await writing(net, traces).flush()
    (row,) = await net.rows("SELECT * FROM trace")
    assert (row["forwarded_outcome"], row["http_status"], row["correlation_id"]) == (
        "TimedOut",
        None,
        "the-correlation",
    )
