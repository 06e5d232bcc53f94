"""Asking every eMSP about a token the hub was never shown (R-60), seen over sockets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from hub.agreements.policy import DefaultPolicy
from hub.settings import SettingsError, load
from ocpi_modules import json
from ocpi_modules.message import PartyId
from tests.hub.network import CPO, EMSP, Network, Partner, accepted, network, register
from tests.support import objects
from tests.support.postgres import FreshDatabase
from tests.support.raw_http import raw_server

OTHER, THIRD = PartyId("FR", "MSX"), PartyId("SE", "MSZ")
AUTHORIZE = "/sender/tokens/04a1b2c3/authorize"
UNKNOWN = (404, {}, b'{"status_code":2004,"status_message":"Unknown","timestamp":"2026-01-01T00:00:00Z"}')


@pytest.fixture
async def net(hub_database: FreshDatabase) -> AsyncIterator[Network]:
    async with network(hub_database, fan_out=2, policy=DefaultPolicy.agreement) as built:
        built.policy.replace({frozenset((CPO, EMSP)): frozenset(), frozenset((CPO, OTHER)): frozenset()})
        yield built


@pytest.fixture
async def other(net: Network) -> AsyncIterator[Partner]:
    async with another(net, OTHER) as partner:
        yield partner


@asynccontextmanager
async def another(net: Network, party: PartyId) -> AsyncIterator[Partner]:
    partner = Partner(party, "EMSP")
    async with raw_server(partner.behave) as partner.port:
        await register(net.database, net.keys, partner)
        await net.directory.refresh()
        yield partner


def knows(partner: Partner, *, listed: bool = False, **fields: Any) -> Any:
    """An answer of a party that has the token; `listed`: as a list of one, as a widely used stack answers (field 8)."""
    own = objects.token(country_code=partner.party.country_code, party_id=partner.party.party_id, **fields)
    info = objects.authorization_info(token=own)
    return lambda seen: accepted([info] if listed else info)


async def silence(seen: Any) -> None:
    await asyncio.sleep(5)


@pytest.mark.rule("R-60", "R-56")
@pytest.mark.parametrize("listed", [False, True], ids=["object", "list of one"])
async def test_the_first_that_knows_the_token_answers_and_keeps_its_bytes(
    net: Network, other: Partner, listed: bool
) -> None:
    net.emsp.answer = lambda seen: UNKNOWN
    other.answer = knows(other, uid="04A1B2C3", listed=listed)
    answer = await net.call(net.cpo, "POST", AUTHORIZE, b'{"location_id":"L1"}')
    assert (answer.http_status, answer.body) == (200, other.answer(None)[2])
    assert answer.routing == ("NL*CPO", "FR*MSX")
    for partner in (net.emsp, other):
        assert [(seen.routing, seen.body) for seen in partner.seen] == [
            ((str(partner.party), "NL*CPO"), b'{"location_id":"L1"}')
        ]


@pytest.mark.rule("R-60", "K-34")
async def test_one_that_knows_is_not_kept_waiting_by_one_that_is_silent(net: Network, other: Partner) -> None:
    net.emsp.answer = silence
    other.answer = knows(other)
    async with asyncio.timeout(0.9):
        answer = await net.call(net.cpo, "POST", AUTHORIZE)
    assert answer.routing == ("NL*CPO", "FR*MSX")


@pytest.mark.rule("R-60", "U-24", "X-73")
async def test_a_token_nobody_knows_is_404_and_2004(net: Network, other: Partner) -> None:
    net.emsp.answer = other.answer = lambda seen: UNKNOWN
    answer = await net.call(net.cpo, "POST", AUTHORIZE)
    assert (answer.http_status, answer.status_code, answer.routing) == (404, 2004, ("NL*CPO", "NL*HUB"))
    assert (len(net.emsp.seen), len(other.seen)) == (1, 1)


@pytest.mark.rule("K-31", "R-60")
async def test_silence_of_one_that_might_know_is_4002_within_the_deadline(net: Network, other: Partner) -> None:
    net.emsp.answer, other.answer = silence, lambda seen: UNKNOWN
    async with asyncio.timeout(3):
        answer = await net.call(net.cpo, "POST", AUTHORIZE)
    assert (answer.http_status, answer.status_code) == (200, 4002)


@pytest.mark.rule("R-60")
@pytest.mark.parametrize("fields", [{"party_id": "MSP", "country_code": "DE"}, {"uid": "OTHER"}])
async def test_nobody_answers_for_a_token_that_is_not_its_own(
    net: Network, other: Partner, fields: dict[str, str]
) -> None:
    net.emsp.answer = lambda seen: UNKNOWN
    own = objects.token(**{"country_code": "FR", "party_id": "MSX"} | fields)
    other.answer = lambda seen: accepted(objects.authorization_info(token=own))
    assert (await net.call(net.cpo, "POST", AUTHORIZE)).http_status == 404


@pytest.mark.rule("R-60", "R-28")
async def test_only_parties_with_an_agreement_are_asked_and_no_more_than_allowed(net: Network, other: Partner) -> None:
    net.emsp.answer = other.answer = lambda seen: UNKNOWN
    async with another(net, THIRD) as third:
        third.answer = knows(third)
        assert (await net.call(net.cpo, "POST", AUTHORIZE)).http_status == 404
        assert third.seen == []
        everybody = {frozenset((CPO, party)): frozenset() for party in (EMSP, OTHER, THIRD)}
        net.policy.replace(everybody)
        assert (await net.call(net.cpo, "POST", AUTHORIZE)).http_status == 404
        assert (len(net.emsp.seen), len(other.seen), len(third.seen)) == (2, 2, 0)


@pytest.mark.rule("R-60", "K-29")
async def test_a_token_the_hub_was_shown_is_asked_of_its_owner_alone(net: Network, other: Partner) -> None:
    own = objects.token(country_code="DE", party_id="MSP")
    target = "/receiver/tokens/DE/MSP/04A1B2C3"
    assert (await net.call(net.emsp, "PUT", target, json.encode(own), to=CPO)).status_code == 1000
    net.emsp.answer = lambda seen: UNKNOWN
    answer = await net.call(net.cpo, "POST", AUTHORIZE)
    assert (answer.http_status, answer.routing, other.seen) == (404, ("NL*CPO", "DE*MSP"), [])


async def test_those_still_asked_are_let_go(net: Network, other: Partner) -> None:
    net.emsp.answer = silence
    other.answer = knows(other)
    await net.call(net.cpo, "POST", AUTHORIZE)
    assert [task for task in asyncio.all_tasks() if "PartyToPartyRoute.ask" in repr(task)] == []


@pytest.mark.rule("R-60", "U-24")
def test_nobody_is_asked_unless_the_operator_says_so() -> None:
    given = {
        "HUB_COUNTRY_CODE": "NL",
        "HUB_PARTY_ID": "HUB",
        "HUB_DATABASE_URL": "postgresql://hub@127.0.0.1/hub",
        "HUB_SECRET_KEY": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
    }
    assert load(given).authorize_fan_out == 0
    assert load(given | {"HUB_AUTHORIZE_FAN_OUT": "5"}).authorize_fan_out == 5
    with pytest.raises(SettingsError, match="HUB_AUTHORIZE_FAN_OUT"):
        load(given | {"HUB_AUTHORIZE_FAN_OUT": "51"})
