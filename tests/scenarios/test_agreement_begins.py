"""A whole hub: what a party pushed before its agreement reaches the other once it holds, without a further push."""

import asyncio

from hub.agreements import repository as agreements
from hub.agreements.policy import Terms
from hub.agreements.repository import Agreement
from tests.hub.network import eventually
from tests.scenarios.conftest import CPO, EMSP, World, running_world
from tests.support import objects
from tests.support.postgres import FreshDatabase


async def passed_over(world: World) -> None:
    """Until the CPO's cursor is behind the last change, which may take the worker a beat or two."""
    behind = "SELECT cursor_seq = (SELECT max(seq) FROM change_log) FROM destination WHERE party = 'NL*CPO'"
    async with asyncio.timeout(20):
        while True:
            async with world.hub.database.connection() as connection:
                if await connection.fetchval(behind):
                    return
            await asyncio.sleep(0.05)


async def test_a_token_revoked_before_an_agreement_reaches_the_cpo_once_it_is_set(hub_database: FreshDatabase) -> None:
    async with running_world(hub_database, policy="agreement") as world:
        world.hub.background.start()
        try:
            token = objects.token(country_code="DE", party_id="MSP", uid="T1", type="RFID", valid=False)
            answer = await world.call(world.emsp, "PUT", "/receiver/tokens/DE/MSP/T1?type=RFID", token)
            assert answer.status_code == 1000, answer.message
            await passed_over(world)
            assert world.cpo.received("PUT", "tokens") == []
            async with world.hub.database.transaction() as connection:
                await agreements.put_agreements(connection, [Agreement(CPO, EMSP, Terms())])
            await eventually(lambda: world.cpo.received("PUT", "tokens"), 20)
            [push] = world.cpo.received("PUT", "tokens")
            assert push.document["valid"] is False
        finally:
            await world.hub.background.stop()
