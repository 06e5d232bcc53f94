"""Killed at any step of a handshake, the pair stays usable and a repeat works (F-52)."""

from collections.abc import Awaitable, Callable

import pytest

from hub.registration.invitations import InvitationRefused
from ocpi_modules import envelope, headers, json
from ocpi_modules.http.client import OutgoingRequest
from ocpi_modules.message import OcpiRequest, PartyId
from ocpi_modules.registry import MODULES
from ocpi_modules.secrets import new_token
from ocpi_modules.spec import Method, ModuleID
from tests.hub.registration.dying import Killed, doomed
from tests.hub.support import SmallHub, parties
from tests.support.party import Party

CPO = ("CPO", "NL/ABC")
ABC = PartyId("NL", "ABC")
MOST_STEPS = 40


def credentials_request(method: Method, party: Party, token: str) -> OcpiRequest:
    """A credentials request as the door in would hand it over, with a new token of the party."""
    endpoint = next(item for item in MODULES[ModuleID.credentials].endpoints if item.method is method)
    party.our_tokens.insert(0, new_token("partyC_"))
    body = json.encode(party.credentials(party.our_tokens[0]))
    return OcpiRequest(method, ModuleID.credentials, endpoint, body=body, authorization=headers.authorization(token))


async def the_partner_can_call(party: Party) -> bool:
    return (await party.send("GET", "locations", "SENDER")).http_status == 200


async def the_hub_can_call(hub: SmallHub, party: Party) -> bool:
    await hub.directory.refresh()
    platform = await hub.directory.platform_of(ABC)
    assert platform is not None
    sent = {"Authorization": platform.authorization}
    return (await hub.client.send(OutgoingRequest("GET", party.versions_url, sent))).http_status == 200


async def killed_at_every_step(
    hub: SmallHub, act: Callable[[SmallHub], Awaitable[object]], after: Callable[[], Awaitable[None]]
) -> int:
    """Let `act` die at its first step, its second, ... and look at the pair `after` each; the number of deaths."""
    for step in range(MOST_STEPS):
        try:
            await act(doomed(hub, step))
        except Killed:
            await after()
        else:
            return step
    raise AssertionError(f"more than {MOST_STEPS} steps")


@pytest.mark.rule("F-52", "C-08")
async def test_a_post_that_dies_anywhere_can_be_repeated_with_token_a(hub: SmallHub) -> None:
    async with Party.running(CPO) as party:
        token_a = await hub.invite(CPO)
        await party.discover(hub.versions_url, token_a)

        async def repeat() -> None:
            assert (await party.call("GET", hub.versions_url, token_a)).http_status == 200

        async def act(dying: SmallHub) -> None:
            await dying.handle(credentials_request(Method.POST, party, token_a))

        assert await killed_at_every_step(hub, act, repeat) >= 8
        answer = envelope.read((await party.exchange_credentials("POST", token_a)).body)
        assert answer is not None
        assert answer.succeeded
        assert await the_partner_can_call(party)
        assert await the_hub_can_call(hub, party)


@pytest.mark.rule("F-52", "C-29")
async def test_a_put_that_dies_anywhere_leaves_the_old_token_alive(hub: SmallHub) -> None:
    async with Party.running(CPO) as party:
        await party.register(hub.versions_url, await hub.invite(CPO))
        assert await the_partner_can_call(party)

        async def after() -> None:
            assert await the_partner_can_call(party)
            assert await the_hub_can_call(hub, party)

        async def act(dying: SmallHub) -> None:
            await dying.handle(credentials_request(Method.PUT, party, party.hub_token))

        assert await killed_at_every_step(hub, act, after) >= 8
        await party.update()
        await after()


@pytest.mark.rule("F-52", "C-07")
async def test_a_connect_that_dies_anywhere_is_repeated_or_done(hub: SmallHub) -> None:
    async with Party.running(CPO) as party:
        token_a = party.issue_token_a()
        done_before_death: list[str] = []

        async def after() -> None:
            """Token A of this partner stays valid; nothing else is asked of the pair before the repeat."""

        async def act(dying: SmallHub) -> None:
            try:
                await dying.registration.connect(party.versions_url, token_a, parties([CPO]))
            except InvitationRefused as refused:
                done_before_death.append(str(refused))

        assert await killed_at_every_step(hub, act, after) >= 8
        assert len(done_before_death) == 1
        assert "REGISTERED" in done_before_death[0]
        await party.discover(hub.versions_url, party.hub_token)
        assert await the_partner_can_call(party)
        assert await the_hub_can_call(hub, party)


@pytest.mark.rule("F-52", "C-30")
async def test_a_renewal_that_dies_anywhere_leaves_a_usable_pair(hub: SmallHub) -> None:
    async with Party.running(CPO) as party:
        await party.register(hub.versions_url, await hub.invite(CPO))
        assert await the_partner_can_call(party)
        platform = await hub.directory.platform_of(ABC)
        assert platform is not None

        async def after() -> None:
            assert await the_partner_can_call(party)
            assert await the_hub_can_call(hub, party)

        async def act(dying: SmallHub) -> None:
            await dying.directory.refresh()
            await dying.registration.renew(platform.id)

        assert await killed_at_every_step(hub, act, after) >= 8
        await after()
