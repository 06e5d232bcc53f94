"""S-14: a platform with a valid token reads and changes nothing of a party it has no agreement with, at no endpoint, and cannot
tell what is not its own from what is not there. Generated from `tests/spec/endpoints.csv`: a new row is attacked too."""

from dataclasses import replace

import pytest

from tests.support.party import Received
from tests.tenants.attempts import Attacker, Attempt, Row, attempts, rows
from tests.tenants.conftest import Street
from tests.tenants.names import Names, nowhere
from tests.tenants.tenant import Tenant, read_own

pytestmark = pytest.mark.asyncio(loop_scope="package")
ROWS = rows()
OF_THE_OWNER = 2
"""A Link whose page the owner gives, not the hub."""


@pytest.mark.promise("S-10", "S-11", "S-14", "S-15", "S-18", "S-26")
@pytest.mark.parametrize("row", ROWS, ids=[row.title for row in ROWS])
async def test_a_stranger_gets_nothing_and_cannot_tell_what_is_there(street: Street, row: Row) -> None:
    tried, leaks = 0, []
    before = {id(party): len(party.log) for party in street.platforms()}
    for number, (attacker, victim) in enumerate(attackers(street, row)):
        names = victim.names()
        nobodys = nowhere(names)
        for attempt in attempts(row, number):
            tried += 1
            found = await leaks_of(street, attacker, attempt, names, nobodys, victim.secrets)
            leaks += [f"{attacker.title}: {attempt.title}: {leak}" for leak in found]
    assert not leaks, f"{len(leaks)} leaks\n" + "\n".join(leaks[:3])
    assert tried > 0, "this endpoint was not attacked"
    for tenant in (street.one, street.two):
        now = await read_own(street.world, tenant)
        assert not [name for name in now if now[name] != tenant.read[name]]
        arrived = [item for party in tenant.parties for item in party.log[before[id(party)] :]]
        strange = {party.id for party in street.platforms() if shares_nothing(street, party.id, tenant)}
        assert [shown(item) for item in arrived if item.sender in strange] == []


@pytest.mark.rule("R-66", "R-44", "M-34", "D-20")
@pytest.mark.promise("S-14", "S-15", "S-17")
@pytest.mark.parametrize("name", ["both", "nsp", "other", "scsp"])
async def test_a_neighbour_gets_nothing_of_what_is_between_two_others(street: Street, name: str) -> None:
    """It has an agreement with both. Asked is the hub; what a party itself tells its partner is its own affair."""
    neighbour, names = Attacker(street.neighbours[name], street.two.cpo.id), street.two.names("{}-UNI-")
    between = {name: value for name, value in street.two.names().ids.items() if name in ("session_id", "cdr_id")}
    names = replace(names, ids={**names.ids, **between})
    secrets = [secret for secret in street.two.secrets if secret != street.two.canary]
    tried, leaks = 0, []
    for row in ROWS:
        for attempt in attempts(row, 0):
            if attempt.mode in ("FROM itself", "TO the hub") and asks_the_hub(attempt):
                tried += 1
                found = await leaks_of(street, neighbour, attempt, names, nowhere(names), secrets)
                leaks += [f"{neighbour.title}: {attempt.title}: {leak}" for leak in found]
    assert not leaks, f"{len(leaks)} leaks\n" + "\n".join(leaks[:3])
    assert tried > len(ROWS)
    now = await read_own(street.world, street.two)
    assert not [name for name in now if now[name] != street.two.read[name]]


def asks_the_hub(attempt: Attempt) -> bool:
    """Not what leaves the hub by its credentials, nor an authorization, which the eMSP of any token is asked for."""
    reaches_its_owner = attempt.row.path.endswith("/authorize") or attempt.link == OF_THE_OWNER
    return attempt.row.module != "credentials" and not reaches_its_owner


def attackers(street: Street, row: Row) -> list[tuple[Attacker, Tenant]]:
    return [(street.spare(), street.one)] if row.module == "credentials" else street.attackers()


async def leaks_of(
    street: Street, attacker: Attacker, attempt: Attempt, names: Names, nobodys: Names, secrets: list[str]
) -> list[str]:
    """What an attempt tells of the names, and of the same request with names that are nobody's."""
    request = attempt.request(attacker, names)
    said = await street.ask(attacker, request)
    twin = await street.ask(attacker, attempt.request(attacker, nobodys))
    given = [f"gives away {secret}" for secret in said.gives_away(secrets, request)]
    real, none = said.without(names, nobodys), twin.without(names, nobodys)
    return given + ([] if real == none else [f"tells that it is there:\n{real}\n-- instead of\n{none}"])


def shares_nothing(street: Street, party: object, tenant: Tenant) -> bool:
    own = {member.id for member in street.one.parties}
    return (party in own) != (tenant is street.one)


def shown(item: Received) -> str:
    return f"{item.method} {item.raw_path} from {item.sender}"
