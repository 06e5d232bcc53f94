"""When most partners go at once the hub suspects itself (Q-11), and a partner that refuses our token is no absent one."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI

from hub.admin import doctor
from hub.admin.health import health_routes
from hub.clientinfo.still_alive import PROBES, StillAlive
from hub.clientinfo.suspicion import WINDOW, SelfSuspicion
from hub.parties.announced_repository import LEAST_ANNOUNCED
from hub.parties.platforms import Connection, Platform
from tests.hub.support import SmallHub
from tests.support.party import Party, Scripted

IDS = [uuid4() for _ in range(6)]
DOWN = Scripted(http_status=502, raw=b"bad gateway")


class Fixed:
    """A clock that stands, and the destinations that are CONNECTED."""

    def __init__(self, connected: int) -> None:
        self.now = datetime(2026, 3, 1, tzinfo=UTC)
        self.suspicion = SelfSuspicion(lambda: self.now, lambda: IDS[:connected])

    def fail(self, *ids: UUID) -> bool:
        for platform_id in ids:
            self.suspicion.failed(platform_id)
        return self.suspicion.suspecting


@pytest.mark.promise("Q-11")
@pytest.mark.parametrize(
    ("connected", "failing", "suspects"), [(2, 2, False), (3, 2, False), (3, 3, True), (6, 3, False), (6, 4, True)]
)
def test_more_than_half_and_at_least_three_failing_is_suspicious(connected: int, failing: int, suspects: bool) -> None:
    assert Fixed(connected).fail(*IDS[:failing]) is suspects


@pytest.mark.promise("Q-11")
def test_failures_of_one_destination_or_of_long_ago_are_not() -> None:
    fixed = Fixed(3)
    assert not fixed.fail(*[IDS[0]] * 10)
    assert not fixed.fail(IDS[1])
    fixed.now += WINDOW
    assert not fixed.fail(IDS[2])
    assert fixed.fail(IDS[0], IDS[1])


@pytest.mark.promise("Q-11")
def test_it_ends_when_one_answers_or_enough_are_heard_again() -> None:
    fixed = Fixed(5)
    assert fixed.fail(*IDS[:4])
    fixed.now += 10 * WINDOW
    fixed.suspicion.heard(IDS[0])
    assert fixed.suspicion.suspecting
    fixed.suspicion.heard(IDS[1])
    assert not fixed.suspicion.suspecting
    assert fixed.fail(*IDS[:4])
    fixed.suspicion.answered()
    assert not fixed.suspicion.suspecting


async def join(hub: SmallHub, party: Party) -> None:
    item = party.roles[0]
    await party.register(hub.versions_url, await hub.invite((item.role, "/".join(item.party))))
    await party.call("GET", hub.versions_url, party.hub_token)


def platform(hub: SmallHub, party: Party) -> Platform:
    found = hub.directory.known_platform_of(party.id)
    assert found is not None
    return found


async def findings(hub: SmallHub) -> list[str]:
    found = await doctor.examine(hub.database, hub.directory, hub.url, hub.clock)
    return [finding.what for finding in found if finding.level == "problem"]


@pytest.mark.rule("H-14")
@pytest.mark.promise("Q-11")
async def test_nobody_is_made_or_announced_offline_while_the_hub_suspects_itself(hub: SmallHub) -> None:
    async with (
        Party.running(("CPO", "NL/CPA")) as first,
        Party.running(("CPO", "NL/CPB")) as second,
        Party.running(("CPO", "NL/CPC")) as third,
    ):
        everybody = (first, second, third)
        for party in everybody:
            await join(hub, party)
            party.script("GET", "versions", DOWN)
        hub.clock.ahead = LEAST_ANNOUNCED
        check = StillAlive(hub.directory, hub.client, hub.status, hub.clock)
        for _ in range(3):
            for party in everybody:
                await check.ask(platform(hub, party))
        await hub.status.store()
        await hub.announcements.look()
        assert hub.status.suspicion.suspecting
        assert [platform(hub, party).connection for party in everybody] == [Connection.CONNECTED] * 3
        assert any("suspects its own connection" in what for what in await findings(hub))

        probed = check.probes()
        assert len(probed) == PROBES
        assert check.probes() == []
        hub.clock.ahead += timedelta(seconds=5)
        assert len(check.probes()) == PROBES

        third.script("GET", "versions")
        await check.ask(platform(hub, third))
        assert not hub.status.suspicion.suspecting
        doubtful = [item.id for item in check.due()]
        assert {platform(hub, first).id, platform(hub, second).id} <= set(doubtful)
        await check.ask(platform(hub, first))
        await hub.status.store()
        assert platform(hub, first).connection is Connection.OFFLINE
        assert not any("suspects its own connection" in what for what in await findings(hub))


@pytest.mark.promise("Q-11")
async def test_the_leader_announces_nobody_offline_meanwhile_whoever_found_it_so(hub: SmallHub) -> None:
    async with Party.running(("CPO", "NL/CPA")) as party:
        await join(hub, party)
        hub.clock.ahead = LEAST_ANNOUNCED
        for _ in range(2):
            hub.status.failed(platform(hub, party))
        await hub.status.store()
        hub.status.suspicion.since = hub.clock()
        await hub.announcements.look()
        await hub.directory.refresh()
        assert (platform(hub, party).connection, platform(hub, party).parties[0].announced) == ("OFFLINE", "CONNECTED")
        hub.status.suspicion.answered()
        await hub.announcements.look()
        await hub.directory.refresh()
        assert platform(hub, party).parties[0].announced == "OFFLINE"


async def test_a_process_that_suspects_itself_stays_ready_and_says_so(hub: SmallHub) -> None:
    app = FastAPI()
    app.include_router(health_routes(hub.database, list, lambda: ["The hub's own connection may be down."]))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://hub") as client:
        answer = await client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok", "warnings": ["The hub's own connection may be down."]}


@pytest.mark.rule("H-14", "G-74")
async def test_a_refused_token_is_an_alarm_and_a_finding_and_changes_no_connection(hub: SmallHub) -> None:
    async with Party.running(("CPO", "NL/CPA")) as party:
        await join(hub, party)
        for _ in range(2):
            hub.status.failed(platform(hub, party))
        await hub.status.store()
        party.script("GET", "versions", Scripted(http_status=401, status_code=2000))
        check = StillAlive(hub.directory, hub.client, hub.status, hub.clock)
        for _ in range(3):
            await check.ask(platform(hub, party))
            await hub.status.store()
        assert platform(hub, party).connection is Connection.OFFLINE
        assert hub.alarms == ["partner refuses our token"]
        assert any("refuses our token" in what for what in await findings(hub))
        party.script("GET", "versions")
        await check.ask(platform(hub, party))
        await hub.status.store()
        assert platform(hub, party).connection is Connection.CONNECTED
        assert await findings(hub) == []
