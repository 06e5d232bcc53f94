"""A partner registers with the hub: POST, PUT, DELETE and GET of credentials over real sockets."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from hub.delivery.store import PostgresStore
from hub.parties import changes
from hub.parties.platforms import PartyState, PlatformState
from ocpi_modules import envelope
from ocpi_modules.http.connection import IncomingAnswer
from ocpi_modules.message import PartyId
from ocpi_modules.spec import InterfaceRole
from tests.hub.support import SmallHub
from tests.support.party import Party, Role, Scripted

CPO, EMSP = ("CPO", "NL/ABC"), ("EMSP", "NL/ABC")
ABC = PartyId("NL", "ABC")


def code(answer: IncomingAnswer) -> int:
    content = envelope.read(answer.body)
    assert content is not None, answer.body
    return content.status_code


def message(answer: IncomingAnswer) -> str:
    content = envelope.read(answer.body)
    assert content is not None
    return content.status_message


def data(answer: IncomingAnswer) -> Any:
    content = envelope.read(answer.body)
    assert content is not None
    return content.data


async def ask(party: Party) -> IncomingAnswer:
    """A functional request of the party."""
    return await party.send("GET", "locations", "SENDER")


@pytest.mark.rule("C-03", "C-04", "C-20", "C-34", "E-11", "X-06")
@pytest.mark.parametrize("raw", [False, True], ids=["base64", "raw"])
async def test_a_partner_registers_and_its_token_form_is_learned(hub: SmallHub, raw: bool) -> None:
    async with Party.running(CPO, EMSP, raw_tokens=raw, accepts="raw" if raw else "base64") as party:
        answer = await party.register(hub.versions_url, await hub.invite(CPO, EMSP))
        assert (answer.http_status, code(answer)) == (200, 1000)
        assert [role["role"] for role in data(answer)["roles"]] == ["HUB"]
        assert (await ask(party)).http_status == 200
        platform = await hub.directory.platform_of(PartyId("nl", "abc"))
        assert platform is not None
        assert platform.registered
        assert platform.base64 is not raw
        assert {role.value for role in platform.roles_of(ABC)} == {"CPO", "EMSP"}
        assert platform.endpoint("sessions", InterfaceRole.RECEIVER) == f"{party.url}/ocpi/2.2.1/receiver/sessions"
        assert len(party.hub_endpoints) == 16
        called_back = [item.raw_path for item in party.received("GET")]
        assert called_back == ["/ocpi/versions", "/ocpi/2.2.1"]


@pytest.mark.rule("X-07")
async def test_the_other_form_of_the_token_is_tried_once_after_a_401(hub: SmallHub) -> None:
    async with Party.running(CPO, raw_tokens=False, accepts="raw") as party:
        answer = await party.register(hub.versions_url, await hub.invite(CPO))
        assert code(answer) == 1000
        platform = await hub.directory.platform_of(ABC)
        assert platform is not None
        assert not platform.base64


@pytest.mark.rule("X-12", "F-45", "X-11")
async def test_token_a_opens_versions_and_credentials_only(hub: SmallHub) -> None:
    async with Party.running(CPO) as party:
        token_a = await hub.invite(CPO)
        await party.discover(hub.versions_url, token_a)
        for (module, _), url in party.hub_endpoints.items():
            if module != "credentials":
                answer = await party.call("GET", url + "/x" * ("receiver" in url), token_a)
                assert answer.http_status in (401, 404, 405), module
        assert (await party.call("GET", party.hub_endpoints["locations", "SENDER"], token_a)).http_status == 401
        shown = await party.call("GET", party.hub_endpoints["credentials", "SENDER"], token_a)
        assert data(shown)["token"] == token_a
        assert (await party.call("GET", hub.versions_url, "nobody's token")).http_status == 401


@pytest.mark.rule("C-06")
@pytest.mark.promise("S-04")
async def test_token_a_works_until_the_new_token_was_used(hub: SmallHub) -> None:
    async with Party.running(CPO) as party:
        token_a = await hub.invite(CPO)
        await party.register(hub.versions_url, token_a)
        assert (await party.call("GET", hub.versions_url, token_a)).http_status == 200
        assert (await ask(party)).http_status == 200
        assert (await party.call("GET", hub.versions_url, token_a)).http_status == 401
        assert (await ask(party)).http_status == 200


async def test_a_second_post_with_token_a_replaces_the_unused_token(hub: SmallHub) -> None:
    async with Party.running(CPO) as party:
        token_a = await hub.invite(CPO)
        await party.register(hub.versions_url, token_a)
        first = party.hub_token
        assert code(await party.exchange_credentials("POST", token_a)) == 1000
        assert party.hub_token != first
        assert (await party.call("GET", hub.versions_url, first)).http_status == 401
        assert (await ask(party)).http_status == 200


@pytest.mark.rule("C-24", "C-25", "C-26")
async def test_each_method_has_its_time(hub: SmallHub) -> None:
    async with Party.running(CPO) as party:
        token_a = await hub.invite(CPO)
        await party.discover(hub.versions_url, token_a)
        credentials = party.hub_endpoints["credentials", "SENDER"]
        assert (await party.exchange_credentials("PUT", token_a)).http_status == 405
        assert (await party.call("DELETE", credentials, token_a)).http_status == 405
        await party.exchange_credentials("POST", token_a)
        assert (await party.exchange_credentials("POST", party.hub_token)).http_status == 405


@pytest.mark.rule("C-21", "C-29", "G-36")
async def test_put_rotates_both_tokens_with_an_overlap(hub: SmallHub) -> None:
    async with Party.running(CPO) as party:
        await party.register(hub.versions_url, await hub.invite(CPO))
        await ask(party)
        old, old_ours = party.hub_token, party.our_tokens[0]
        assert code(await party.update()) == 1000
        assert party.hub_token != old
        assert (await party.call("GET", hub.versions_url, old)).http_status == 200
        assert (await ask(party)).http_status == 200
        assert (await party.call("GET", hub.versions_url, old)).http_status == 401
        platform = await hub.directory.platform_of(ABC)
        assert platform is not None
        assert platform.token is not None
        assert platform.token.get_secret_value() == party.our_tokens[0] != old_ours


@pytest.mark.rule("F-52")
async def test_a_partner_that_lost_the_answer_to_put_goes_on_with_its_old_token(hub: SmallHub) -> None:
    async with Party.running(CPO) as party:
        await party.register(hub.versions_url, await hub.invite(CPO))
        for _ in range(3):
            assert code(await party.update(learn=False)) == 1000
            assert (await ask(party)).http_status == 200
        assert code(await party.update()) == 1000
        assert (await ask(party)).http_status == 200


@pytest.mark.rule("C-22", "C-27", "C-38", "H-07")
async def test_after_delete_both_tokens_are_dead_and_the_parties_are_suspended(hub: SmallHub) -> None:
    async with Party.running(CPO) as party:
        await party.register(hub.versions_url, await hub.invite(CPO))
        assert code(await party.unregister()) == 1000
        assert (await ask(party)).http_status == 401
        platform = await hub.directory.platform_of(ABC)
        assert platform is not None
        assert platform.state is PlatformState.UNREGISTERED
        assert platform.token is None
        assert not platform.serves(ABC)
        assert [item.announced for item in platform.parties] == ["SUSPENDED"]
        assert code(await party.register(hub.versions_url, await hub.invite(CPO))) == 1000


@pytest.mark.rule("Q-14")
async def test_delete_takes_the_cursor_with_it(hub: SmallHub) -> None:
    store, worker = PostgresStore(hub.database), uuid4()

    async def cursors() -> int:
        async with hub.database.connection() as connection:
            return int(await connection.fetchval("SELECT count(*) FROM destination"))

    async with Party.running(CPO) as party:
        await party.register(hub.versions_url, await hub.invite(CPO))
        await store.beat(worker)
        assert await cursors() == 1
        assert code(await party.unregister()) == 1000
        assert await cursors() == 0


@pytest.mark.rule("C-40", "C-39", "R-33", "R-80", "R-81", "U-27", "U-28", "U-39")
@pytest.mark.promise("S-12")
@pytest.mark.parametrize(
    ("roles", "words"),
    [
        ([("CPO", "NL/XYZ")], "not within your invitation"),
        ([("CPO", "NL/ABC"), ("EMSP", "NL/ABC")], "EMSP NL*ABC"),
        ([("CPO", "nl/own")], "NL*OWN"),
        ([("CPO", "NL/HUB")], "hub's own party"),
        ([("HUB", "NL/ABC")], "role HUB"),
    ],
    ids=["unknown", "more-roles", "of-another-platform", "the-hub", "role-hub"],
)
async def test_roles_outside_the_invitation_are_refused(
    hub: SmallHub, roles: list[tuple[str, str]], words: str
) -> None:
    await hub.invite(("CPO", "NL/OWN"))
    async with Party.running(*roles) as party:
        answer = await party.register(hub.versions_url, await hub.invite(CPO))
        assert (answer.http_status, code(answer)) == (200, 2001)
        assert words in message(answer)
        assert party.received() == []


@pytest.mark.rule("C-16", "C-18", "C-14")
@pytest.mark.parametrize(
    "change",
    [
        {"token": ""},
        {"token": "x" * 65},
        {"token": "two words"},
        {"url": "ftp://x"},
        {"roles": []},
        {"roles": None},
    ],
)
async def test_a_credentials_object_with_a_fault_is_refused_by_name(hub: SmallHub, change: dict[str, Any]) -> None:
    async with Party.running(CPO) as party:
        token_a = await hub.invite(CPO)
        await party.discover(hub.versions_url, token_a)
        answer = await party.exchange_credentials("POST", token_a, party.credentials("a-token") | change)
        assert code(answer) == 2001
        assert next(iter(change)) in message(answer)


@pytest.mark.rule("C-10", "C-12", "C-13", "C-08")
@pytest.mark.promise("S-25")
@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (Scripted(http_status=500, raw=b"oops"), 3001),
        (Scripted(http_status=401, status_code=2000), 3001),
        (Scripted(data={"not": "a list"}), 3001),
        (Scripted(data=[{"version": "9.9", "url": "http://127.0.0.1/x"}]), 3002),
        (Scripted(data=[{"version": "2.2.1", "url": "http://elsewhere.example/x"}]), 3001),
    ],
    ids=["broken", "401", "no-list", "no-version", "other-host"],
)
async def test_a_callback_that_fails_is_told_and_token_a_stays(hub: SmallHub, script: Scripted, expected: int) -> None:
    async with Party.running(CPO) as party:
        party.script("GET", "versions", script)
        token_a = await hub.invite(CPO)
        answer = await party.register(hub.versions_url, token_a)
        assert (answer.http_status, code(answer)) == (200, expected)
        party.script("GET", "versions")
        assert code(await party.exchange_credentials("POST", token_a)) == 1000


@pytest.mark.rule("C-10")
@pytest.mark.promise("S-24")
@pytest.mark.parametrize(
    ("http_status", "scheme", "path"),
    [(301, "http", "/ocpi/versions/"), (308, "https", "/ocpi/versions"), (302, "http", "/login")],
)
async def test_a_redirect_that_is_not_followed_is_told_as_one(
    hub: SmallHub, http_status: int, scheme: str, path: str
) -> None:
    async with Party.running(CPO) as party:
        location = party.url.replace("http", scheme) + path
        party.script("GET", "versions", Scripted(http_status, raw=b"", headers={"Location": location}))
        answer = await party.register(hub.versions_url, await hub.invite(CPO))
        assert code(answer) == 3001
        assert f"was redirected with HTTP {http_status} to '{location}', which is not followed" in message(answer)


@pytest.mark.rule("C-12", "E-13", "E-08", "G-82", "G-63")
async def test_endpoints_are_read_leniently_but_credentials_must_be_there(hub: SmallHub) -> None:
    async with Party.running(CPO) as party:
        token_a = await hub.invite(CPO)
        party.endpoints = lambda listed: [item for item in listed if item["identifier"] != "credentials"]
        assert code(await party.register(hub.versions_url, token_a)) == 3003
        strange: list[Any] = [{"identifier": "nlabc-own", "role": "OWNER", "url": f"{party.url}/own"}, "text", {}]
        party.endpoints = lambda listed: (
            [item | ({"role": "WHAT"} if item["identifier"] == "credentials" else {}) for item in listed] + strange
        )
        assert code(await party.exchange_credentials("POST", token_a)) == 1000
        platform = await hub.directory.platform_of(ABC)
        assert platform is not None
        assert ("credentials", InterfaceRole.SENDER) in platform.endpoints
        assert not any(module == "nlabc-own" for module, _ in platform.endpoints)


@pytest.mark.rule("X-98")
async def test_endpoints_are_kept_as_listed_with_the_slash_at_their_end(hub: SmallHub) -> None:
    async with Party.running(CPO) as party:
        party.endpoints = lambda listed: [item | {"url": item["url"] + "/"} for item in listed]
        assert code(await party.register(hub.versions_url, await hub.invite(CPO))) == 1000
        platform = await hub.directory.platform_of(ABC)
        assert platform is not None
        assert platform.endpoint("locations", InterfaceRole.SENDER) == f"{party.url}/ocpi/2.2.1/sender/locations/"


@pytest.mark.promise("S-25", "S-27")
async def test_no_url_of_the_tree_may_lie_on_another_host(hub: SmallHub) -> None:
    async with Party.running(CPO) as party:
        token_a = await hub.invite(CPO)
        elsewhere = party.url.replace("127.0.0.1", "localhost")
        party.endpoints = lambda listed: [
            item | {"url": item["url"].replace(party.url, elsewhere)} if item["identifier"] == "cdrs" else item
            for item in listed
        ]
        answer = await party.register(hub.versions_url, token_a)
        assert code(answer) == 3001
        assert elsewhere in message(answer)
        party.endpoints = lambda listed: listed
        party.log.clear()
        party.script("GET", "versions", Scripted(data=[{"version": "2.2.1", "url": f"{elsewhere}/ocpi/2.2.1"}]))
        assert code(await party.exchange_credentials("POST", token_a)) == 3001
        assert [item.raw_path for item in party.received()] == ["/ocpi/versions"]


@pytest.mark.promise("S-27", "S-25")
async def test_a_put_to_another_host_needs_the_operator(hub: SmallHub) -> None:
    async with Party.running(CPO) as party:
        await party.register(hub.versions_url, await hub.invite(CPO))
        party.credentials_url = party.versions_url.replace("127.0.0.1", "localhost")
        before = len(party.log)
        answer = await party.update()
        assert code(answer) == 2001
        assert "localhost" in message(answer)
        assert len(party.log) == before


async def test_a_put_notes_those_of_its_parties_that_hear_more_than_before(hub: SmallHub) -> None:
    """They are owed what was passed over for lack of it; who registers, or says the same again, is owed nothing."""

    async def noted() -> list[str]:
        async with hub.database.transaction() as connection:
            return [row["party"] for row in await connection.fetch("DELETE FROM receiver_beginning RETURNING party")]

    async with Party.running(CPO, ("CPO", "BE/ABC")) as party:
        everything = party.endpoints
        party.endpoints = lambda listed: [one for one in listed if one["identifier"] != "tokens"]
        await party.register(hub.versions_url, await hub.invite(CPO, ("CPO", "BE/ABC")))
        await party.update()
        assert await noted() == []
        party.endpoints = everything
        await party.update()
        assert sorted(await noted()) == ["BE*ABC", "NL*ABC"]
        await party.update(roles=[Role("CPO", ABC)])
        assert await noted() == []
        await party.update()
        assert await noted() == ["BE*ABC"]


@pytest.mark.rule("C-37", "C-36", "R-31", "U-30")
async def test_a_role_left_out_by_put_is_suspended_and_may_come_back(hub: SmallHub) -> None:
    async with Party.running(CPO, ("CPO", "BE/ABC")) as party:
        await party.register(hub.versions_url, await hub.invite(CPO, ("CPO", "BE/ABC")))
        await party.update(roles=[Role("CPO", ABC)])
        belgian = PartyId("BE", "ABC")
        platform = await hub.directory.platform_of(belgian)
        assert platform is not None
        assert not platform.serves(belgian)
        assert platform.serves(ABC)
        gone = next(item for item in platform.parties if item.id == belgian)
        assert (gone.state, gone.announced) == (PartyState.SUSPENDED, "SUSPENDED")
        assert code(await party.send("GET", "locations", "SENDER", sender=belgian)) == 2001
        await party.update()
        again = await hub.directory.platform_of(belgian)
        assert again is not None
        assert again.serves(belgian)


@pytest.mark.promise("S-04")
async def test_an_invitation_expires(hub: SmallHub) -> None:
    async with Party.running(CPO) as party:
        token_a = await hub.invite(CPO, expires=timedelta(hours=1))
        await party.discover(hub.versions_url, token_a)
        hub.clock.ahead = timedelta(hours=2)
        assert (await party.exchange_credentials("POST", token_a)).http_status == 401


@pytest.mark.rule("C-19")
async def test_get_shows_the_token_the_caller_uses(hub: SmallHub) -> None:
    async with Party.running(CPO) as party:
        await party.register(hub.versions_url, await hub.invite(CPO))
        shown = await party.call("GET", party.hub_endpoints["credentials", "SENDER"], party.hub_token)
        assert data(shown)["token"] == party.hub_token
        assert data(shown)["url"] == hub.versions_url


async def test_our_credentials_hold_explicit_nulls_for_a_platform_that_needs_them(hub: SmallHub) -> None:
    async with Party.running(CPO) as party:
        await party.register(hub.versions_url, await hub.invite(CPO))
        platform = await hub.directory.platform_of(ABC)
        assert platform is not None
        assert "logo" not in await details_told(party)
        await changes.set_switches(hub.database, hub.clock, platform.id, {"explicit_nulls": True})
        await hub.directory.refresh()
        assert await details_told(party) == {"name": "Hub", "website": hub.url, "logo": None}


async def details_told(party: Party) -> dict[str, object]:
    answer = await party.call("GET", party.hub_endpoints["credentials", "SENDER"], party.hub_token)
    content = envelope.read(answer.body)
    assert content is not None
    details: dict[str, object] = content.data["roles"][0]["business_details"]
    return details
