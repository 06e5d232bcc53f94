"""What an operator sees of delivery and does about it, by the command line, while a hub delivers."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from hub.delivery import backoff
from hub.delivery import overview_repository as overview
from ocpi_modules import json
from tests.hub.delivery.world import World, pushed, states, until, world
from tests.hub.network import EMSP, accepted
from tests.support.hub_process import HubProcess
from tests.support.postgres import FreshDatabase

NO = (200, {}, b'{"status_code":2001,"status_message":"no such tariff","timestamp":"2026-03-01T12:30:00Z"}')


@pytest.fixture
async def here(hub_database: FreshDatabase) -> AsyncIterator[World]:
    async with world(hub_database) as built:
        yield built


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits of seconds become waits of hundredths."""
    monkeypatch.setattr(backoff, "OBJECT_SECONDS", (0.05, 0.05))


@pytest.fixture
def hub(hub_database: FreshDatabase, tmp_path: Path) -> HubProcess:
    return HubProcess(tmp_path, hub_database.app_dsn, hub_database.owner_dsn)


async def destinations(here: World) -> dict[str, Any]:
    """What `delivery list` shows, by party."""
    async with here.net.database.connection() as connection:
        return {row["party"]: row for row in await overview.destinations(connection)}


async def told(hub: HubProcess, *arguments: str) -> Any:
    """A command as it is typed; a process of its own, so it is slow."""
    done = await asyncio.to_thread(hub.run, "delivery", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.decode(done.stdout.encode())


@pytest.mark.rule("Q-08")
async def test_retry_releases_a_quarantined_object_and_the_list_says_why_it_was(
    here: World, hub: HubProcess, quick: None
) -> None:
    here.net.emsp.answer = lambda seen: NO if seen.target.endswith("BAD") else accepted()
    async with here.delivering():
        bad, good = await here.put("BAD"), await here.put("GOOD")
        await until(lambda: "object quarantined" in here.net.alarms)
        row = (await destinations(here))[str(EMSP)]
        assert (row["state"], row["owed"], row["quarantined"]) == ("ACTIVE", 1, 1)
        [debt] = await told(hub, "list", "--party", "DE/MSP")
        assert (debt["key"], debt["attempts"], debt["next_attempt"]) == ("BAD", 3, None)
        assert "no such tariff" in debt["reason"]
        here.net.emsp.answer = lambda seen: accepted()
        assert (await told(hub, "retry", "--party", "DE/MSP", "--module", "locations", "--key", "bad"))["objects"] == 1
        await until(lambda: set(states(here.net.emsp).values()) == {bad, good})
        async with asyncio.timeout(8):
            while (await destinations(here))[str(EMSP)]["owed"]:
                await asyncio.sleep(0.05)


@pytest.mark.rule("Q-01")
async def test_who_is_paused_gets_nothing_until_resumed_and_then_everything(here: World, hub: HubProcess) -> None:
    other = await here.join("NSP", "NSP")
    async with here.delivering():
        await until(lambda: len(here.net.delivery.destinations) == 3)
        await told(hub, "pause", "--party", "DE/MSP")
        await until(lambda: here.net.delivery.destinations[EMSP].paused)
        bodies = [await here.put(f"L{number}") for number in range(3)]
        await until(lambda: len(pushed(other)) == 3)
        row = (await destinations(here))[str(EMSP)]
        assert (row["state"], row["changes_behind"]) == ("PAUSED", 3)
        held = here.net.delivery.destinations[EMSP]
        assert (pushed(here.net.emsp), len(held.pending), len(held.unsettled)) == ([], 0, 0)
        await told(hub, "resume", "--party", "DE/MSP")
        await until(lambda: set(states(here.net.emsp).values()) == set(bodies))


@pytest.mark.rule("Q-01")
async def test_who_is_offline_for_five_days_is_paused_with_an_alarm_and_gets_everything_once_resumed(
    hub_database: FreshDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.delivery.worker.ABSENT_SECONDS", 0.0)
    async with world(hub_database) as here, here.delivering():
        await here.set_connection(here.net.emsp, "OFFLINE")
        body = await here.put()
        async with here.net.database.transaction() as connection:
            await connection.execute("UPDATE platform SET last_seen = clock_timestamp() - interval '5 days 1 minute'")
        await until(lambda: here.net.alarms == ["destination paused"])
        assert (await destinations(here))[str(EMSP)]["state"] == "PAUSED"
        await here.set_connection(here.net.emsp, "CONNECTED")
        await until(lambda: not here.net.delivery.destinations[EMSP].away)
        assert pushed(here.net.emsp) == []
        async with here.net.database.transaction() as connection:
            await overview.resume(connection, str(EMSP))
        await until(lambda: list(states(here.net.emsp).values()) == [body])
        assert here.net.alarms == ["destination paused"]


@pytest.mark.rule("Q-01")
async def test_five_days_of_failure_pause_and_alarm_and_resume_forgets_them(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backoff, "QUICK_SECONDS", 0.02)
    monkeypatch.setattr(backoff, "STEP_SECONDS", 0.05)
    here.net.emsp.answer = lambda seen: None
    async with here.delivering():
        body = await here.put()
        async with asyncio.timeout(8):
            while not await here.net.rows("SELECT 1 FROM destination WHERE failing_since IS NOT NULL"):
                await asyncio.sleep(0.02)
        async with here.net.database.transaction() as connection:
            await connection.execute(
                "UPDATE destination SET failing_since = failing_since - interval '5 days 1 minute'"
            )
        await until(lambda: "destination paused" in here.net.alarms)
        here.net.emsp.answer = lambda seen: accepted()
        async with here.net.database.transaction() as connection:
            assert await overview.resume(connection, str(EMSP)) == str(EMSP)
        await until(lambda: list(states(here.net.emsp).values()) == [body])
        row = (await destinations(here))[str(EMSP)]
        assert (row["state"], row["failures"], row["failing_since"]) == ("ACTIVE", 0, None)


@pytest.mark.rule("F-51", "Q-01")
async def test_after_a_restore_into_a_new_cluster_everything_is_walked_and_old_rows_stay_harmless(
    here: World, hub_database: FreshDatabase
) -> None:
    """A dump restored elsewhere: transaction ids of the old cluster stand above everything the new one hands out."""
    bodies = [await here.put(f"L{number}") for number in range(3)]
    async with here.delivering():
        await until(lambda: len(states(here.net.emsp)) == 3)
    admin = await asyncpg.connect(hub_database.admin_dsn)
    await admin.execute("UPDATE change_log SET xid = '900000000000'")
    await admin.execute("UPDATE destination SET system_identifier = 1, cursor_xid = '900000000000'")
    await admin.close()
    assert {row["state"] for row in (await destinations(here)).values()} == {"NEEDS_FULL_SYNC"}
    here.net.emsp.seen.clear()
    newcomer = await here.join("NEW", "EMSP")
    async with here.delivering():
        await until(lambda: set(states(here.net.emsp).values()) == set(bodies))
        extra = await here.put("L9")
        await until(lambda: extra in states(here.net.emsp).values() and extra in states(newcomer).values())
        async with asyncio.timeout(8):
            while {row["state"] for row in (await destinations(here)).values()} != {"ACTIVE"}:
                await asyncio.sleep(0.05)
    assert len(pushed(here.net.emsp)) == 4
