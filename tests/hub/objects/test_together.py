"""What is stored together comes out as if it had been stored one after the other."""

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from hub.db.engine import Database
from hub.objects.batches import Batches
from hub.objects.keep import KeptObjects, Push
from ocpi_modules import json
from ocpi_modules.message import PartyId
from ocpi_modules.spec import Method, ModuleID
from ocpi_modules.status import OcpiError
from ocpi_modules.types import parse_datetime
from tests.hub.network import CPO
from tests.hub.objects.seeds import assert_exact, body_of, push_of
from tests.hub.support import opened
from tests.support.postgres import FreshDatabase

NOW = datetime(2026, 3, 1, 18, 30, tzinfo=UTC)
ALONE, TOGETHER = PartyId("NL", "ONE"), PartyId("NL", "TWO")
"""The owners of the copies that are compared."""
AUDIENCES = ("*", "*", "*", "DE*MSP")


@pytest.fixture
async def database(hub_database: FreshDatabase) -> AsyncIterator[Database]:
    async with opened(hub_database.app_dsn) as built:
        yield built


def session(chance: random.Random, number: int) -> Push:
    """A PUT, a PATCH that adds a charging period, something unfit, or something that cannot be read."""
    id, time = f"S{number // 100}{chance.randrange(3)}", f"2026-03-01T12:{chance.randrange(3):02}:00Z"
    audience = chance.choice(AUDIENCES)
    kind = chance.choice(("PUT", "PUT", "PUT", "PATCH", "PATCH", "unfit", "broken"))
    fields = {"number": number, "charging_periods": [{"number": number}]}
    if kind == "PUT":
        pushed = push_of(CPO, id, audience, module=ModuleID.sessions, body=body_of(CPO, id, time, **fields))
    else:
        text = 7 if kind == "broken" else time
        body = json.encode({**fields, "last_updated": text})
        method = chance.choice((Method.PUT, Method.PATCH)) if kind != "PATCH" else Method.PATCH
        pushed = push_of(CPO, id, audience, module=ModuleID.sessions, method=method, body=body)
    said = parse_datetime(time) if kind == "unfit" and chance.random() < 0.5 else None
    return replace(pushed, unfit=kind == "unfit", last_updated=said, correlation_id=f"corr-{number}")


def tariff(chance: random.Random, number: int) -> Push:
    """A PUT, a DELETE, or something unfit."""
    id, time = f"T{number // 100}{chance.randrange(2)}", f"2026-03-01T12:{chance.randrange(3):02}:00Z"
    audience, method = chance.choice(AUDIENCES), Method.DELETE if chance.random() < 0.25 else Method.PUT
    body = body_of(CPO, id, time, number=number) if method is Method.PUT else b""
    pushed = push_of(CPO, id, audience, module=ModuleID.tariffs, method=method, body=body)
    return replace(pushed, unfit=chance.random() < 0.1, correlation_id=f"corr-{number}")


def of(owner: PartyId, push: Push) -> Push:
    return replace(push, key=push.key._replace(owner=owner))


async def one_after_the_other(database: Database, objects: KeptObjects, pushes: list[Push]) -> list[Any]:
    outcomes: list[Any] = []
    for push in pushes:
        try:
            async with database.transaction() as connection:
                outcomes.append(await objects.apply(connection, push))
        except Exception as error:
            outcomes.append(type(error))
    return outcomes


async def together(batches: Batches, pushes: list[Push]) -> list[Any]:
    """One batch, and all that comes of it."""
    outcomes = await asyncio.gather(*map(batches.store, pushes), return_exceptions=True)
    return [type(outcome) if isinstance(outcome, Exception) else outcome for outcome in outcomes]


async def copies(database: Database, owner: PartyId) -> list[tuple[Any, ...]]:
    """Each copy with the versions that the change log has of it, in its order."""
    async with database.connection() as connection:
        rows = await connection.fetch(
            "SELECT key_folded, audience, version, last_updated, body, deleted, stale AND NOT deleted, listed, correlation_id, "
            "(SELECT array_agg(log.version ORDER BY log.xid, log.seq) FROM change_log AS log WHERE log.owner = $1 "
            "AND log.key_folded = kept.key_folded AND log.audience = kept.audience) FROM kept_object AS kept WHERE owner = $1 "
            "ORDER BY key_folded, audience",
            str(owner),
        )
    return [tuple(row) for row in rows]


@pytest.mark.rule("Q-06", "Q-07", "U-33", "U-34", "S-10", "T-03")
@pytest.mark.promise("N-10")
@pytest.mark.parametrize("kind", [session, tariff], ids=["sessions", "tariffs"])
async def test_a_batch_is_what_its_pushes_are_one_after_the_other(database: Database, kind: Any) -> None:
    chance = random.Random(1)
    objects = KeptObjects(database=database, clock=lambda: NOW)
    batches = Batches(database=database, objects=objects)
    seen: set[Any] = set()
    for number in range(60):
        pushes = [kind(chance, 10 * number + nth) for nth in range(chance.randrange(1, 9))]
        alone = await one_after_the_other(database, objects, [of(ALONE, push) for push in pushes])
        batch = await together(batches, [of(TOGETHER, push) for push in pushes])
        assert batch == alone, pushes
        assert await copies(database, TOGETHER) == await copies(database, ALONE), pushes
        seen |= {outcome if outcome is None or isinstance(outcome, type) else int for outcome in batch}
    assert {None, int} <= seen
    assert kind is tariff or any(isinstance(one, type) and issubclass(one, OcpiError) for one in seen)
    await assert_exact(database, 1000)
