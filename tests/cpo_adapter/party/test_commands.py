"""START_SESSION, STOP_SESSION and their results, over real sockets."""

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from cpo_adapter.party.authorize import id_tag_of
from ocpi_modules import envelope
from ocpi_modules.envelope import refusal
from ocpi_modules.message import OcpiResponse, PartyId
from ocpi_modules.spec import Method, ModuleID
from ocpi_modules.status import ConnectionProblem
from tests.cpo_adapter.fake_hub import EMSP, FakeHub, now
from tests.cpo_adapter.running_adapter import charger_of, eventually, joined_adapter, settings_of, token
from tests.support.postgres import FreshDatabase


async def command(hub: FakeHub, name: str, body: dict[str, Any], sender: PartyId = EMSP) -> envelope.Answer:
    url = f"{hub.url}/ocpi/2.2.1/sender/commands/{uuid4()}"
    _, answer, _ = await hub.call(
        Method.POST, "commands", "RECEIVER", f"/{name}", {"response_url": url, **body}, sender=sender
    )
    return answer


def start(**fields: Any) -> dict[str, Any]:
    return {"token": token(), "location_id": "LOC1", "evse_uid": "E1", **fields}


@pytest.mark.rule("M-07", "M-08")
async def test_a_session_is_started_and_stopped_by_command(adapter_database: FreshDatabase, tmp_path: Path) -> None:
    async with FakeHub() as hub, joined_adapter(settings_of(adapter_database, tmp_path), hub) as adapter:
        async with charger_of(adapter) as charger:
            await charger.wait_online()
            answer = await command(hub, "START_SESSION", start(authorization_reference="REF-1"))
            assert answer.data == {"result": "ACCEPTED", "timeout": 30}
            result = (await eventually(lambda: hub.of("commands")))[0]
            assert (result.document, result.to) == ({"result": "ACCEPTED"}, EMSP)
            session = (await eventually(lambda: hub.of("sessions")))[0].document
            assert session["auth_method"] == "COMMAND"
            assert session["authorization_reference"] == "REF-1"
            again = await command(hub, "START_SESSION", start())
            assert again.data["result"] == "REJECTED"
            unlock = {"location_id": "LOC1", "evse_uid": "E1", "connector_id": "1"}
            assert (await command(hub, "UNLOCK_CONNECTOR", unlock)).data["result"] == "REJECTED"
            foreign = await command(hub, "STOP_SESSION", {"session_id": session["id"]}, PartyId("FR", "OTH"))
            assert foreign.data["result"] == "UNKNOWN_SESSION"
            stop = await command(hub, "STOP_SESSION", {"session_id": session["id"]})
            assert stop.data["result"] == "ACCEPTED"
            cdr = (await eventually(lambda: hub.of("cdrs")))[0].document
            assert cdr["session_id"] == session["id"]
            assert cdr["auth_method"] == "COMMAND"
            await eventually(lambda: len(hub.of("commands")) == 2)
            assert (await command(hub, "STOP_SESSION", {"session_id": session["id"]})).data["result"] == (
                "UNKNOWN_SESSION"
            )


async def test_a_long_uid_travels_as_an_alias(adapter_database: FreshDatabase, tmp_path: Path) -> None:
    uid = "an-app-user-with-a-uid-of-36-letters"
    assert len(id_tag_of(uid)) == 20
    async with FakeHub() as hub, joined_adapter(settings_of(adapter_database, tmp_path), hub) as adapter:
        async with charger_of(adapter) as charger:
            await charger.wait_online()
            await command(hub, "START_SESSION", start(token=token(uid=uid)))
            session = (await eventually(lambda: hub.of("sessions")))[0].document
            assert session["cdr_token"]["uid"] == uid
            assert charger.ledger.charges[0].id_tag == id_tag_of(uid)


async def test_what_cannot_be_done_is_said_at_once(adapter_database: FreshDatabase, tmp_path: Path) -> None:
    async with FakeHub() as hub, joined_adapter(settings_of(adapter_database, tmp_path), hub):
        offline = await command(hub, "START_SESSION", start())
        assert (offline.data["result"], offline.data["timeout"]) == ("REJECTED", 0)
        unknown = await command(hub, "START_SESSION", start(evse_uid="E9"))
        assert unknown.status_code == 2003
        stolen = await command(hub, "START_SESSION", start(), PartyId("FR", "OTH"))
        assert stolen.status_code == 2001
        assert "token" in stolen.status_message
        nothing = await command(hub, "STOP_SESSION", {"session_id": str(uuid4())})
        assert nothing.data["result"] == "UNKNOWN_SESSION"
        cancel = await command(hub, "CANCEL_RESERVATION", {"reservation_id": "1"})
        assert cancel.data["result"] == "NOT_SUPPORTED"
        incomplete = await command(hub, "STOP_SESSION", {})
        assert incomplete.status_code == 2001
        assert "session_id" in incomplete.status_message
        assert hub.of("commands") == []


async def test_a_result_is_posted_until_it_is_taken(adapter_database: FreshDatabase, tmp_path: Path) -> None:
    answers: list[OcpiResponse] = [refusal(ConnectionProblem("away"), now=now())]

    def fail(request: Any) -> OcpiResponse | None:
        return answers.pop() if request.module is ModuleID.commands and answers else None

    async with FakeHub(fail=fail) as hub, joined_adapter(settings_of(adapter_database, tmp_path), hub) as adapter:
        async with charger_of(adapter) as charger:
            await charger.wait_online()
            unlock = {"location_id": "LOC1", "evse_uid": "E1", "connector_id": "1"}
            assert (await command(hub, "UNLOCK_CONNECTOR", unlock)).data["result"] == "ACCEPTED"
            await eventually(lambda: hub.of("commands"))
            await asyncio.sleep(1.5)
        assert len(hub.of("commands")) == 1
        assert len([r for r in hub.tried if r.module is ModuleID.commands]) == 2


@pytest.mark.parametrize(
    ("whitelist", "answered", "allowed"),
    [
        ("NEVER", "ALLOWED", True),
        ("NEVER", ["ALLOWED"], True),
        ("NEVER", "BLOCKED", False),
        ("ALLOWED_OFFLINE", ["BLOCKED"], False),
        ("NEVER", None, False),
        ("ALLOWED_OFFLINE", None, True),
    ],
)
async def test_the_emsp_decides_in_real_time_where_the_whitelist_asks_for_it(
    adapter_database: FreshDatabase, tmp_path: Path, whitelist: str, answered: str | list[str] | None, allowed: bool
) -> None:
    """`answered` in a list: the AuthorizationInfo comes as a list of one, as a widely used stack answers (field 8)."""
    async with FakeHub() as hub, joined_adapter(settings_of(adapter_database, tmp_path), hub) as adapter:
        document = token(whitelist=whitelist, type="RFID", uid="04A2B3")
        await hub.call(Method.PUT, "tokens", "RECEIVER", "/DE/EMS/04A2B3?type=RFID", document)
        if answered is None:
            hub.fail = lambda r: refusal(ConnectionProblem("x"), now=now()) if r.module is ModuleID.tokens else None
        else:
            info = {"allowed": envelope.sole(answered), "token": document, "authorization_reference": "REF-2"}
            hub.authorization = [info] if isinstance(answered, list) else info
        async with charger_of(adapter) as charger:
            await charger.wait_online()
            charge = await charger.plug_in_and_charge("04a2b3", charge_wh=Decimal(1000))
            assert (charge is not None) is allowed
            if not allowed:
                return
            cdr = (await eventually(lambda: hub.of("cdrs")))[0].document
        asked = [r for r in hub.tried if r.module is ModuleID.tokens]
        assert asked[0].path == "/04A2B3/authorize"
        assert asked[0].document == {"location_id": "LOC1", "evse_uids": ["E1", "E2"]}
        if answered:
            assert len(asked) == 1
            assert (cdr["auth_method"], cdr["authorization_reference"]) == ("AUTH_REQUEST", "REF-2")
