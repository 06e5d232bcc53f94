"""HubClientInfo: the list, the push, and who is CONNECTED."""

from typing import Any

import pytest

from hub.clientinfo.views import sees
from hub.parties.announced_repository import LEAST_ANNOUNCED
from hub.parties.platforms import Platform
from ocpi_modules import envelope
from ocpi_modules.message import PartyId
from ocpi_modules.paging import parse_link
from ocpi_modules.spec import Role
from tests.hub.support import SmallHub, announcing
from tests.support.party import Party, Scripted

CPO, EMSP = ("CPO", "NL/CPO"), ("EMSP", "DE/EMA")


async def join(hub: SmallHub, party: Party, *roles: tuple[str, str]) -> Platform:
    await party.register(hub.versions_url, await hub.invite(*roles))
    await party.send("GET", "hubclientinfo", "SENDER", routed=False)
    platform = await hub.directory.platform_of(party.id)
    assert platform is not None
    return platform


async def listed(party: Party, query: str = "") -> list[dict[str, Any]]:
    answer = await party.send("GET", "hubclientinfo", "SENDER", routed=False, query=query)
    content = envelope.read(answer.body)
    assert content is not None
    assert content.succeeded, content.status_message
    found: list[dict[str, Any]] = content.data
    return found


def connected(hub: SmallHub, party: Party) -> bool:
    platform = hub.directory.known_platform_of(party.id)
    return platform is not None and platform.connected


def states(infos: list[dict[str, Any]]) -> dict[str, str]:
    return {f"{info['role']} {info['country_code']}*{info['party_id']}": info["status"] for info in infos}


@pytest.mark.rule("H-05", "H-08", "H-18", "C-35", "H-16", "H-17", "G-20", "G-21")
async def test_a_platform_sees_the_parties_it_can_talk_with(hub: SmallHub) -> None:
    async with Party.running(CPO, ("EMSP", "NL/CPO")) as both, Party.running(EMSP) as emsp, Party.running(CPO) as cpo:
        await hub.invite(("CPO", "BE/NEW"))
        cpo.roles = cpo.roles[:1]
        await join(hub, both, CPO, ("EMSP", "NL/CPO"))
        await join(hub, emsp, EMSP)
        assert states(await listed(emsp)) == {"CPO NL*CPO": "CONNECTED", "CPO BE*NEW": "PLANNED"}
        assert states(await listed(both)) == {"EMSP DE*EMA": "CONNECTED", "CPO BE*NEW": "PLANNED"}
        info = (await listed(emsp))[0]
        assert set(info) == {"party_id", "country_code", "role", "status", "last_updated"}


@pytest.mark.rule("H-02", "H-01")
async def test_the_list_has_pages_and_dates(hub: SmallHub) -> None:
    async with Party.running(EMSP) as emsp:
        for number in range(5):
            await hub.invite(("CPO", f"NL/C0{number}"))
        await join(hub, emsp, EMSP)
        url = emsp.hub_endpoints["hubclientinfo", "SENDER"]
        seen, next_page = [], f"{url}?limit=2"
        while next_page:
            answer = await emsp.call("GET", next_page, emsp.hub_token)
            content = envelope.read(answer.body)
            assert content is not None
            seen += [info["party_id"] for info in content.data]
            assert answer.headers["x-total-count"] == "5"
            next_page = parse_link(answer.headers.get("link", "")) or ""
        assert sorted(seen) == ["C00", "C01", "C02", "C03", "C04"]
        assert len(seen) == 5
        instants = sorted(info["last_updated"] for info in await listed(emsp))
        assert len(await listed(emsp, f"date_to={instants[0]}")) <= 1
        assert await listed(emsp, "date_from=2100-01-01T00:00:00Z") == []
        post = await emsp.call("POST", url, emsp.hub_token, b"{}")
        assert post.http_status == 405


@pytest.mark.rule("H-04", "H-21", "H-22", "H-24", "H-14", "H-15", "G-65")
async def test_states_are_pushed_to_those_they_concern(hub: SmallHub) -> None:
    async with announcing(hub), Party.running(CPO) as cpo, Party.running(EMSP) as emsp:
        await join(hub, cpo, CPO)
        cpo_platform = await join(hub, emsp, EMSP) and await hub.directory.platform_of(cpo.id)
        assert cpo_platform is not None
        told = await cpo.wait_for("PUT", "hubclientinfo")
        if told[-1].document["status"] == "PLANNED":  # invited, and not registered yet
            told = await cpo.wait_for("PUT", "hubclientinfo", len(told) + 1)
        assert told[-1].raw_path.endswith("/DE/EMA")
        assert told[-1].document["status"] == "CONNECTED"
        assert told[-1].sender is None
        assert told[-1].to is None
        newcomer = await emsp.wait_for("PUT", "hubclientinfo")
        assert states([item.document for item in newcomer]) == {"CPO NL*CPO": "CONNECTED"}

        hub.clock.ahead = LEAST_ANNOUNCED
        await listed(emsp)  # heard of now, so that the hub does not suspect itself
        hub.status.failed(cpo_platform)
        await hub.status.store()
        assert connected(hub, cpo)
        hub.status.answered(cpo_platform)
        for _ in range(2):  # at once: a push to it that is answered in between would begin anew
            hub.status.failed(cpo_platform)
        await hub.status.store()
        assert (await emsp.wait_for("PUT", "hubclientinfo", 2))[-1].document["status"] == "OFFLINE"
        offline = hub.directory.platform(cpo_platform.id)
        assert offline is not None
        assert not offline.connected
        assert offline.serves(cpo.id)

        hub.clock.ahead *= 2
        await cpo.send("GET", "hubclientinfo", "SENDER", routed=False)
        assert (await emsp.wait_for("PUT", "hubclientinfo", 3))[-1].document["status"] == "CONNECTED"


@pytest.mark.rule("H-15")
async def test_a_success_between_two_failures_keeps_a_platform_connected(hub: SmallHub) -> None:
    async with Party.running(CPO) as cpo:
        platform = await join(hub, cpo, CPO)
        hub.status.failed(platform)
        hub.status.seen(platform)
        hub.status.failed(platform)
        await hub.status.store()
        after = hub.directory.platform(platform.id)
        assert after is not None
        assert after.connected


@pytest.mark.rule("H-07", "H-09", "C-38")
async def test_leaving_is_pushed_as_suspended(hub: SmallHub) -> None:
    async with announcing(hub), Party.running(CPO) as cpo, Party.running(EMSP) as emsp:
        await join(hub, cpo, CPO)
        await join(hub, emsp, EMSP)
        await emsp.wait_for("PUT", "hubclientinfo")
        await cpo.unregister()
        assert (await emsp.wait_for("PUT", "hubclientinfo", 2))[-1].document["status"] == "SUSPENDED"
        assert states(await listed(emsp)) == {"CPO NL*CPO": "SUSPENDED"}


async def test_a_push_is_tried_once_and_a_refusal_harms_nobody(hub: SmallHub) -> None:
    async with announcing(hub), Party.running(CPO) as cpo, Party.running(EMSP) as emsp:
        cpo.script("PUT", "hubclientinfo", Scripted(http_status=500, raw=b"broken"))
        platform = await join(hub, cpo, CPO)
        await join(hub, emsp, EMSP)
        await cpo.wait_for("PUT", "hubclientinfo")
        await emsp.wait_for("PUT", "hubclientinfo")
        await hub.status.store()
        assert len(cpo.received("PUT", "hubclientinfo")) == 1
        still = hub.directory.platform(platform.id)
        assert still is not None
        assert still.connected


@pytest.mark.rule("H-18", "U-32")
@pytest.mark.parametrize(
    ("viewer", "seen"),
    [
        (Role.CPO, {Role.EMSP, Role.NSP, Role.OTHER, Role.SCSP, Role.NAP}),
        (Role.EMSP, {Role.CPO, Role.NAP, Role.SCSP}),
        (Role.NSP, {Role.CPO, Role.NAP}),
    ],
)
def test_the_roles_a_viewer_sees(viewer: Role, seen: set[Role]) -> None:
    assert {role for role in Role if sees({viewer}, role)} == seen


@pytest.mark.rule("E-02", "E-03", "E-04", "E-08", "E-11", "E-17")
async def test_the_hub_lists_every_functional_module_twice(hub: SmallHub) -> None:
    async with Party.running(CPO) as cpo:
        token_a = await hub.invite(CPO)
        versions = envelope.read((await cpo.call("GET", hub.versions_url, token_a)).body)
        assert versions is not None
        assert versions.data == [{"version": "2.2.1", "url": f"{hub.url}/ocpi/2.2.1"}]
        details = envelope.read((await cpo.call("GET", versions.data[0]["url"], token_a)).body)
        assert details is not None
        pairs = [(item["identifier"], item["role"]) for item in details.data["endpoints"]]
        modules = ("locations", "sessions", "cdrs", "tariffs", "tokens", "commands", "chargingprofiles")
        expected = {(module, side) for module in modules for side in ("SENDER", "RECEIVER")}
        assert set(pairs) == expected | {("credentials", "SENDER"), ("hubclientinfo", "SENDER")}
        assert len(pairs) == len(set(pairs))
        assert all(item["url"].startswith(hub.url) for item in details.data["endpoints"])
        assert cpo.id == PartyId("NL", "CPO")
