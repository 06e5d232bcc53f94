"""transport_and_format, Broadcast Push."""

from collections.abc import AsyncIterator

import pytest

from hub.agreements.policy import DefaultPolicy
from ocpi_modules import json
from ocpi_modules.spec import ModuleID
from tests.hub.delivery.world import LOCATIONS, World, location, pushed, until, world
from tests.hub.network import CPO, EMSP, HUB, FailingCommit, Outage
from tests.support import objects
from tests.support.postgres import FreshDatabase


@pytest.fixture
async def here(hub_database: FreshDatabase) -> AsyncIterator[World]:
    async with world(hub_database) as built, built.delivering():
        yield built


@pytest.mark.rule("R-36", "R-37", "R-38", "R-40", "R-47", "X-88", "X-89")
async def test_a_broadcast_is_answered_by_the_hub_and_brought_to_every_receiver(here: World) -> None:
    other = await here.join("NSP", "NSP")
    body = location().replace(b'"id":"L1"', b'"id" : "L1", "x_unknown":[1.10, 1E2]')
    answer = await here.net.call(here.net.cpo, "PUT", f"{LOCATIONS}/L1", body, to=HUB)
    assert (answer.http_status, answer.status_code, answer.routing) == (201, 1000, ("NL*CPO", "NL*HUB"))
    for receiver in (here.net.emsp, other):
        await until(lambda receiver=receiver: pushed(receiver))
        [seen] = pushed(receiver)
        assert (seen.method, seen.body) == ("PUT", body)
        assert seen.target == f"/{receiver.party.party_id.lower()}/receiver/v/locations/NL/CPO/L1"
        assert seen.routing == (str(receiver.party), "NL*HUB")
        assert seen.headers["x-correlation-id"] == "corr-1"
        assert seen.headers["x-request-id"] not in ("req-1", "")
    assert len({pushed(receiver)[0].headers["x-request-id"] for receiver in (here.net.emsp, other)}) == 2
    assert await here.net.rows("SELECT version FROM change_log") == [{"version": 1}]


@pytest.mark.rule("U-16", "U-15")
async def test_a_second_push_is_answered_200_also_when_nobody_hears_it(hub_database: FreshDatabase) -> None:
    async with world(hub_database) as here:
        assert (await here.net.call(here.net.cpo, "PUT", f"{LOCATIONS}/L1", location())).http_status == 201
        assert (await here.net.call(here.net.cpo, "PUT", f"{LOCATIONS}/L1", location())).http_status == 200


@pytest.mark.rule("R-41", "R-42", "R-48", "R-51", "U-19")
async def test_the_opposite_roles_hear_it_and_the_origin_does_not(here: World) -> None:
    hearing = [await here.join(name, role) for name, role in (("OTH", "OTHER"), ("NAP", "NAP"), ("NSP", "NSP"))]
    deaf = [await here.join(name, role) for name, role in (("CP2", "CPO"), ("SCS", "SCSP"))]
    await here.put()
    for partner in hearing:
        await until(lambda partner=partner: pushed(partner))
    await until(lambda: settled(here))
    assert [pushed(partner) for partner in (*deaf, here.net.cpo)] == [[], [], []]


@pytest.mark.rule("R-49", "U-20")
async def test_a_platform_with_two_parties_gets_one_request_for_each(here: World) -> None:
    partner = await here.join("ONE", "EMSP", ("TWO", "EMSP"))
    await here.put()
    await until(lambda: len(pushed(partner)) == 2)
    assert {seen.routing[0] for seen in pushed(partner)} == {"DE*ONE", "DE*TWO"}


@pytest.mark.rule("R-53")
@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"coordinates": None}, "coordinates"),
        ({"last_updated": "2026-03-03T12:00:00Z"}, "last_updated"),
        ({"party_id": "XYZ"}, "party_id"),
        ({"id": "L2"}, "id"),
    ],
)
async def test_what_is_wrong_is_refused_before_it_is_stored(here: World, fields: dict[str, object], named: str) -> None:
    body = json.encode(json.decode(location()) | fields)
    answer = await here.net.call(here.net.cpo, "PUT", f"{LOCATIONS}/L1", body)
    assert (answer.status_code, named in answer.message) == (2001, True)
    assert await here.net.rows("SELECT * FROM kept_object") == []


@pytest.mark.rule("R-42")
async def test_a_role_that_does_not_push_locations_is_refused(here: World) -> None:
    body = location(country_code="DE", party_id="MSP")
    answer = await here.net.call(here.net.emsp, "PUT", "/receiver/locations/DE/MSP/L1", body)
    assert (answer.status_code, "EMSP" in answer.message) == (2000, True)


async def test_a_patch_of_what_the_hub_does_not_know_is_404(here: World) -> None:
    body = b'{"name":"x","last_updated":"2026-03-01T12:00:00Z"}'
    answer = await here.net.call(here.net.cpo, "PATCH", f"{LOCATIONS}/L1", body)
    assert (answer.http_status, answer.status_code) == (404, 2003)


@pytest.mark.rule("U-33", "Q-06", "Q-07")
async def test_a_stale_push_is_answered_1000_with_a_sentence_and_goes_nowhere(here: World) -> None:
    await here.put(last_updated="2026-03-01T12:00:00Z")
    await until(lambda: pushed(here.net.emsp))
    stale = location(last_updated="2026-03-01T11:00:00Z")
    answer = await here.net.call(here.net.cpo, "PUT", f"{LOCATIONS}/L1", stale)
    assert (answer.status_code, "newer" in answer.message) == (1000, True)
    newer = await here.put(last_updated="2026-03-01T12:10:00Z")
    await until(lambda: len(pushed(here.net.emsp)) == 2)
    assert pushed(here.net.emsp)[1].body == newer


@pytest.mark.rule("R-50", "R-97", "U-17", "T-03")
async def test_a_deleted_tariff_is_deleted_everywhere(here: World) -> None:
    body = json.encode(objects.tariff(country_code="NL", party_id="CPO", id="t 1"))
    path = "/receiver/tariffs/NL/CPO/t%201"
    assert (await here.net.call(here.net.cpo, "PUT", path, body)).status_code == 1000
    await until(lambda: pushed(here.net.emsp))
    for _ in range(2):
        assert (await here.net.call(here.net.cpo, "DELETE", path)).status_code == 1000
    await until(lambda: len(pushed(here.net.emsp)) == 2)
    put, delete = pushed(here.net.emsp)
    assert (delete.method, delete.target, delete.body) == ("DELETE", put.target, b"")


@pytest.mark.rule("K-03", "K-04", "R-41")
async def test_a_token_reaches_the_cpos_with_its_type(here: World) -> None:
    own = {"country_code": "DE", "party_id": "MSP", "uid": "T1", "type": "APP_USER"}
    body = json.encode(objects.token(**own))
    path = "/receiver/tokens/DE/MSP/T1?type=APP_USER"
    assert (await here.net.call(here.net.emsp, "PUT", path, body)).status_code == 1000
    await until(lambda: pushed(here.net.cpo))
    assert pushed(here.net.cpo)[0].target.endswith("/tokens/DE/MSP/T1?type=APP_USER")


@pytest.mark.rule("G-68")
async def test_an_agreement_without_tokens_keeps_the_customers_from_that_cpo(hub_database: FreshDatabase) -> None:
    async with world(hub_database, policy=DefaultPolicy.agreement) as here:
        other = await here.join("CP2", "CPO")
        here.net.policy.replace(
            {
                frozenset({CPO, EMSP}): frozenset({ModuleID.sessions, ModuleID.cdrs}),
                frozenset({other.party, EMSP}): frozenset(),
            }
        )
        own = {"country_code": "DE", "party_id": "MSP", "uid": "T1", "type": "APP_USER", "whitelist": "NEVER"}
        body = json.encode(objects.token(**own))
        path = "/receiver/tokens/DE/MSP/T1?type=APP_USER"
        async with here.delivering():
            assert (await here.net.call(here.net.emsp, "PUT", path, body)).status_code == 1000
            await until(lambda: pushed(other))
            await until(lambda: settled(here))
        assert pushed(here.net.cpo) == []


@pytest.mark.rule("R-44", "R-45", "U-18")
async def test_sessions_are_never_broadcast(here: World) -> None:
    other = await here.join("NSP", "NSP")
    own = {"country_code": "NL", "party_id": "CPO", "id": "S1"}
    body = json.encode(objects.session(**own))
    await here.net.call(here.net.cpo, "PUT", "/receiver/sessions/NL/CPO/S1", body, to=HUB)
    await here.put()
    await until(lambda: pushed(other))
    assert [seen for seen in pushed(other) if "sessions" in seen.target] == []


@pytest.mark.rule("Q-04")
async def test_without_a_database_a_broadcast_is_503_and_nothing_is_sent(hub_database: FreshDatabase) -> None:
    async with world(hub_database, wrap=Outage) as here:
        here.net.seen_database.away = True
        answer = await here.net.call(here.net.cpo, "PUT", f"{LOCATIONS}/L1", location())
        assert (answer.http_status, answer.status_code, answer.headers["retry-after"]) == (503, 3000, "5")
        here.net.seen_database.away = False
        assert await here.net.rows("SELECT * FROM kept_object") == []


@pytest.mark.rule("Q-04", "R-36")
@pytest.mark.parametrize("kept_before", [False, True], ids=["a first push", "a later one"])
async def test_a_broadcast_whose_commit_fails_is_neither_answered_1000_nor_told(
    hub_database: FreshDatabase, kept_before: bool
) -> None:
    async with world(hub_database, wrap=FailingCommit) as here, here.delivering():
        stored = ["L0", "L1"] if kept_before else ["L0"]
        for id_ in stored:
            await here.put(id_)
        await until(lambda: len(pushed(here.net.emsp)) == len(stored))
        here.net.seen_database.away = True
        lost = location(last_updated="2026-03-01T12:10:00Z", name="lost")
        answer = await here.net.call(here.net.cpo, "PUT", f"{LOCATIONS}/L1", lost)
        assert (answer.http_status, answer.status_code, answer.headers.get("retry-after")) == (503, 3000, "5")
        here.net.seen_database.away = False
        await here.put("L2")
        await until(lambda: len(pushed(here.net.emsp)) > len(stored))
        assert [seen.target.rpartition("/")[2] for seen in pushed(here.net.emsp)] == [*stored, "L2"]
        rows = await here.net.rows("SELECT key_folded, version FROM change_log ORDER BY seq")
        assert [(row["key_folded"], row["version"]) for row in rows] == [(id_, 1) for id_ in (*stored, "L2")]


@pytest.mark.rule("R-46")
async def test_the_broadcaster_hears_nothing_of_a_receivers_refusal(here: World) -> None:
    here.net.emsp.answer = lambda seen: (401, {}, b"")
    other = await here.join("NSP", "NSP")
    await here.put()
    await until(lambda: pushed(other))
    await until(lambda: pushed(here.net.emsp))


@pytest.mark.rule("R-36")
async def test_a_push_to_one_party_stays_with_that_party(here: World) -> None:
    other = await here.join("NSP", "NSP")
    assert (await here.net.call(here.net.cpo, "PUT", f"{LOCATIONS}/L9", location(id="L9"), to=EMSP)).status_code == 1000
    await here.put("L1")
    await until(lambda: pushed(other))
    assert [seen.target[-2:] for seen in pushed(other)] == ["L1"]


def settled(here: World) -> bool:
    """Every destination has read on to the end and has nothing under way."""
    held = here.net.delivery.destinations.values()
    return all(one.live and not one.pending and not one.in_flight and not one.unsettled for one in held)
