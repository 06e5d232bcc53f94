"""Revoked Tokens reach a receiver before everything else it is owed, with PostgreSQL (promises section 2)."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from hub.delivery import catch_up, store
from hub.delivery.backoff import Concurrency
from hub.objects import changelog
from ocpi_modules import json
from tests.hub.delivery.world import World, pushed, until, world
from tests.support import objects
from tests.support.postgres import FreshDatabase

TOKENS = 40
LATER = "2026-03-01T12:10:00Z"


@pytest.fixture
async def here(hub_database: FreshDatabase, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """Windows are so short that many lead to the end; one push is under way at a time, so that they arrive in order."""
    for module, name, most in (
        (changelog, "GROUPED_ROWS", 0),
        (changelog, "WALKED_ROWS", 12),
        (changelog, "TOKEN_ROWS", 7),
        (catch_up, "LEAST_CHANGES", 5),
        (catch_up, "MOST_CHANGES", 5),
        (store, "WALK_OBJECTS", 5),
    ):
        monkeypatch.setattr(module, name, most)
    monkeypatch.setattr(Concurrency, "__init__", lambda self: self.__dict__.update(limit=1, most=1, successes=0))
    async with world(hub_database) as built:
        await built.set_connection(built.net.cpo, "OFFLINE")
        yield built


async def token(here: World, uid: str, method: str = "PUT", **fields: Any) -> None:
    own = {"country_code": "DE", "party_id": "MSP", "uid": uid, "type": "RFID"}
    body = json.encode(fields if method == "PATCH" else objects.token(**own | fields))
    answer = await here.net.call(here.net.emsp, method, f"/receiver/tokens/DE/MSP/{uid}", body)
    assert answer.status_code == 1000, answer.message


def uids(here: World) -> list[str]:
    return [seen.target.rsplit("/", 1)[-1] for seen in pushed(here.net.cpo)]


async def first_of_all(here: World, *revoked: str) -> None:
    """Once it is back."""
    here.net.cpo.seen.clear()
    async with here.delivering():
        await here.set_connection(here.net.cpo, "CONNECTED")
        await until(lambda: len(set(uids(here))) == TOKENS)
    assert set(uids(here)[: len(revoked)]) == set(revoked)
    assert len(uids(here)) == TOKENS, "each once"


async def some_revoked(here: World) -> None:
    for number in range(TOKENS):
        await token(here, f"T{number:02}")
    await token(here, "T37", "PATCH", valid=False, last_updated=LATER)
    await token(here, "T38", whitelist="NEVER", last_updated=LATER)
    await token(here, "T39", valid=False, last_updated=LATER)
    await token(here, "T39", valid=True, last_updated="2026-03-01T12:20:00Z")


async def test_in_a_long_log(here: World) -> None:
    await some_revoked(here)
    await first_of_all(here, "T37", "T38")


@pytest.mark.rule("Q-01", "F-51")
async def test_in_a_walk_through_everything(here: World) -> None:
    await some_revoked(here)
    async with here.delivering():
        pass
    await here.net.rows("UPDATE destination SET system_identifier = 1")
    await first_of_all(here, "T37", "T38")


async def test_among_what_was_missed(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await some_revoked(here)
    async with here.delivering():
        pass
    monkeypatch.setattr(store, "MOST_OWED", 5)
    await here.net.rows(
        "INSERT INTO undelivered (party, owner, module, key_folded, audience, version, attempts, next_attempt_at, last_error, "
        "revoked) SELECT 'NL*CPO', owner, module, key_folded, audience, version, 1, "
        "clock_timestamp() - interval '1 hour' + interval '1 minute' * row_number() OVER (ORDER BY key_folded), '', revoked "
        "FROM kept_object"
    )
    await here.net.rows("UPDATE destination SET cursor_xid = pg_snapshot_xmin(pg_current_snapshot())")
    await first_of_all(here, "T37", "T38")
    assert await here.net.rows("SELECT FROM undelivered") == []


async def test_what_is_revoked_is_marked_whatever_way_it_is_stored(here: World) -> None:
    """Alone or in a batch, replaced or changed; valid again, it is not revoked any more."""
    await some_revoked(here)
    await here.put("L1", name='"valid":false')
    await token(here, "NEW", whitelist="NEVER")
    rows = await here.net.rows("SELECT key_folded FROM kept_object WHERE revoked ORDER BY key_folded")
    assert [row["key_folded"] for row in rows] == ["NEW|RFID", "T37|RFID", "T38|RFID"]
