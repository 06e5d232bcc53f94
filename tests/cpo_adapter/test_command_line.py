"""The program as people start it, and what is true after it is killed."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from cpo_adapter.simulator.charger import SimulatedCharger
from ocpi_modules.spec import Method
from tests.cpo_adapter.fake_hub import TOKEN_A, FakeHub
from tests.cpo_adapter.running_adapter import KEY, PASSWORD, QUICK_CHARGER, SITE, eventually, token
from tests.cpo_adapter.test_charge_to_cdr import merged
from tests.support.ports import free_port
from tests.support.postgres import FreshDatabase

HELD = """INSERT INTO charge (session_id, charger_key, connector_id, transaction_id, start_key, state, opening, answer,
              held_because, created_at)
          VALUES (gen_random_uuid(), 'cp-1', 1, 7, 'a start', 'HELD', '', '', 'Its facts cannot be read: none.', now())"""
PROGRAM = [sys.executable, "-m", "cpo_adapter"]


def environment(database: FreshDatabase, folder: Path) -> dict[str, str]:
    path = folder / "site.json"
    path.write_text(json.dumps(SITE, default=float))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ADAPTER_", "HUB_"))}
    return {
        **kept,
        "ADAPTER_OCPI_PORT": str(free_port()),
        "ADAPTER_OCPP_PORT": str(free_port()),
        "ADAPTER_COUNTRY_CODE": "NL",
        "ADAPTER_PARTY_ID": "ABC",
        "ADAPTER_DATABASE_URL": database.app_dsn,
        "ADAPTER_DATABASE_MIGRATE_URL": database.owner_dsn,
        "ADAPTER_SECRET_KEY": KEY,
        "ADAPTER_ALLOW_INSECURE": "true",
        "ADAPTER_CONFIG": str(path),
        "ADAPTER_SESSION_SECONDS": "0",
    }


def run(environ: dict[str, str], *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PROGRAM, *arguments], env=environ, input=given, capture_output=True, text=True, timeout=60)


async def told(environ: dict[str, str], *arguments: str, given: str = "") -> Any:
    result = await asyncio.to_thread(run, environ, *arguments, "--json", given=given)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@asynccontextmanager
async def served(environ: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """`cpo-adapter serve`, ready; killed at the end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        *PROGRAM, "serve", "--json", env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), 30)
        assert json.loads(line)["serving"] is True
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_a_charge_survives_two_kills_of_the_adapter(adapter_database: FreshDatabase, tmp_path: Path) -> None:
    environ = environment(adapter_database, tmp_path)
    assert await told(environ, "migrate") == {"migrated": True}
    await told(environ, "charger", "add", "CP-1", "--password-stdin", given=PASSWORD)
    url = f"ws://127.0.0.1:{environ['ADAPTER_OCPP_PORT']}/ocpp"
    charger = SimulatedCharger(url, "CP-1", PASSWORD, QUICK_CHARGER)
    async with FakeHub() as hub:
        async with served(environ):
            joined = await told(environ, "join", "--versions-url", hub.versions_url, "--token-a-stdin", given=TOKEN_A)
            assert joined == {"joined": True, "hub": "NL*HUB"}
            path = "/DE/EMS/DRIVER01?type=APP_USER"
            assert (await hub.call(Method.PUT, "tokens", "RECEIVER", path, token()))[0] == 201
            await charger.start()
            await charger.wait_online()
            charging = asyncio.create_task(charger.plug_in_and_charge("DRIVER01", charge_wh=Decimal(4000)))
            await eventually(lambda: any(r.document.get("kwh") for r in hub.of("sessions")))
        async with served(environ):
            known = len(hub.of("sessions"))
            await eventually(lambda: len(hub.of("sessions")) > known, 30)
        async with served(environ) as process:
            charge = await charging
            await charger.settle()
            await charger.stop()
            cdr = (await eventually(lambda: hub.of("cdrs"), 30))[0].document
            process.terminate()
            assert await asyncio.wait_for(process.wait(), 20) == 0
        assert charge is not None
        assert cdr["total_energy"] * 1000 == charge.wh == 4000
        assert len({r.body for r in hub.of("cdrs")}) == 1
        session = merged(hub.of("sessions"))
        assert (session["kwh"], session["status"]) == (4, "COMPLETED")
        volumes = [d["volume"] for p in session["charging_periods"] for d in p["dimensions"] if d["type"] == "ENERGY"]
        assert sum(volumes) == 4


async def test_joining_needs_no_running_server(adapter_database: FreshDatabase, tmp_path: Path) -> None:
    environ = environment(adapter_database, tmp_path)
    async with FakeHub() as hub:
        arguments = ("join", "--versions-url", hub.versions_url, "--token-a-stdin")
        assert (await told(environ, *arguments, given=TOKEN_A))["joined"]
        refused = await asyncio.to_thread(run, environ, *arguments, given="another")
        assert refused.returncode == 1
        assert "401" in refused.stderr
        assert "Traceback" not in refused.stderr


def test_what_is_wrong_is_said_in_a_sentence(adapter_database: FreshDatabase, tmp_path: Path) -> None:
    environ = environment(adapter_database, tmp_path)
    cases = [
        ({"ADAPTER_OCPP_PROT": "1"}, ["serve"], "", 2, "did you mean ADAPTER_OCPP_PORT?"),
        ({"ADAPTER_SECRET_KEY": "short"}, ["serve"], "", 2, "ADAPTER_SECRET_KEY"),
        ({"ADAPTER_CONFIG": "/nowhere.json"}, ["serve"], "", 1, "cannot be read"),
        ({"ADAPTER_DATABASE_URL": "postgresql://127.0.0.1:1/x"}, ["serve"], "", 1, "cannot be asked"),
        ({}, ["charger", "add", "CP-1"], "", 2, "--password-stdin"),
        ({}, ["charger", "add", "CP-1", "--password-stdin"], "short\n", 1, "16 to 40"),
        ({}, ["charger", "show", "CP-9"], "", 1, "charger list"),
        ({}, ["charger", "show", "\udcff"], "", 2, "not written in UTF-8"),
        ({}, ["simulate", "--charger-id", "X", "--password-file", "/nowhere"], "", 2, "cannot be read"),
    ]
    for changed, arguments, given, code, words in cases:
        result = run({**environ, **changed}, *arguments, given=given)
        assert result.returncode == code, (arguments, result.stderr)
        assert words in result.stderr, (arguments, result.stderr)
        assert "Traceback" not in result.stderr


@pytest.mark.promise("S-45", "U-21")
def test_what_is_wrong_with_tls_is_said_and_plain_connections_are_warned_of(
    adapter_database: FreshDatabase, tmp_path: Path
) -> None:
    environ = {**environment(adapter_database, tmp_path), "ADAPTER_DATABASE_URL": "postgresql://127.0.0.1:1/x"}
    plain = run(environ, "serve")
    assert plain.stderr.count("OCPP WITHOUT TLS") == 1
    secured = {**environ, "ADAPTER_OCPP_TLS_IN_FRONT": "true"}
    assert "OCPP WITHOUT TLS" not in run(secured, "serve").stderr
    files = {"ADAPTER_OCPP_CERTIFICATE": "/nowhere.pem", "ADAPTER_OCPP_KEY": "/nowhere.key"}
    refused = run({**environment(adapter_database, tmp_path), **files}, "serve")
    assert (refused.returncode, "/nowhere.pem" in refused.stderr, "Traceback" in refused.stderr) == (1, True, False)


@pytest.mark.promise("S-47")
async def test_chargers_are_listed_without_their_passwords(adapter_database: FreshDatabase, tmp_path: Path) -> None:
    environ = environment(adapter_database, tmp_path)
    await told(environ, "charger", "add", "CP-1", "--password-stdin", given=PASSWORD)
    listed = await told(environ, "charger", "list")
    assert [charger["charger_id"] for charger in listed["chargers"]] == ["CP-1"]
    assert "password" not in json.dumps(listed)
    assert (await told(environ, "charger", "show", "cp-1"))["charger_id"] == "CP-1"


async def test_held_charges_are_listed_with_the_way_out(adapter_database: FreshDatabase, tmp_path: Path) -> None:
    environ = environment(adapter_database, tmp_path)
    assert "No charge is held." in run(environ, "charge", "held").stdout
    connection = await asyncpg.connect(adapter_database.admin_dsn)
    try:
        await connection.execute(HELD)
    finally:
        await connection.close()
    (charge,) = (await told(environ, "charge", "held"))["charges"]
    assert (charge["charger"], charge["transaction_id"], charge["id_tag"]) == ("cp-1", 7, None)
    said = run(environ, "charge", "held", "--limit", "1").stdout
    assert charge["held_because"] in said
    assert charge["way_out"] in said
    assert "--limit 1000" in said
