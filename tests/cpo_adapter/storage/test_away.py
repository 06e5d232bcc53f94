"""While the database is away nothing is acknowledged, and afterwards everything goes on by itself."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from cpo_adapter.simulator.link import Refused
from ocpi_modules.spec import Method
from tests.cpo_adapter.fake_hub import FakeHub, now
from tests.cpo_adapter.running_adapter import charger_of, eventually, joined_adapter, settings_of, token
from tests.support.postgres import FreshDatabase

PATH = "/DE/EMS/DRIVER01?type=APP_USER"


@asynccontextmanager
async def away(database: FreshDatabase) -> AsyncIterator[None]:
    """No new connections, and the old ones cut."""
    admin = await asyncpg.connect(database.admin_dsn)
    try:
        await admin.execute(f"ALTER DATABASE {database.name} CONNECTION LIMIT 0")
        await admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()",
            database.name,
        )
        yield
        await admin.execute(f"ALTER DATABASE {database.name} CONNECTION LIMIT -1")
    finally:
        await admin.close()


@pytest.mark.rule("Q-04")
async def test_nothing_is_acknowledged_unstored(adapter_database: FreshDatabase, tmp_path: Path) -> None:
    async with FakeHub() as hub, joined_adapter(settings_of(adapter_database, tmp_path), hub) as adapter:
        async with charger_of(adapter) as charger:
            await charger.wait_online()
            async with away(adapter_database):
                status, answer, headers = await hub.call(Method.PUT, "tokens", "RECEIVER", PATH, token())
                assert (status, answer.status_code) == (503, 3000)
                assert int(headers["retry-after"]) > 0
                start = {"connectorId": 1, "idTag": "DRIVER01", "meterStart": 0, "timestamp": now().isoformat()}
                with pytest.raises(Refused):
                    await charger.call("StartTransaction", start)
            assert (await hub.call(Method.PUT, "tokens", "RECEIVER", PATH, token()))[0] == 201
            charge = await charger.plug_in_and_charge("DRIVER01")
            await charger.settle()
            cdr = (await eventually(lambda: hub.of("cdrs"), 30))[0].document
        assert charge is not None
        assert cdr["total_energy"] * 1000 == charge.wh


async def test_a_charger_that_stops_while_the_database_is_away_is_billed_afterwards(
    adapter_database: FreshDatabase, tmp_path: Path
) -> None:
    async with FakeHub() as hub, joined_adapter(settings_of(adapter_database, tmp_path), hub) as adapter:
        assert (await hub.call(Method.PUT, "tokens", "RECEIVER", PATH, token()))[0] == 201
        async with charger_of(adapter) as charger:
            await charger.wait_online()
            start = {"connectorId": 1, "idTag": "DRIVER01", "meterStart": 1000, "timestamp": now().isoformat()}
            number = (await charger.call("StartTransaction", start))["transactionId"]
            stop = {"transactionId": number, "meterStop": 1100, "timestamp": now().isoformat()}
            async with away(adapter_database):
                with pytest.raises(Refused):
                    await charger.call("StopTransaction", stop)
            assert await charger.call("StopTransaction", stop) == {}
            await eventually(lambda: hub.of("cdrs"), 30)
        assert len(hub.of("cdrs")) == 1
