"""The whole adapter on free ports of loopback, over a real database, with a small site."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from cpo_adapter.app import Adapter, create_adapter, working
from cpo_adapter.settings import Settings
from cpo_adapter.simulator.charger import SimulatedCharger
from cpo_adapter.simulator.settings import ChargerSettings
from ocpi_modules.http.listener import Listener
from tests.cpo_adapter.fake_hub import EMSP, TOKEN_A, FakeHub
from tests.support.ports import free_port
from tests.support.postgres import FreshDatabase

PASSWORD = "a-password-of-20-byt"
KEY = base64.b64encode(bytes(range(32))).decode()
TARIFF = {
    "id": "T1",
    "currency": "EUR",
    "elements": [{"price_components": [{"type": "ENERGY", "price": Decimal("0.25"), "step_size": 1}]}],
}
CONNECTOR = {
    "id": "1",
    "standard": "IEC_62196_T2_COMBO",
    "format": "CABLE",
    "power_type": "DC",
    "max_voltage": 920,
    "max_amperage": 4000,
    "max_electric_power": 3_600_000,
    "tariff_ids": ["T1"],
}
SITE: dict[str, Any] = {
    "business_details": {"name": "A CPO"},
    "tariffs": [TARIFF],
    "locations": [
        {
            "id": "LOC1",
            "address": "Quay 1",
            "city": "Utrecht",
            "country": "NLD",
            "coordinates": {"latitude": "52.090700", "longitude": "5.121400"},
            "time_zone": "Europe/Amsterdam",
            "evses": [
                {"uid": "E1", "evse_id": "NL*ABC*E1", "connectors": [CONNECTOR]},
                {"uid": "E2", "evse_id": "NL*ABC*E2", "connectors": [CONNECTOR]},
            ],
        }
    ],
    "chargers": [
        {
            "charger_id": "CP-1",
            "evses": [
                {"connector_id": 1, "location_id": "LOC1", "evse_uid": "E1"},
                {"connector_id": 2, "location_id": "LOC1", "evse_uid": "E2"},
            ],
        }
    ],
}
QUICK_CHARGER = ChargerSettings(
    connectors=2, power_kw=Decimal(3600), charge_wh=Decimal(1000), sample_seconds=0.2, backoff_seconds=(0.05, 0.2)
)


def now() -> datetime:
    return datetime.now(UTC)


def token(**fields: Any) -> dict[str, Any]:
    return {
        "country_code": EMSP.country_code,
        "party_id": EMSP.party_id,
        "uid": "DRIVER01",
        "type": "APP_USER",
        "contract_id": "DE-EMS-C00000001-X",
        "issuer": "An eMSP",
        "valid": True,
        "whitelist": "ALWAYS",
        "last_updated": "2026-01-01T00:00:00Z",
        **fields,
    }


def settings_of(database: FreshDatabase, folder: Path, **fields: Any) -> Settings:
    path = folder / "site.json"
    path.write_text(json.dumps(SITE, default=float))
    values: dict[str, Any] = {
        "ocpi_port": free_port(),
        "ocpp_port": 0,
        "country_code": "NL",
        "party_id": "ABC",
        "database_url": database.app_dsn,
        "secret_key": KEY,
        "allow_insecure": True,
        "config": path,
        "settle_seconds": 1,
        "session_seconds": 0,
    }
    return Settings.model_validate({**values, **fields})


@asynccontextmanager
async def running_adapter(settings: Settings) -> AsyncIterator[Adapter]:
    async with working(await create_adapter(settings, now)) as adapter:
        listener = Listener(adapter.ocpi, settings.host, settings.ocpi_port)
        serving = asyncio.create_task(listener.serve())
        await eventually(lambda: listener.started)
        try:
            yield adapter
        finally:
            listener.stop()
            await serving


@asynccontextmanager
async def joined_adapter(settings: Settings, hub: FakeHub) -> AsyncIterator[Adapter]:
    """Joined, with one charger that may connect, and the eMSP known."""
    async with running_adapter(settings) as adapter:
        await adapter.book.add("CP-1", PASSWORD)
        await adapter.registrar.join(hub.versions_url, TOKEN_A)
        yield adapter


def charger_of(adapter: Adapter, settings: ChargerSettings = QUICK_CHARGER) -> SimulatedCharger:
    return SimulatedCharger(f"ws://127.0.0.1:{adapter.ocpp.port}/ocpp", "CP-1", PASSWORD, settings)


async def eventually(what: Callable[[], object], seconds: float = 15) -> Any:
    """Wait until `what` is true, and that; fails after `seconds`."""
    async with asyncio.timeout(seconds):
        while not (found := what()):
            await asyncio.sleep(0.01)
    return found
