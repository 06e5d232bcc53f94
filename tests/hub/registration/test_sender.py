"""The hub registers with a partner, renews its tokens and ends the registration."""

from dataclasses import replace

import pytest

from hub.parties.platforms import PlatformState
from hub.registration.invitations import InvitationRefused
from ocpi_modules import json
from ocpi_modules.http.handshake import RefusedThere
from ocpi_modules.http.paths import versions_url
from ocpi_modules.message import OcpiRequest, OcpiResponse, PartyId
from ocpi_modules.status import ClientApiUnusable, InvalidParameters, NoMatchingEndpoints, OcpiError, UnsupportedVersion
from tests.hub.support import SmallHub, parties
from tests.support.party import Party, Scripted

CPO = ("CPO", "NL/ABC")
ABC = PartyId("NL", "ABC")


async def ask(party: Party) -> int:
    return (await party.send("GET", "locations", "SENDER")).http_status


def _listed(answer: OcpiResponse) -> OcpiResponse:
    """The same with its `data` in a list."""
    document = json.decode(answer.body)
    return replace(answer, body=json.encode(document | {"data": [document["data"]]}))


@pytest.mark.rule("C-01", "C-03", "X-07")
@pytest.mark.parametrize("accepts", ["both", "raw", "base64"])
async def test_the_hub_registers_as_sender(hub: SmallHub, accepts: str) -> None:
    async with Party.running(CPO, accepts=accepts) as party:
        platform_id = await hub.registration.connect(party.versions_url, party.issue_token_a(), parties([CPO]))
        platform = hub.directory.platform(platform_id)
        assert platform is not None
        assert platform.serves(ABC)
        assert platform.base64 is (accepts != "raw")
        await party.discover(party.hub_versions_url, party.hub_token)
        assert await ask(party) == 200
        posted = party.received("POST", "credentials")[0].document
        assert [role["role"] for role in posted["roles"]] == ["HUB"]
        assert posted["url"] == hub.versions_url


@pytest.mark.rule("X-98")
async def test_the_hub_calls_the_credentials_endpoint_as_listed(hub: SmallHub) -> None:
    async with Party.running(CPO) as party:
        party.endpoints = lambda listed: [item | {"url": item["url"] + "/"} for item in listed]
        platform_id = await hub.registration.connect(party.versions_url, party.issue_token_a(), parties([CPO]))
        await hub.registration.renew(platform_id)
        assert await hub.registration.unregister_platform(platform_id)
        called = [(seen.method, seen.raw_path) for seen in party.received(module="credentials")]
        assert called == [(method, "/ocpi/2.2.1/credentials/") for method in ("POST", "PUT", "DELETE")]


async def test_credentials_answered_as_a_list_of_one_are_read(hub: SmallHub) -> None:
    """As a widely used stack answers where one object is due (field 8)."""
    async with Party.running(CPO) as party:
        party.script("POST", "credentials", lambda request: _listed(party._credentials(request)))
        platform_id = await hub.registration.connect(party.versions_url, party.issue_token_a(), parties([CPO]))
        platform = hub.directory.platform(platform_id)
        assert platform is not None
        assert platform.serves(ABC)


@pytest.mark.rule("C-07", "C-09", "G-35", "G-34")
async def test_token_b_works_while_the_post_is_open(hub: SmallHub) -> None:
    async with Party.running(CPO) as party:
        seen = []

        async def call_back(request: OcpiRequest) -> OcpiResponse:
            token_b = request.document["token"]
            seen.append((await party.call("GET", versions_url(hub.url), token_b)).http_status)
            await party.discover(hub.versions_url, token_b)
            seen.append((await party.call("GET", party.hub_endpoints["locations", "SENDER"], token_b)).http_status)
            return party._credentials(request)

        party.script("POST", "credentials", call_back)
        await hub.registration.connect(party.versions_url, party.issue_token_a(), parties([CPO]))
        assert seen == [200, 401]
        assert await ask(party) == 200


@pytest.mark.rule("C-08", "C-11", "C-13")
@pytest.mark.parametrize(
    ("method", "module", "script", "error"),
    [
        ("POST", "credentials", Scripted(status_code=3001), RefusedThere),
        ("POST", "credentials", Scripted(http_status=405, status_code=2000), RefusedThere),
        ("POST", "credentials", Scripted(data={"token": "x"}), ClientApiUnusable),
        ("GET", "versions", Scripted(data=[{"version": "2.1.1", "url": "http://127.0.0.1/"}]), UnsupportedVersion),
    ],
)
async def test_a_refused_connect_discards_token_b_and_can_be_repeated(
    hub: SmallHub, method: str, module: str, script: Scripted, error: type[OcpiError]
) -> None:
    async with Party.running(CPO) as party:
        token_a = party.issue_token_a()
        party.script(method, module, script)
        with pytest.raises(error):
            await hub.registration.connect(party.versions_url, token_a, parties([CPO]))
        for sent in party.received("POST", "credentials"):
            token_b = sent.document["token"]
            if error is RefusedThere:
                assert (await party.call("GET", hub.versions_url, token_b)).http_status == 401
        party.script(method, module)
        await hub.registration.connect(party.versions_url, token_a, parties([CPO]))
        assert (await hub.directory.platform_of(ABC)) is not None


@pytest.mark.rule("C-40")
async def test_a_partner_that_declares_other_roles_is_left_again(hub: SmallHub) -> None:
    async with Party.running(CPO, ("EMSP", "NL/ABC")) as party:
        with pytest.raises(InvalidParameters, match=r"EMSP NL\*ABC"):
            await hub.registration.connect(party.versions_url, party.issue_token_a(), parties([CPO]))
        assert len(party.received("DELETE", "credentials")) == 1
        platform = await hub.directory.platform_of(ABC)
        assert platform is not None
        assert platform.state is PlatformState.PLANNED


@pytest.mark.rule("C-30", "C-31")
async def test_a_renewal_changes_both_tokens_and_ends_the_old_one_at_the_next_use(hub: SmallHub) -> None:
    async with Party.running(CPO) as party:
        await party.register(hub.versions_url, await hub.invite(CPO))
        assert await ask(party) == 200
        old = party.hub_token
        platform = await hub.directory.platform_of(ABC)
        assert platform is not None
        await hub.registration.renew(platform.id)
        assert party.hub_token != old
        assert (await party.call("GET", hub.versions_url, old)).http_status == 200
        assert await ask(party) == 200
        assert (await party.call("GET", hub.versions_url, old)).http_status == 401
        renewed = hub.directory.platform(platform.id)
        assert renewed is not None
        assert renewed.token is not None
        assert renewed.token.get_secret_value() == party.our_tokens[0]


@pytest.mark.rule("C-41")
@pytest.mark.parametrize("confirms", [True, False])
async def test_offboarding_ends_everything_whatever_the_partner_says(hub: SmallHub, confirms: bool) -> None:
    async with Party.running(CPO) as party:
        await party.register(hub.versions_url, await hub.invite(CPO))
        token = party.hub_token
        if not confirms:
            party.script("DELETE", "credentials", Scripted(http_status=500, raw=b"no"))
        platform = await hub.directory.platform_of(ABC)
        assert platform is not None
        assert await hub.registration.unregister_platform(platform.id) is confirms
        assert (await party.call("GET", hub.versions_url, token)).http_status == 401
        ended = hub.directory.platform(platform.id)
        assert ended is not None
        assert ended.state is PlatformState.UNREGISTERED


async def test_parties_of_a_registered_platform_cannot_be_invited_again(hub: SmallHub) -> None:
    async with Party.running(CPO) as party:
        await party.register(hub.versions_url, await hub.invite(CPO))
        with pytest.raises(InvitationRefused, match="REGISTERED"):
            await hub.invite(CPO)
        with pytest.raises(InvitationRefused, match="hub's own"):
            await hub.invite(("CPO", "NL/HUB"))


async def test_a_second_invitation_replaces_the_first(hub: SmallHub) -> None:
    async with Party.running(CPO) as party:
        first, second = await hub.invite(CPO), await hub.invite(CPO)
        assert (await party.call("GET", hub.versions_url, first)).http_status == 401
        assert (await party.call("GET", hub.versions_url, second)).http_status == 200


@pytest.mark.rule("F-52", "C-29")
async def test_a_partner_that_tries_the_new_token_and_then_refuses_it_keeps_the_old_one(hub: SmallHub) -> None:
    async with Party.running(CPO) as party:
        await party.register(hub.versions_url, await hub.invite(CPO))
        assert await ask(party) == 200
        platform = await hub.directory.platform_of(ABC)
        assert platform is not None
        tried = []

        async def try_and_refuse(request: OcpiRequest) -> OcpiResponse:
            tried.append(request.document["token"])
            assert (await party.call("GET", hub.versions_url, tried[-1])).http_status == 200
            raise NoMatchingEndpoints("Not today.")

        party.script("PUT", "credentials", try_and_refuse)
        with pytest.raises(RefusedThere):
            await hub.registration.renew(platform.id)
        assert (await party.call("GET", hub.versions_url, tried[0])).http_status == 401
        assert await ask(party) == 200
