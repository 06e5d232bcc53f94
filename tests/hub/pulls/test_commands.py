"""`ocpi-hub pull ...` beside a hub that serves."""

import asyncio
from pathlib import Path

import pytest

from tests.hub.pulls.world import locations, world
from tests.support.hub_process import HubProcess
from tests.support.postgres import FreshDatabase


@pytest.mark.rule("U-51")
async def test_what_is_asked_for_is_read_by_whoever_serves_and_shown(
    hub_database: FreshDatabase, tmp_path: Path
) -> None:
    hub = HubProcess(tmp_path, hub_database.app_dsn, hub_database.owner_dsn)
    async with world(hub_database) as here:
        here.listing.bodies = locations(3)
        asked = await asyncio.to_thread(
            hub.json, "pull", "start", "--party", "NL/CPO", "--module", "locations", "--full"
        )
        assert asked == {"party": "NL*CPO", "modules": ["locations"], "full": True}
        [waiting] = await asyncio.to_thread(hub.json, "pull", "list")
        assert waiting["state"] == "WAITING"
        await asyncio.to_thread(hub.start)
        try:
            await here.ended()
        finally:
            await asyncio.to_thread(hub.stop)
        [row] = [row for row in await asyncio.to_thread(hub.json, "pull", "list") if row["module"] == "locations"]
    shown = {
        name: row[name] for name in ("party", "state", "full", "pages", "objects", "changed", "vanished", "refused")
    }
    assert shown == {
        "party": "NL*CPO",
        "state": "DONE",
        "full": True,
        "pages": 2,
        "objects": 3,
        "changed": 3,
        "vanished": 0,
        "refused": 0,
    }
    assert row["began_at"] == row["last_full"] is not None
