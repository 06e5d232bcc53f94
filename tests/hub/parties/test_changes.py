"""What the operator changes about a platform works at once and in every process."""

from uuid import uuid4

import pytest

from hub.parties import changes
from hub.parties.platforms import Platform, PlatformState
from ocpi_modules import envelope
from ocpi_modules.message import PartyId
from tests.hub.support import SmallHub
from tests.support.party import Party

CPO = ("CPO", "NL/ABC")


async def join(hub: SmallHub, party: Party) -> Platform:
    await party.register(hub.versions_url, await hub.invite(CPO))
    assert await ask(party) == 200
    platform = await hub.directory.platform_of(PartyId("NL", "ABC"))
    assert platform is not None
    return platform


def announced(hub: SmallHub, party: Party) -> list[str]:
    platform = hub.directory.known_platform_of(party.id)
    return [item.announced for item in platform.parties] if platform else []


async def ask(party: Party) -> int:
    return (await party.send("GET", "locations", "SENDER")).http_status


async def test_a_suspended_platform_resumes_with_its_token(hub: SmallHub) -> None:
    async with Party.running(CPO) as party:
        platform = await join(hub, party)
        await changes.suspend(hub.database, hub.clock, platform.id)
        await hub.directory.refresh()
        assert announced(hub, party) == ["SUSPENDED"]
        assert await ask(party) == 401
        with pytest.raises(changes.UnknownPlatform, match="SUSPENDED"):
            await changes.suspend(hub.database, hub.clock, platform.id)
        await changes.resume(hub.database, hub.clock, platform.id)
        await hub.directory.refresh()
        assert announced(hub, party) == ["CONNECTED"]
        assert await ask(party) == 200


@pytest.mark.promise("S-05")
async def test_revoked_tokens_are_dead_and_a_new_invitation_works(hub: SmallHub) -> None:
    async with Party.running(CPO) as party:
        platform = await join(hub, party)
        await changes.revoke_tokens(hub.database, hub.clock, platform.id)
        await hub.directory.refresh()
        assert await ask(party) == 401
        revoked = hub.directory.platform(platform.id)
        assert revoked is not None
        assert revoked.state is PlatformState.UNREGISTERED
        assert revoked.token is None
        assert (await join(hub, party)).id == platform.id


@pytest.mark.promise("S-27")
async def test_an_approved_host_lets_the_platform_move(hub: SmallHub) -> None:
    async with Party.running(CPO) as party:
        platform = await join(hub, party)
        party.credentials_url = party.versions_url.replace("127.0.0.1", "localhost")
        await changes.approve_host(hub.database, hub.clock, platform.id, "LOCALHOST")
        await hub.directory.refresh()
        answer = envelope.read((await party.update()).body)
        assert answer is not None
        assert answer.status_code == 3001, answer.status_message  # its details still name the old host
        party.url = party.url.replace("127.0.0.1", "localhost")
        answer = envelope.read((await party.update()).body)
        assert answer is not None
        assert answer.status_code == 1000, answer.status_message
        moved = hub.directory.platform(platform.id)
        assert moved is not None
        assert moved.approved_host == "localhost"


async def test_the_token_form_can_be_set_and_switches_are_checked(hub: SmallHub) -> None:
    async with Party.running(CPO) as party:
        platform = await join(hub, party)
        await changes.set_switches(hub.database, hub.clock, platform.id, {"strict": True, "token_encoding": "raw"})
        await hub.directory.refresh()
        changed = hub.directory.platform(platform.id)
        assert changed is not None
        assert not changed.base64
        assert changed.switches.strict
        with pytest.raises(changes.UnknownSwitch, match="strictt"):
            await changes.set_switches(hub.database, hub.clock, platform.id, {"strictt": True})
        with pytest.raises(changes.UnknownSwitch, match="auto, base64 or raw"):
            await changes.set_switches(hub.database, hub.clock, platform.id, {"token_encoding": "plain"})
        with pytest.raises(changes.UnknownPlatform):
            await changes.suspend(hub.database, hub.clock, uuid4())
