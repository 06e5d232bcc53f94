"""An adapter that is built but does not run, with a clock of the test: the test calls what the loops would."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import asyncpg

from cpo_adapter.app import Adapter
from cpo_adapter.charging.events import Sample, Sampled, Started
from cpo_adapter.facts import StoredFacts
from tests.support.postgres import FreshDatabase

AT = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)


class Clock:
    now = AT

    def __call__(self) -> datetime:
        return self.now


def facts_of(adapter: Adapter) -> StoredFacts:
    facts = adapter.ocpp._facts
    assert isinstance(facts, StoredFacts)
    return facts


def at(minutes: float) -> datetime:
    return AT + timedelta(minutes=minutes)


def started(minutes: float = 0, meter: int = 1000, connector_id: int = 1) -> Started:
    return Started("CP-1", connector_id, "DRIVER01", Decimal(meter), at(minutes), at(minutes))


def sampled(number: int, minutes: float, value: int) -> Sampled:
    sample = Sample(at(minutes), "Energy.Active.Import.Register", Decimal(value), "Wh", str(value))
    return Sampled("CP-1", 1, number, (sample,), at(minutes))


async def states(database: FreshDatabase) -> list[tuple[str, str | None]]:
    connection = await asyncpg.connect(database.admin_dsn)
    try:
        rows = await connection.fetch("SELECT state, held_because FROM charge ORDER BY created_seq")
        return [(row["state"], row["held_because"]) for row in rows]
    finally:
        await connection.close()
