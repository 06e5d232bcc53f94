"""A hub that asks for agreements, with two tenants who have none with each other, and neighbours of the second of every role.

One world for all tests of this folder: what a test changes it changes back.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest_asyncio

from hub.agreements import repository as agreements
from hub.agreements.policy import Terms
from hub.db.embedded import EmbeddedPostgres
from tests.scenarios.conftest import World, running_world
from tests.support.party import Party
from tests.support.postgres import fresh_database
from tests.tenants.answers import Said, Wire
from tests.tenants.attempts import Attacker, Request
from tests.tenants.tenant import Seeding, Tenant, read_own

SECONDS = 10
NEIGHBOURS = {
    "both": (("CPO", "AT/BOT"), ("EMSP", "AT/BOT")),
    "nsp": (("NSP", "LU/NSP"),),
    "other": (("OTHER", "IT/OTR"),),
    "scsp": (("SCSP", "ES/SCP"),),
    "spare": (("EMSP", "PT/SPR"),),
}
"""The last one's token dies where credentials are attacked."""


@dataclass
class Street:
    """`one` and `two` are the tenants; `neighbours` have an agreement with everybody but the first."""

    world: World
    wire: Wire
    one: Tenant
    two: Tenant
    neighbours: dict[str, Party]

    def attackers(self) -> list[tuple[Attacker, Tenant]]:
        """Everybody, each with the tenant it has nothing to do with."""
        cpo, emsp = self.two.parties
        others = [party for name, party in self.neighbours.items() if name != "spare"]
        against_one = [Attacker(cpo, emsp.id), *(Attacker(party, cpo.id) for party in (emsp, *others))]
        own_cpo, own_emsp = self.one.parties
        against_two = [Attacker(own_cpo, own_emsp.id), Attacker(own_emsp, own_cpo.id)]
        return [(attacker, self.one) for attacker in against_one] + [(attacker, self.two) for attacker in against_two]

    def spare(self) -> Attacker:
        return Attacker(self.neighbours["spare"], self.two.cpo.id)

    def platforms(self) -> list[Party]:
        return [*self.one.parties, *self.two.parties, *self.neighbours.values()]

    async def ask(self, attacker: Attacker, request: Request) -> Said:
        """Its answer; who left the hub by it comes back."""
        said = await self.wire.ask(request, attacker.platform.hub_token)
        platform = self.world.hub.directory.known_platform_of(attacker.id)
        if platform is None or not platform.registered:
            await self.register(attacker.platform)
        return said

    async def register(self, party: Party) -> None:
        """Also one that left before."""
        token_a = await self.world.invite(*((item.role, "/".join(item.party)) for item in party.roles))
        answer = await party.register(self.world.versions_url, token_a)
        assert answer.http_status == 200, answer.body

    async def agree(self, *pairs: tuple[Party, Party]) -> None:
        """Make agreements, and wait until this process knows."""
        async with self.world.hub.database.transaction() as connection:
            made = [agreements.Agreement(one.id, other.id, Terms()) for one, other in pairs]
            await agreements.put_agreements(connection, made)
        known = self.world.hub.agreements
        await eventually(lambda: all(known.between(one.id, other.id) is not None for one, other in pairs))

    async def part(self, one: Party, other: Party) -> None:
        """End an agreement, and wait until this process knows."""
        async with self.world.hub.database.transaction() as connection:
            assert await agreements.drop_agreement(connection, one.id, other.id)
        await eventually(lambda: self.world.hub.agreements.between(one.id, other.id) is None)


async def eventually(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(SECONDS):
        while not condition():
            await asyncio.sleep(0.01)


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def street(postgres_server: EmbeddedPostgres, hub_template: str) -> AsyncIterator[Street]:
    async with AsyncExitStack() as stack:
        fresh = await stack.enter_async_context(fresh_database(postgres_server, hub_template))
        world = await stack.enter_async_context(running_world(fresh, policy="agreement"))
        cpo = await stack.enter_async_context(Party.running(("CPO", "BE/CPB")))
        emsp = await stack.enter_async_context(Party.running(("EMSP", "FR/EMB")))
        neighbours = {
            name: await stack.enter_async_context(Party.running(*roles)) for name, roles in NEIGHBOURS.items()
        }
        one, two = Tenant("ALPHA", world.cpo, world.emsp), Tenant("BRAVO", cpo, emsp)
        found = Street(world, Wire(world.port), one, two, neighbours)
        for party in (cpo, emsp, *neighbours.values()):
            await found.register(party)
        world.hub.background.start()
        stack.push_async_callback(world.hub.background.stop)
        await found.agree(one.parties, *itertools.combinations((cpo, emsp, *neighbours.values()), 2))
        for tenant in (one, two):
            await Seeding(world, tenant).all()
            tenant.read = await read_own(world, tenant)
        yield found
        await found.wire.close()
