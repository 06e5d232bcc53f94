"""What somebody waits for at a charger is not held up by what may wait (Q-09)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from tests.scenarios.conftest import CPO, EMSP, Answer, World, running_world, session
from tests.support import objects
from tests.support.party import Scripted
from tests.support.postgres import FreshDatabase

AT_ONCE = 40


@asynccontextmanager
async def flooded(world: World, fresh: FreshDatabase) -> AsyncIterator[list[asyncio.Task[Answer]]]:
    """Pushes for everybody and lists, more than there are connections; none of them ends in the block."""
    held = await asyncpg.connect(fresh.owner_dsn)
    await held.execute("BEGIN; LOCK TABLE object_count, change_log IN ACCESS EXCLUSIVE MODE")
    waiting = await asyncpg.connect(fresh.owner_dsn)
    calls = [world.call(world.cpo, "PUT", f"/receiver/tariffs/NL/CPO/T{n}", tariff(n)) for n in range(AT_ONCE)]
    calls += [world.call(world.emsp, "GET", f"/sender/tariffs?offset={n}") for n in range(AT_ONCE)]
    flood = [asyncio.create_task(call) for call in calls]
    try:
        async with asyncio.timeout(5):
            while await waiting.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted") < 3:
                await asyncio.sleep(0.01)
        yield flood
    finally:
        await held.close()
        await waiting.close()
        await asyncio.gather(*flood)


def tariff(number: int) -> dict[str, Any]:
    return objects.tariff(country_code="NL", party_id="CPO", id=f"T{number}", last_updated="2026-03-01T12:00:00Z")


@pytest.mark.promise("Q-09")
async def test_pushes_and_lists_that_wait_for_the_database_hold_up_no_driver(hub_database: FreshDatabase) -> None:
    async with running_world(hub_database) as world:
        await world.call(world.cpo, "PUT", "/receiver/sessions/NL/CPO/S1", session(), to=EMSP)
        token = objects.token(country_code="DE", party_id="MSP", uid="T1", type="RFID", whitelist="NEVER")
        await world.call(world.emsp, "PUT", "/receiver/tokens/DE/MSP/T1", token)
        results = f"{world.emsp.url}/ocpi/2.2.1/sender"
        world.emsp.script("POST", "tokens", *[Scripted(data=objects.authorization_info())] * 2)
        world.cpo.script("PUT", "chargingprofiles", Scripted(data=objects.charging_profile_response()))
        command = objects.start_session(response_url=f"{results}/commands/1", token=token, location_id="L1")
        stop = objects.stop_session(response_url=f"{results}/commands/2", session_id="S1")
        profile = objects.set_charging_profile(response_url=f"{results}/chargingprofiles/1")
        async with flooded(world, hub_database) as flood:
            for to in (EMSP, None):  # without a receiver its token is looked for
                answer = await world.call(world.cpo, "POST", "/sender/tokens/T1/authorize", to=to)
                assert answer.status_code == 1000, answer.message
            for name, body in (("START_SESSION", command), ("STOP_SESSION", stop)):
                answer = await world.call(world.emsp, "POST", f"/receiver/commands/{name}", body, to=CPO)
                assert answer.status_code == 1000, answer.message
            url = world.cpo.received("POST", "commands")[0].document["response_url"]
            ticket = url.removeprefix(f"{world.url}/ocpi/2.2.1")
            answer = await world.call(world.cpo, "POST", ticket, objects.command_result(result="ACCEPTED"))
            assert answer.status_code == 1000, answer.message
            answer = await world.call(world.emsp, "PUT", "/receiver/chargingprofiles/S1", profile, to=CPO)
            assert answer.status_code == 1000, answer.message
            assert not any(task.done() for task in flood)
