"""An operator hears of who lags and of who holds deliveries up: when it begins, while it lasts, when it is over (N-4)."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hub.admin import lookout
from hub.admin.lookout import AGAIN, HELD_BACK, LAG, Lookout
from hub.db.engine import Database
from tests.hub.admin.test_doctor import execute, registered, transaction_open
from tests.hub.support import Clock, opened
from tests.support.postgres import FreshDatabase

CHANGED = "INSERT INTO change_log (changed_at, owner, module, key_folded, audience, version) VALUES ($1, 'X', 'y', 'z', '*', 1)"
DESTINATION = (
    "INSERT INTO destination (party, platform_id, epoch, system_identifier, cursor_xid, cursor_seq) "
    "SELECT 'NL*CPO', platform_id, 1, (SELECT system_identifier FROM pg_control_system()), '1', 0 FROM platform "
    "ON CONFLICT (party) DO UPDATE SET cursor_xid = '1', cursor_seq = 0"
)
CAUGHT_UP = (
    "UPDATE destination "
    "SET (cursor_xid, cursor_seq) = (SELECT xid, seq FROM change_log ORDER BY xid DESC, seq DESC LIMIT 1)"
)


class Looking:
    """A lookout and what it said: (event, who)."""

    def __init__(self, database: Database) -> None:
        self.clock = Clock()
        self.said: list[tuple[str, Any]] = []
        self.lookout = Lookout(database, self.clock, self._say, self._say)

    def _say(self, event: str, **fields: Any) -> None:
        self.said.append((event, fields.get("receiver") or fields.get("pid") or fields.get("who")))

    async def twice(self) -> list[tuple[str, Any]]:
        """What two looks say, of this test's own doing."""
        self.said.clear()
        for _ in range(2):
            await self.lookout.look()
        return self.said


@pytest.fixture
async def database(hub_database: FreshDatabase) -> AsyncIterator[Database]:
    async with opened(hub_database.app_dsn) as built:
        yield built


async def changed(hub_database: FreshDatabase, ago: timedelta) -> None:
    moment = datetime.now(UTC) - ago
    await execute(hub_database.owner_dsn, "SELECT ensure_change_log_partition($1)", moment)
    await execute(hub_database.owner_dsn, CHANGED, moment)


@pytest.mark.promise("N-4")
async def test_a_receiver_that_lags_is_told_of_once_and_again_when_it_has_caught_up(
    hub_database: FreshDatabase, database: Database
) -> None:
    await registered(hub_database.app_dsn)
    await execute(hub_database.owner_dsn, "UPDATE platform SET connection = 'CONNECTED'")
    await execute(hub_database.owner_dsn, DESTINATION)
    looking = Looking(database)
    await changed(hub_database, LAG - timedelta(minutes=1))
    assert await looking.twice() == []
    await execute(hub_database.owner_dsn, "DELETE FROM change_log")
    await changed(hub_database, LAG + timedelta(minutes=1))
    assert await looking.twice() == [("receiver lags behind", "NL*CPO")]
    await execute(hub_database.owner_dsn, CAUGHT_UP)
    await changed(hub_database, LAG - timedelta(minutes=1))
    assert await looking.twice() == []
    await execute(hub_database.owner_dsn, CAUGHT_UP)
    assert await looking.twice() == [("receiver lags behind no more", "NL*CPO")]


@pytest.mark.promise("N-4")
async def test_a_receiver_that_lags_for_days_is_told_of_again_and_again_and_one_that_lags_anew_at_once(
    hub_database: FreshDatabase, database: Database
) -> None:
    await registered(hub_database.app_dsn)
    await execute(hub_database.owner_dsn, "UPDATE platform SET connection = 'CONNECTED'")
    await execute(hub_database.owner_dsn, DESTINATION)
    looking = Looking(database)
    await changed(hub_database, 2 * LAG)
    alarms = []
    for _ in range(48):
        alarms += await looking.twice()
        looking.clock.ahead += timedelta(hours=1)
    assert alarms == [("receiver lags behind", "NL*CPO")] * int(timedelta(days=2) / AGAIN)
    for _ in range(3):
        await execute(hub_database.owner_dsn, CAUGHT_UP)
        assert await looking.twice() == [("receiver lags behind no more", "NL*CPO")]
        await changed(hub_database, 2 * LAG)
        assert await looking.twice() == [("receiver lags behind", "NL*CPO")]


@pytest.mark.promise("N-4")
@pytest.mark.parametrize("how", ["state = 'PAUSED'", "system_identifier = 1"])
async def test_who_is_sent_nothing_does_not_lag(hub_database: FreshDatabase, database: Database, how: str) -> None:
    await registered(hub_database.app_dsn)
    await execute(hub_database.owner_dsn, DESTINATION)
    await changed(hub_database, timedelta(hours=1))
    looking = Looking(database)
    await execute(hub_database.owner_dsn, "UPDATE platform SET connection = 'OFFLINE'")
    assert await looking.twice() == []
    await execute(hub_database.owner_dsn, "UPDATE platform SET connection = 'CONNECTED'")
    await execute(hub_database.owner_dsn, f"UPDATE destination SET {how}")
    assert await looking.twice() == []


@pytest.mark.promise("N-4")
async def test_who_holds_xmin_back_is_named_once_with_its_pid_and_when_it_is_over(
    hub_database: FreshDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookout, "HELD_BACK", timedelta())
    async with opened(hub_database.admin_dsn) as seeing:
        looking = Looking(seeing)
        async with transaction_open(hub_database.admin_dsn) as pid:
            assert (await looking.twice()).count(("xmin held back", str(pid))) == 1
            assert looking.lookout._told["xmin held back"]["session", str(pid), hub_database.name]
            looking.clock.ahead = AGAIN
            assert (await looking.twice()).count(("xmin held back", str(pid))) == 1
        async with asyncio.timeout(10):
            while ("xmin held back no more", str(pid)) not in await looking.twice():
                await asyncio.sleep(0.01)


@pytest.mark.promise("N-4")
async def test_a_transaction_that_the_hub_may_not_see_is_known_by_its_not_ending(
    hub_database: FreshDatabase, database: Database
) -> None:
    looking = Looking(database)
    async with transaction_open(hub_database.admin_dsn):
        await changed(hub_database, timedelta())
        assert await looking.twice() == []
        looking.clock.ahead = HELD_BACK + timedelta(seconds=1)
        [(event, who)] = await looking.twice()
        assert (event, "doctor" in who) == ("xmin held back", True)
    async with asyncio.timeout(10):
        while [event for event, _ in await looking.twice()] != ["xmin held back no more"]:
            await asyncio.sleep(0.01)
