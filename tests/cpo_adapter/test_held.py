"""Every charge that waits for somebody is listed, with a sentence on what is wrong and one on the way out."""

import ast
import inspect
from dataclasses import replace
from decimal import Decimal

from cpo_adapter import settle
from cpo_adapter.app import Adapter
from cpo_adapter.charging import cdr
from cpo_adapter.charging.events import Stopped
from cpo_adapter.held import BY_HAND, WAYS_OUT, way_out
from tests.cpo_adapter.still_adapter import Clock, at, facts_of, started


def reasons() -> list[str]:
    """How each sentence begins with which the product holds a charge, as far as it is fixed."""
    calls = [
        node.args[-1]
        for module in (cdr, settle)
        for node in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("CdrHeld", "TokenUnknown", "self._hold")
    ]
    texts = [part.values[0] if isinstance(part, ast.JoinedStr) else part for part in calls]
    return [str(text.value) for text in texts if isinstance(text, ast.Constant)]


def test_every_reason_to_hold_a_charge_has_a_way_out_of_its_own() -> None:
    said = [reason for reason in reasons() if reason != "The transaction is still open."]
    assert len(said) >= len(WAYS_OUT)
    assert [reason for reason in said if not any(reason.startswith(beginning) for beginning in WAYS_OUT)] == []
    assert [beginning for beginning in WAYS_OUT if not any(reason.startswith(beginning) for reason in said)] == []
    assert way_out("Something of a program before.") == BY_HAND


async def test_held_charges_are_listed_newest_first_and_no_more_than_asked(adapter: Adapter, clock: Clock) -> None:
    facts = facts_of(adapter)
    assert await adapter.held.listed(10) == []
    for hour, connector_id in ((0, 1), (1, 2)):
        clock.now = at(60 * hour)
        start = replace(started(60 * hour, connector_id=connector_id), received_at=clock.now)
        number = (await facts.started(start)).transaction_id
        clock.now = at(60 * hour + 5)
        await facts.stopped(Stopped("CP-1", number, Decimal(99_000_000), clock.now, clock.now))
    clock.now = at(70)
    for _ in range(2):
        await adapter.settler.settle_due()
    second, first = await adapter.held.listed(10)
    assert await adapter.held.listed(1) == [second]
    assert (first["connector_id"], second["connector_id"]) == (1, 2)
    assert (first["charger"], first["id_tag"], first["started_at"]) == ("cp-1", "DRIVER01", at(0).isoformat())
    assert "more energy than the connector can deliver" in first["held_because"]
    assert first["way_out"].startswith("Compare the meter")
