"""What goes wrong between charger, adapter and hub, and what must be true all the same."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from cpo_adapter.simulator.faults import Fault
from ocpi_modules.envelope import refusal
from ocpi_modules.message import OcpiRequest, OcpiResponse
from ocpi_modules.spec import Method, ModuleID
from ocpi_modules.status import ConnectionProblem, InvalidParameters, NotFound
from tests.cpo_adapter.csms.recorder import raw_charger
from tests.cpo_adapter.fake_hub import FakeHub, now
from tests.cpo_adapter.running_adapter import (
    QUICK_CHARGER,
    charger_of,
    eventually,
    joined_adapter,
    running_adapter,
    settings_of,
    token,
)
from tests.cpo_adapter.test_charge_to_cdr import merged
from tests.support.postgres import FreshDatabase


async def put_token(hub: FakeHub, **fields: Any) -> None:
    document = token(**fields)
    path = f"/DE/EMS/{document['uid']}?type={document['type']}"
    _, answer, _ = await hub.call(Method.PUT, "tokens", "RECEIVER", path, document)
    assert answer.status_code == 1000, answer


async def rows(database: FreshDatabase, query: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(database.admin_dsn)
    try:
        return await connection.fetch(query)
    finally:
        await connection.close()


@pytest.mark.promise("S-50")
async def test_a_restart_in_the_middle_of_a_charge_loses_nothing(
    adapter_database: FreshDatabase, tmp_path: Path
) -> None:
    settings = settings_of(adapter_database, tmp_path)
    async with FakeHub() as hub:
        async with joined_adapter(settings, hub) as adapter:
            await put_token(hub)
            port = adapter.ocpp.port
            charger = charger_of(adapter)
            await charger.start()
            await charger.wait_online()
            charging = asyncio.create_task(charger.plug_in_and_charge("DRIVER01", charge_wh=Decimal(3000)))
            await eventually(lambda: any(r.document.get("kwh") for r in hub.of("sessions")))
        settings = settings.model_copy(update={"ocpp_port": port})
        async with running_adapter(settings):
            charge = await charging
            await charger.settle()
            cdr = (await eventually(lambda: hub.of("cdrs")))[0]
        await charger.stop()
        assert charge is not None
        assert cdr.document["total_energy"] * 1000 == charge.wh == 3000
        session = merged(hub.of("sessions"))
        assert (session["status"], session["kwh"]) == ("COMPLETED", 3)
        assert len({r.path for r in hub.of("sessions")}) == 1
        assert len(hub.of("cdrs")) == 1


async def test_messages_sent_twice_make_one_session_and_one_cdr(
    adapter_database: FreshDatabase, tmp_path: Path
) -> None:
    async with FakeHub() as hub, joined_adapter(settings_of(adapter_database, tmp_path), hub) as adapter:
        await put_token(hub)
        async with charger_of(adapter) as charger:
            for action in ("StartTransaction", "MeterValues", "StopTransaction"):
                charger.faults.order(Fault.duplicate, action)
                charger.faults.order(Fault.cut_after, action)
            await charger.wait_online()
            charge = await charger.plug_in_and_charge("DRIVER01")
            await charger.settle()
            await eventually(lambda: hub.of("cdrs"))
        assert charge is not None
        starts = await rows(adapter_database, "SELECT transaction_id, state FROM charge")
        assert [(row["transaction_id"], row["state"]) for row in starts] == [(charge.transaction_id, "DONE")]
        stops = await rows(adapter_database, "SELECT 1 FROM fact WHERE body LIKE '%\"Stopped\"%'::bytea")
        assert len(stops) == 1
        assert len({r.path for r in hub.of("sessions")}) == 1
        assert hub.of("cdrs")[0].document["total_energy"] == 1


@pytest.mark.rule("D-15")
async def test_a_cdr_is_posted_with_the_same_bytes_until_it_is_acknowledged(
    adapter_database: FreshDatabase, tmp_path: Path
) -> None:
    answers: list[OcpiResponse] = [
        refusal(ConnectionProblem("away"), now=now()),
        OcpiResponse(503, b"<html>busy</html>"),
        OcpiResponse(401, b""),
    ]

    def fail(request: OcpiRequest) -> OcpiResponse | None:
        return answers.pop() if request.module is ModuleID.cdrs and answers else None

    async with FakeHub(fail=fail) as hub, joined_adapter(settings_of(adapter_database, tmp_path), hub) as adapter:
        await put_token(hub)
        async with charger_of(adapter) as charger:
            await charger.wait_online()
            await charger.plug_in_and_charge("DRIVER01")
            await eventually(lambda: hub.of("cdrs"), 30)
        tried = [r for r in hub.tried if r.module is ModuleID.cdrs]
        assert len(tried) == 4
        assert len({r.body for r in tried}) == 1
        assert len(hub.of("cdrs")) == 1


async def test_a_cdr_its_receiver_calls_wrong_is_held_with_the_reason(
    adapter_database: FreshDatabase, tmp_path: Path
) -> None:
    wrong = refusal(InvalidParameters("total_cost is wrong."), now=now())
    async with FakeHub(fail=lambda r: wrong if r.module is ModuleID.cdrs else None) as hub:
        async with joined_adapter(settings_of(adapter_database, tmp_path), hub) as adapter:
            await put_token(hub)
            async with charger_of(adapter) as charger:
                await charger.wait_online()
                await charger.plug_in_and_charge("DRIVER01")
                await eventually(lambda: [r for r in hub.tried if r.module is ModuleID.cdrs])
            held: list[Any] = []
            async with asyncio.timeout(5):
                while not held:
                    held = await rows(adapter_database, "SELECT held_because FROM push WHERE held_because IS NOT NULL")
        assert "2001 total_cost is wrong." in held[0]["held_because"]
        assert len([r for r in hub.tried if r.module is ModuleID.cdrs]) == 1


@pytest.mark.rule("S-13")
async def test_after_a_doubtful_patch_the_whole_session_is_put(adapter_database: FreshDatabase, tmp_path: Path) -> None:
    doubtful: list[OcpiRequest] = []

    def fail(request: OcpiRequest) -> OcpiResponse | None:
        if request.module is ModuleID.sessions and request.method is Method.PATCH and not doubtful:
            doubtful.append(request)
            return refusal(ConnectionProblem("the answer was lost"), now=now())
        return None

    async with FakeHub(fail=fail) as hub, joined_adapter(settings_of(adapter_database, tmp_path), hub) as adapter:
        await put_token(hub)
        async with charger_of(adapter) as charger:
            await charger.wait_online()
            await charger.plug_in_and_charge("DRIVER01", charge_wh=Decimal(3000))
            await eventually(lambda: hub.of("cdrs"))
        tried = [r for r in hub.tried if r.module is ModuleID.sessions]
        assert doubtful
        assert tried[tried.index(doubtful[0]) + 1].method is Method.PUT
        assert merged(hub.of("sessions"))["kwh"] == 3


async def test_a_receiver_that_lost_the_session_gets_the_whole_of_it(
    adapter_database: FreshDatabase, tmp_path: Path
) -> None:
    lost = refusal(NotFound("There is no such session."), now=now())

    def fail(request: OcpiRequest) -> OcpiResponse | None:
        return lost if request.module is ModuleID.sessions and request.method is Method.PATCH else None

    async with FakeHub(fail=fail) as hub, joined_adapter(settings_of(adapter_database, tmp_path), hub) as adapter:
        await put_token(hub)
        async with charger_of(adapter) as charger:
            await charger.wait_online()
            await charger.plug_in_and_charge("DRIVER01")
            await eventually(lambda: [r for r in hub.of("sessions") if r.document["status"] == "COMPLETED"])
        assert {r.method for r in hub.of("sessions")} == {Method.PUT}


async def test_a_charge_while_the_charger_was_offline_is_told_and_billed_afterwards(
    adapter_database: FreshDatabase, tmp_path: Path
) -> None:
    async with FakeHub() as hub, joined_adapter(settings_of(adapter_database, tmp_path), hub) as adapter:
        await put_token(hub, whitelist="NEVER")
        async with charger_of(adapter) as charger:
            await charger.wait_online()
            await charger.go_offline()
            past = timedelta(hours=3)
            charger._clock = lambda: now() - past
            charge = await charger.plug_in_and_charge("DRIVER01")
            charger.come_back()
            await charger.settle()
            cdr = (await eventually(lambda: hub.of("cdrs")))[0]
        assert charge is not None
        assert cdr.document["total_energy"] * 1000 == charge.wh
        assert cdr.document["auth_method"] == "WHITELIST"
        assert hub.of("tokens") == []


async def test_a_stop_without_its_number_ends_the_only_transaction_it_can_belong_to(
    adapter_database: FreshDatabase, tmp_path: Path
) -> None:
    async with FakeHub() as hub, joined_adapter(settings_of(adapter_database, tmp_path), hub) as adapter:
        await put_token(hub)
        async with charger_of(adapter, QUICK_CHARGER) as charger:
            await charger.wait_online()
            at = now()
            start = {"connectorId": 1, "idTag": "driver01", "meterStart": 1000, "timestamp": at.isoformat()}
            answer = await charger.call("StartTransaction", start)
            assert answer["idTagInfo"]["status"] == "Accepted"
            until = (at + timedelta(seconds=4)).isoformat()
            stop = {"transactionId": -1, "idTag": "DRIVER01", "meterStop": 2000, "timestamp": until}
            assert await charger.call("StopTransaction", stop) == {}
            cdr = (await eventually(lambda: hub.of("cdrs")))[0]
            assert cdr.document["total_energy"] == 1
            stranger = {"transactionId": 12345, "idTag": "nobody", "meterStop": 2000, "timestamp": until}
            assert await charger.call("StopTransaction", stranger) == {}
        assert len(await rows(adapter_database, "SELECT 1 FROM unmatched_fact")) == 1


async def test_a_charger_that_pads_its_texts_with_nuls_boots_and_charges(
    adapter_database: FreshDatabase, tmp_path: Path
) -> None:
    async with FakeHub() as hub, joined_adapter(settings_of(adapter_database, tmp_path), hub) as adapter:
        await put_token(hub)
        async with raw_charger(adapter.ocpp.port) as charger:
            boot = {"chargePointVendor": "V\0\0", "chargePointModel": "M\0", "meterSerialNumber": "7\0\0\0"}
            assert (await charger.ask("BootNotification", boot))[2]["status"] == "Accepted"
            assert (await charger.ask("Authorize", {"idTag": "DRIVER01\0\0"}))[2]["idTagInfo"]["status"] == "Accepted"
            start = {"connectorId": 1, "idTag": "DRIVER01\0", "meterStart": 0, "timestamp": now().isoformat()}
            assert (await charger.ask("StartTransaction", start))[2]["idTagInfo"]["status"] == "Accepted"
            session = (await eventually(lambda: hub.of("sessions")))[0].document
        assert session["meter_id"] == "7"


async def test_an_unknown_tag_gets_a_number_and_a_refusal_and_is_told_to_nobody(
    adapter_database: FreshDatabase, tmp_path: Path
) -> None:
    async with FakeHub() as hub, joined_adapter(settings_of(adapter_database, tmp_path), hub) as adapter:
        async with charger_of(adapter) as charger:
            await charger.wait_online()
            start = {"connectorId": 1, "idTag": "nobody", "meterStart": 0, "timestamp": now().isoformat()}
            answer = await charger.call("StartTransaction", start)
            assert answer["idTagInfo"]["status"] == "Invalid"
            assert answer["transactionId"] > 0
            assert await charger.call("StartTransaction", start) == answer
        assert [row["state"] for row in await rows(adapter_database, "SELECT state FROM charge")] == ["REFUSED"]
        assert hub.of("sessions") == []


async def test_the_running_adapter_can_neither_change_nor_delete_a_cdr(adapter_database: FreshDatabase) -> None:
    connection = await asyncpg.connect(adapter_database.app_dsn)
    try:
        for statement in ("UPDATE cdr SET body = ''", "DELETE FROM cdr", "TRUNCATE cdr"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
    finally:
        await connection.close()
