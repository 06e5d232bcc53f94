"""credentials: registration with a whole hub, and what follows from each method."""

import pytest

from ocpi_modules import headers as names
from ocpi_modules import json
from ocpi_modules.message import PartyId
from tests.scenarios.conftest import EMSP, Answer, World, session
from tests.support.party import Party, Role, Scripted

NEW = ("CPO", "NL/NEW")


async def asked(world: World, token: str) -> int:
    """The HTTP status of a functional request with this token."""
    headers = {"Authorization": names.authorization(token)} | names.routing_headers(to=EMSP, sender=None)
    return (await world.raw("GET", "/ocpi/2.2.1/sender/tokens", headers)).http_status


async def listed(world: World, token: str) -> int:
    headers = {"Authorization": names.authorization(token)}
    return (await world.raw("GET", "/ocpi/versions", headers)).http_status


@pytest.mark.rule("C-02", "C-33", "C-24", "C-25", "C-26", "G-37", "G-38", "C-27")
async def test_a_connection_passes_through_its_states(world: World) -> None:
    async with Party.running(NEW) as party:
        token_a = await world.invite(NEW)
        await party.discover(world.versions_url, token_a)
        for method in ("PUT", "DELETE"):
            body = party.credentials("a-new-token-of-ours") if method == "PUT" else b""
            answer = await party.call(method, party.hub_endpoints["credentials", "SENDER"], token_a, as_bytes(body))
            assert answer.http_status == 405, method
        assert (await listed(world, token_a), await asked(world, token_a)) == (200, 401)
        assert (await party.register(world.versions_url, token_a)).http_status == 200
        token_c = party.hub_token
        assert (await listed(world, token_c), await asked(world, token_c)) == (200, 200)
        again = await party.exchange_credentials("POST", token_c, learn=False)
        assert (again.http_status, Answer.of(again).status_code) == (405, 2000)
        assert (await party.exchange_credentials("POST", token_a, learn=False)).http_status == 401
        assert (await party.update()).http_status == 200
        assert party.hub_token != token_c
        assert await asked(world, party.hub_token) == 200
        assert await listed(world, token_c) == 401
        assert (await party.unregister()).http_status == 200
        assert [await listed(world, token) for token in (token_a, token_c, party.hub_token)] == [401, 401, 401]


@pytest.mark.rule("C-02", "C-14", "C-15", "X-10")
async def test_each_invitation_is_a_long_random_token_of_its_own(world: World) -> None:
    tokens = [await world.invite(("CPO", f"NL/A{number}")) for number in range(5)]
    assert len(set(tokens)) == 5
    for token in tokens:
        assert 32 <= len(token) <= 64
        assert all("\x21" <= character <= "\x7e" for character in token)


@pytest.mark.rule("C-04", "C-05", "C-16", "C-20", "C-34", "C-01", "X-05")
async def test_the_version_of_the_endpoint_that_was_called_is_registered(world: World) -> None:
    async with Party.running(NEW) as party:
        versions = [
            {"version": "2.1.1", "url": f"{party.url}/ocpi/2.1.1"},
            {"version": "9.0", "url": f"{party.url}/ocpi/9.0"},
            {"version": "2.2.1", "url": f"{party.url}/ocpi/2.2.1"},
        ]
        party.script(
            "GET",
            "versions",
            Scripted(data=versions),
            Scripted(data={"version": "2.2.1", "endpoints": endpoints_of(party)}),
        )
        answer = await party.register(world.versions_url, await world.invite(NEW))
        assert [item.raw_path for item in party.received("GET")] == ["/ocpi/versions", "/ocpi/2.2.1"]
        assert party.received("GET")[0].headers["authorization"] == names.authorization(party.our_tokens[0])
        data = Answer.of(answer).data
        assert set(data) == {"token", "url", "roles"}
        assert data["url"] == world.versions_url
        [role] = data["roles"]
        assert (role["role"], role["country_code"], role["party_id"]) == ("HUB", "NL", "HUB")
        assert set(role["business_details"]) >= {"name"}
        assert await asked(world, data["token"]) == 200


@pytest.mark.rule("C-19", "C-28", "G-52", "U-29")
async def test_get_shows_the_hubs_object_with_the_callers_token(world: World) -> None:
    answer = await world.call(world.cpo, "GET", "/credentials")
    assert answer.data["token"] == world.cpo.hub_token
    token_a = await world.invite(NEW)
    headers = {"Authorization": names.authorization(token_a)}
    assert (await world.raw("GET", "/ocpi/2.2.1/credentials", headers)).data["token"] == token_a


@pytest.mark.rule("C-23", "X-75", "X-18")
async def test_there_is_no_patch(world: World) -> None:
    answer = await world.call(world.cpo, "PATCH", "/credentials", {"token": "x"})
    assert answer.http_status == 405
    assert answer.headers["allow"] == "GET, POST, PUT, DELETE"
    assert await asked(world, world.cpo.hub_token) == 200


@pytest.mark.rule("C-17", "C-16", "C-18", "C-14", "Y-20")
@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"roles": []}, "roles"),
        ({"roles": None}, "roles"),
        ({"token": None}, "token"),
        ({"token": "x" * 65}, "token"),
        ({"token": "two words"}, "token"),
        ({"url": "not a url"}, "url"),
        ({"country_code": "NLD"}, "roles[0].country_code"),
        ({"party_id": "NEWS"}, "roles[0].party_id"),
        ({"role": "cpo"}, "roles[0].role"),
        ({"business_details": None}, "roles[0].business_details"),
        ({"business_details": {"website": "https://a.example"}}, "roles[0].business_details.name"),
        ({"twice": True}, "roles"),
    ],
)
async def test_a_wrong_credentials_object_is_2001_and_names_its_field(
    world: World, change: dict[str, object], field: str
) -> None:
    async with Party.running(NEW) as party:
        token_a = await world.invite(NEW)
        await party.discover(world.versions_url, token_a)
        body = party.credentials("a-new-token-of-ours")
        role = body["roles"][0]
        if "twice" in change:
            body["roles"] = [role, role]
        elif set(change) <= {"country_code", "party_id", "role", "business_details"}:
            body["roles"] = [{name: value for name, value in (role | change).items() if value is not None}]
        else:
            body = {name: value for name, value in (body | change).items() if value is not None}
        answer = await party.exchange_credentials("POST", token_a, body, learn=False)
        assert (answer.http_status, Answer.of(answer).status_code) == (200, 2001)
        assert field in Answer.of(answer).message
        assert party.received("GET") == []
        assert (await party.register(world.versions_url, token_a)).http_status == 200


@pytest.mark.rule("C-21", "C-29", "C-32", "E-15", "G-36", "C-30", "G-64")
async def test_put_reads_the_endpoints_again_and_both_new_tokens_are_used(world: World) -> None:
    old = world.emsp.our_tokens[0]
    moved = f"{world.emsp.url}/ocpi/2.2.1/receiver/locations"
    world.emsp.endpoints = lambda given: [
        entry | {"url": moved} if (entry["identifier"], entry["role"]) == ("sessions", "RECEIVER") else entry
        for entry in given
    ]
    answer = await world.emsp.update()
    assert answer.http_status == 200
    new = world.emsp.our_tokens[0]
    assert new != old
    await world.call(world.cpo, "PUT", "/receiver/sessions/NL/CPO/S1", session(), to=EMSP)
    [seen] = [item for item in world.emsp.log if item.method == "PUT"]
    assert seen.raw_path == "/ocpi/2.2.1/receiver/locations/NL/CPO/S1"
    assert seen.headers["authorization"] == names.authorization(new)
    assert [item.raw_path for item in world.emsp.received("GET", "2.2.1")] == ["/ocpi/2.2.1"] * 2


@pytest.mark.rule("C-10", "C-12", "C-13", "C-08")
@pytest.mark.parametrize(
    ("answers", "code"),
    [
        ([Scripted(http_status=500, raw=b"oops")], 3001),
        ([Scripted(data="no list")], 3001),
        ([Scripted(data=[{"version": "2.1.1", "url": "http://127.0.0.1:1/"}])], 3002),
        ([Scripted(data=[])], 3002),
    ],
)
async def test_a_registration_that_failed_may_be_repeated_with_token_a(
    world: World, answers: list[Scripted], code: int
) -> None:
    async with Party.running(NEW) as party:
        token_a = await world.invite(NEW)
        party.script("GET", "versions", *answers)
        answer = await party.register(world.versions_url, token_a)
        assert (answer.http_status, Answer.of(answer).status_code) == (200, code)
        party._scripts.clear()
        assert (await party.register(world.versions_url, token_a)).http_status == 200


@pytest.mark.rule("C-36", "C-37", "R-31", "R-32", "C-39", "C-40", "R-33", "R-81")
async def test_the_roles_of_a_platform_are_those_of_its_last_put(world: World) -> None:
    both = [Role("CPO", PartyId("NL", "NEW")), Role("EMSP", PartyId("NL", "TWO"))]
    async with Party.running(NEW, ("EMSP", "NL/TWO")) as party:
        token_a = await world.invite(NEW, ("EMSP", "NL/TWO"))
        party.roles = both[:1]
        await party.register(world.versions_url, token_a)
        two = PartyId("NL", "TWO")
        assert (await world.call(world.cpo, "GET", "/sender/tokens", to=two)).status_code in (4001, 4003)
        assert Answer.of(await party.update(both)).status_code == 1000
        assert (await world.call(world.cpo, "GET", "/sender/tokens", to=two)).status_code == 1000
        assert Answer.of(await party.update(both[:1])).status_code == 1000
        assert (await world.call(world.cpo, "GET", "/sender/tokens", to=two)).status_code == 4003
        for role, taken in (("CPO", "nl/cpo"), ("EMSP", "DE/MSP"), ("HUB", "NL/NEW"), ("CPO", "NL/HUB")):
            claimed = [*both[:1], Role(role, PartyId.of(*taken.split("/")))]
            assert Answer.of(await party.update(claimed, learn=False)).status_code == 2001, taken


@pytest.mark.rule("C-22", "C-27", "C-38")
async def test_after_delete_nothing_goes_to_the_platform_any_more(world: World) -> None:
    await world.emsp.unregister()
    world.emsp.log.clear()
    answer = await world.call(world.cpo, "PUT", "/receiver/sessions/NL/CPO/S1", {"id": "S1"}, to=EMSP)
    assert answer.status_code == 4003
    assert world.emsp.log == []
    infos = (await world.call(world.cpo, "GET", "/sender/hubclientinfo")).data
    assert [(info["party_id"], info["status"]) for info in infos] == [("MSP", "SUSPENDED")]


def as_bytes(body: object) -> bytes:
    return body if isinstance(body, bytes) else json.encode(body)


def endpoints_of(party: Party) -> list[dict[str, str]]:
    url = f"{party.url}/ocpi/2.2.1"
    return [
        {"identifier": "credentials", "role": "RECEIVER", "url": f"{url}/credentials"},
        {"identifier": "sessions", "role": "SENDER", "url": f"{url}/sender/sessions"},
    ]
