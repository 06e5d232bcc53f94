"""From a charger's socket to the CDR at the eMSP, over real sockets and a real database."""

from decimal import Decimal
from pathlib import Path
from typing import Any

from ocpi_modules import json
from ocpi_modules.cdrs.schemas import CDR
from ocpi_modules.locations.schemas import Location
from ocpi_modules.message import OcpiRequest
from ocpi_modules.sessions.schemas import Session
from ocpi_modules.spec import Method
from ocpi_modules.tariffs.schemas import Tariff
from ocpi_modules.validation import findings
from tests.cpo_adapter.fake_hub import CPO, EMSP, FakeHub
from tests.cpo_adapter.running_adapter import charger_of, eventually, joined_adapter, settings_of, token
from tests.support.postgres import FreshDatabase


def merged(requests: list[OcpiRequest]) -> dict[str, Any]:
    """The session as its receiver has it after these PUTs and PATCHes (S-10)."""
    session: dict[str, Any] = {}
    for request in requests:
        if request.method is Method.PUT:
            session = request.document
        else:
            added = request.document.get("charging_periods", [])
            periods = [*session.get("charging_periods", []), *added]
            session = {**session, **request.document, "charging_periods": periods}
    return session


async def test_a_charge_becomes_a_session_and_one_cdr(adapter_database: FreshDatabase, tmp_path: Path) -> None:
    async with FakeHub() as hub, joined_adapter(settings_of(adapter_database, tmp_path), hub) as adapter:
        status, answer, _ = await hub.call(Method.PUT, "tokens", "RECEIVER", "/DE/EMS/DRIVER01?type=APP_USER", token())
        assert (status, answer.status_code) == (201, 1000)
        await eventually(lambda: hub.of("tariffs", "PUT") and hub.of("locations", "PUT"))
        assert findings(Tariff, hub.of("tariffs")[0].document) == []
        assert findings(Location, hub.of("locations")[0].document) == []
        async with charger_of(adapter) as charger:
            await charger.wait_online()
            charge = await charger.plug_in_and_charge("driver01")
            assert charge is not None
            await charger.settle()
            cdr = (await eventually(lambda: hub.of("cdrs", "POST")))[0]
            await eventually(lambda: merged(hub.of("sessions"))["status"] == "COMPLETED")
        assert (cdr.to, cdr.sender) == (EMSP, CPO)
        assert findings(CDR, cdr.document) == []
        assert cdr.document["total_energy"] * 1000 == charge.wh == 1000
        assert cdr.document["total_cost"] == {"excl_vat": Decimal("0.25")}
        assert cdr.document["cdr_token"]["uid"] == "DRIVER01"
        sessions = hub.of("sessions")
        assert sessions[0].method is Method.PUT
        assert [request.method for request in sessions].count(Method.PUT) < len(sessions)
        session = merged(sessions)
        assert findings(Session, session) == []
        assert session["status"] == "COMPLETED"
        assert session["kwh"] == 1
        assert session["id"] == cdr.document["session_id"]
        energy = [d["volume"] for p in session["charging_periods"] for d in p["dimensions"] if d["type"] == "ENERGY"]
        assert sum(energy) == 1
        statuses = [r.document["status"] for r in hub.of("locations", "PATCH") if r.path == "/NL/ABC/LOC1/E1"]
        assert "CHARGING" in statuses
        assert len(hub.of("cdrs")) == 1
        assert json.decode(cdr.body) == cdr.document
