"""A party without an agreement looks like one that is not there: away, suspended, planned, gone or unknown, to everybody else."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
import pytest_asyncio

from hub.parties import changes
from hub.parties import repository as parties
from ocpi_modules.message import PartyId
from tests.support.party import Party
from tests.tenants.attempts import Attempt, rows
from tests.tenants.conftest import Street
from tests.tenants.names import NOWHERE_CPO

pytestmark = pytest.mark.asyncio(loop_scope="package")
STATES = {"away": PartyId("SE", "AWY"), "suspended": PartyId("FI", "SUS"), "gone": PartyId("NO", "GON")}
PLANNED = PartyId("DK", "PLA")


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def strangers(street: Street) -> AsyncIterator[dict[str, PartyId]]:
    """Parties of both main roles, in every state, that nobody has an agreement with."""
    hub = street.world.hub
    found = {"connected": street.one.cpo.id, "planned": PLANNED, **STATES}
    await street.world.invite(("CPO", "/".join(PLANNED)))
    for state, party in STATES.items():
        code = "/".join(party)
        async with Party.running(("CPO", code), ("EMSP", code)) as platform:
            await street.register(platform)
            if state == "gone":
                assert (await platform.unregister()).http_status == 200
    await changes.suspend(hub.database, lambda: datetime.now(UTC), id_of(street, "suspended"))
    await hub.directory.refresh()
    while hub.directory.platform(id_of(street, "away")).connected:  # a request of it may still be written down
        async with hub.database.transaction() as connection:
            await parties.set_connection(connection, id_of(street, "away"), "OFFLINE")
            await parties.touch(connection, id_of(street, "away"))
        await hub.directory.refresh()
    yield found


def id_of(street: Street, state: str) -> UUID:
    platform = street.world.hub.directory.known_platform_of(STATES[state])
    assert platform is not None
    return platform.id


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
