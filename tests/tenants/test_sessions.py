"""S-17: who has an agreement with a CPO does not stop or steer, there, the session of somebody else's driver."""

import pytest

from ocpi_modules import json
from tests.support.party import Party
from tests.tenants.attempts import Attacker, Attempt, Row, rows
from tests.tenants.conftest import Street
from tests.tenants.names import Names, nowhere

pytestmark = pytest.mark.asyncio(loop_scope="package")


def acting_on_a_session() -> list[Attempt]:
    """Every request to a CPO that names a session in its path or its command."""
    found = []
    for row in rows():
        if row.module == "commands" and row.interface == "RECEIVER":
            found.append(Attempt(row, "TO the cpo", name="StopSession"))
        elif "session_id" in row.variables and "country_code" not in row.variables and to_the_cpo(row):
            found.append(Attempt(row, "TO the cpo", name=row.bodies[0]))
    return found


def to_the_cpo(row: Row) -> bool:
    return (row.module, row.interface) != ("chargingprofiles", "SENDER")


async def asked(street: Street, who: Party, attempt: Attempt, names: Names) -> tuple[str, int]:
    """Who answered, and how many requests reached the CPO."""
    cpo = street.two.cpo
    before = len(cpo.log)
    asking = Attacker(who, cpo.id)
    said = await street.ask(asking, attempt.request(asking, names))
    arrived = [item for item in cpo.log[before:] if item.sender == who.id]
    if b"ocpi-from-party-id: CPB" in said.head:
        return "the cpo", len(arrived)
    assert json.decode(said.body)["status_code"] in (2000, 2001)
    return "the hub", len(arrived)


@pytest.mark.promise("S-17")
@pytest.mark.parametrize("attempt", acting_on_a_session(), ids=lambda attempt: attempt.row.title)
async def test_a_session_is_stopped_and_steered_by_its_own_party_only(street: Street, attempt: Attempt) -> None:
    names, nobody = street.two.names(), nowhere(street.two.names())
    unseen = Names(names.mark, names.cpo, names.emsp, {**names.ids, **nobody.ids}, names.links, names.document)
    assert await asked(street, street.neighbours["other"], attempt, names) == ("the hub", 0)
    assert await asked(street, street.two.emsp, attempt, names) == ("the cpo", 1)
    assert await asked(street, street.neighbours["other"], attempt, unseen) == ("the cpo", 1)
    if attempt.row.module == "chargingprofiles":  # which an SCSP does for others
        assert await asked(street, street.neighbours["scsp"], attempt, names) == ("the cpo", 1)
