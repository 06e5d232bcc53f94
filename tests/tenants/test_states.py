"""A party without an agreement looks like one that is not there: away, suspended, planned, gone or unknown, to everybody else."""

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import pytest
import pytest_asyncio

from hub.parties import changes
from hub.parties import repository as parties
from ocpi_modules.message import PartyId
from tests.support.party import Party
from tests.tenants.attempts import Attempt, rows
from tests.tenants.conftest import Street, eventually
from tests.tenants.names import NOWHERE_CPO

pytestmark = pytest.mark.asyncio(loop_scope="package")
STATES = {"away": "SE/AWY", "suspended": "FI/SUS", "gone": "NO/GON"}
PLANNED = PartyId("DK", "PLA")


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def strangers(street: Street) -> AsyncIterator[dict[str, PartyId]]:
    """Parties of both main roles, in every state, that nobody has an agreement with."""
    async with AsyncExitStack() as stack:
        found: dict[str, PartyId] = {"connected": street.one.cpo.id, "planned": PLANNED}
        directory, database = street.world.hub.directory, street.world.hub.database
        for state, code in STATES.items():
            party = await stack.enter_async_context(Party.running(("CPO", code), ("EMSP", code)))
            await street.register(party)
            platform = directory.known_platform_of(party.id)
            assert platform is not None
            if state == "suspended":
                await changes.suspend(database, lambda: datetime.now(UTC), platform.id)
            elif state == "gone":
                assert (await party.unregister()).http_status == 200
            else:
                await eventually(partial(connected, street, party.id))
                async with database.transaction() as connection:
                    await parties.set_connection(connection, platform.id, "OFFLINE")
                    await parties.touch(connection, platform.id)
                await eventually(partial(away, street, party.id))
            found[state] = party.id
        await street.world.invite(("CPO", "/".join(PLANNED)))
        await directory.refresh()
        yield found


def connected(street: Street, party: PartyId) -> bool:
    platform = street.world.hub.directory.known_platform_of(party)
    return platform is not None and platform.connected


def away(street: Street, party: PartyId) -> bool:
    return not connected(street, party)


@pytest.mark.rule("R-21", "R-28", "U-05")
@pytest.mark.promise("S-14", "S-15")
async def test_no_state_of_a_party_shows_to_who_has_no_agreement_with_it(
    street: Street, strangers: dict[str, PartyId]
) -> None:
    told: set[str] = set()
    for attacker in (street.two.cpo, street.two.emsp, street.neighbours["both"]):
        asking = next(known for known, _ in street.attackers() if known.platform is attacker)
        for row in rows():
            if row.module in ("versions", "credentials"):
                continue
            attempt = Attempt(row, "TO the cpo", "attacker", row.bodies[0])
            answers: dict[str, str] = {}
            for state, party in {"unknown": NOWHERE_CPO, **strangers}.items():
                names = replace(street.one.names(), cpo=party)
                answers[state] = (await street.ask(asking, attempt.request(asking, names))).without(names)
            unlike = {state: text for state, text in answers.items() if text != answers["unknown"]}
            assert not unlike, f"{asking.title} {attempt.title}: {unlike} instead of {answers['unknown']}"
            told |= set(re.findall(r'"status_code":(\d+)', answers["unknown"]))
    assert "4001" in told
