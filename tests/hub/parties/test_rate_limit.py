"""A platform that asks too often is told when to go on; nobody else notices."""

from dataclasses import dataclass
from uuid import uuid4

import pytest

from hub.parties.platforms import Platform, PlatformState
from hub.parties.rate_limit import BURST_SECONDS, RateLimit
from hub.settings import SettingsError, load
from ocpi_modules.status import ClientError
from tests.hub.network import CPO, EMSP, network
from tests.support.postgres import FreshDatabase


@dataclass
class Time:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def platform() -> Platform:
    return Platform(uuid4(), "one", PlatformState.REGISTERED)


def taken(limit: RateLimit, asking: Platform, *, prompt: bool = False) -> int:
    """How many requests are taken at once."""
    for number in range(10_000):
        try:
            limit.check(asking, prompt)
        except ClientError:
            return number
    return 10_000


@pytest.mark.rule("U-36")
def test_what_is_too_much_waits_and_what_was_refused_is_not_counted() -> None:
    time, asking = Time(), platform()
    limit = RateLimit(5, time)
    assert taken(limit, asking) == 5 * BURST_SECONDS
    for _ in range(100):
        with pytest.raises(ClientError) as refused:
            limit.check(asking, False)
        assert (refused.value.http_status, refused.value.status_code) == (429, 2000)
        assert refused.value.headers == {"Retry-After": "1"}
    time.now += 1
    assert taken(limit, asking) == 5
    time.now += 1000
    assert taken(limit, asking) == 5 * BURST_SECONDS


def test_each_platform_has_its_own_and_nought_is_no_limit() -> None:
    limit, one, other = RateLimit(1, Time()), platform(), platform()
    assert taken(limit, one) == taken(limit, other) == BURST_SECONDS
    assert taken(RateLimit(0, Time()), one) == 10_000


@pytest.mark.promise("S-31", "Q-09")
async def test_a_flood_of_pushes_uses_up_nothing_of_what_a_driver_waits_for(hub_database: FreshDatabase) -> None:
    asking = platform()
    limit = RateLimit(1, Time())
    assert taken(limit, asking) == taken(limit, asking, prompt=True) == BURST_SECONDS
    async with network(hub_database, admit=RateLimit(1, Time()).check) as net:
        answers = [await net.call(net.cpo, "GET", "/sender/tokens", to=None) for _ in range(BURST_SECONDS + 1)]
        assert answers[-1].http_status == 429
        answer = await net.call(net.cpo, "POST", "/sender/tokens/T1/authorize", to=EMSP)
        assert (answer.http_status, answer.status_code) == (200, 1000)


@pytest.mark.rule("U-36")
async def test_a_flood_is_answered_with_429_and_an_envelope(hub_database: FreshDatabase) -> None:
    async with network(hub_database, admit=RateLimit(1, Time()).check) as net:
        for _ in range(BURST_SECONDS):
            assert (await net.call(net.cpo, "GET", "/sender/tokens", to=None)).http_status == 200
        answer = await net.call(net.cpo, "GET", "/sender/tokens", to=None)
        assert (answer.http_status, answer.status_code, answer.headers["retry-after"]) == (429, 2000, "1")
        assert (await net.call(net.emsp, "GET", "/sender/locations", to=None)).http_status == 200
        assert {CPO, EMSP} == {net.cpo.party, net.emsp.party}


def test_the_setting_has_bounds() -> None:
    given = {"HUB_COUNTRY_CODE": "NL", "HUB_PARTY_ID": "HUB", "HUB_DATABASE_URL": "postgresql://x/y"}
    given["HUB_SECRET_KEY"] = "a" * 43 + "="
    assert load(given).requests_per_second == 0
    assert load(given | {"HUB_REQUESTS_PER_SECOND": "50"}).requests_per_second == 50
    with pytest.raises(SettingsError, match="HUB_REQUESTS_PER_SECOND"):
        load(given | {"HUB_REQUESTS_PER_SECOND": "-1"})
