"""Transactions about one platform lock it first: whatever else they lock, none of two waits for the other."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any
from uuid import UUID

import pytest

from hub.parties import announced_repository as announced
from hub.parties import repository
from hub.parties.announced_repository import LEAST_ANNOUNCED
from hub.parties.platforms import Connection
from ocpi_modules.message import PartyId
from ocpi_modules.secrets import new_token, token_mac
from tests.hub.support import KEYS, SmallHub
from tests.support.party import Party

CPO = ("CPO", "NL/ABC")
ABC = PartyId("NL", "ABC")


def mac_of(token: str) -> bytes:
    return token_mac(KEYS.mac[0], token)


async def touched(hub: SmallHub, party: Party) -> None:
    """What ends every change of a platform."""
    async with hub.database.transaction() as connection:
        assert await repository.touch(connection, platform_id(hub)) is not None


async def announced_to_all(hub: SmallHub, party: Party) -> None:
    """The look of each second, when there is something to announce."""
    await hub.announcements.look()


async def used_first(hub: SmallHub, party: Party) -> None:
    """A partner's first request with its new token."""
    assert (await party.send("GET", "locations", "SENDER")).http_status == 401


async def discarded(hub: SmallHub, party: Party) -> None:
    """A token of ours that the partner did not take."""
    async with hub.database.transaction() as connection:
        await repository.drop_token(connection, mac_of(party.hub_token))
        await repository.touch(connection, platform_id(hub))


async def ended(hub: SmallHub, party: Party) -> None:
    """The operator ends a registration."""
    await hub.registration.unregister_platform(platform_id(hub))


def platform_id(hub: SmallHub) -> UUID:
    platform = hub.directory.known_platform_of(ABC)
    assert platform is not None
    return platform.id


async def somebody_waits(connection: Any) -> None:
    async with asyncio.timeout(10):
        while not await connection.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            await asyncio.sleep(0.01)


async def follows(hub: SmallHub, own: UUID, other: Coroutine[Any, Any, Any]) -> None:
    """A change of the platform `own` that is under way when the other begins; both end well."""
    async with hub.database.transaction() as connection:
        await repository.lock_platform(connection, own)
        waits = asyncio.create_task(other)
        await somebody_waits(connection)
        await repository.drop_tokens(connection, own)
        await repository.touch(connection, own)
        await announced.announce(connection, own, hub.clock())
    await waits


@pytest.mark.parametrize("other", [touched, announced_to_all, used_first, discarded, ended])
async def test_a_change_and_another_of_one_platform_follow_each_other(
    hub: SmallHub, other: Callable[[SmallHub, Party], Coroutine[Any, Any, None]]
) -> None:
    async with Party.running(CPO) as party:
        await party.register(hub.versions_url, await hub.invite(CPO))
        await hub.directory.refresh()
        own = platform_id(hub)
        hub.clock.ahead = LEAST_ANNOUNCED
        async with hub.database.transaction() as connection:
            await repository.set_connection(connection, own, Connection.OFFLINE)
        await follows(hub, own, other(hub, party))


async def test_an_invitation_and_a_change_follow_each_other(hub: SmallHub) -> None:
    await hub.invite(CPO)
    await hub.directory.refresh()
    own = platform_id(hub)
    await follows(hub, own, hub.invite(CPO))


async def test_two_new_tokens_of_one_platform_follow_each_other(hub: SmallHub) -> None:
    await hub.invite(CPO)
    await hub.directory.refresh()
    own = platform_id(hub)

    both = asyncio.Barrier(2)

    async def renewed() -> int | None:
        async with hub.database.transaction() as connection:
            await repository.add_token(
                connection, mac_of(new_token("hubC_")), own, "C", hub.clock(), retires_others=False
            )
            await both.wait()
            return await repository.touch(connection, own)

    revisions = await asyncio.gather(renewed(), renewed())
    assert None not in revisions
    assert len(set(revisions)) == 2
