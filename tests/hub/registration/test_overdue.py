"""A partner that goes on with its old token is told of after a day; nothing ends by itself (contracts section 6)."""

from datetime import timedelta

import pytest

from hub.admin import doctor
from hub.registration.overdue import OVERDUE, OverdueTokens
from tests.hub.support import SmallHub
from tests.support.party import Party

CPO = ("CPO", "NL/ABC")


async def findings(hub: SmallHub) -> list[str]:
    found = await doctor.examine(hub.database, hub.directory, hub.url, hub.clock)
    return [finding.what for finding in found if "token" in finding.what]


async def ask(party: Party) -> int:
    return (await party.send("GET", "locations", "SENDER")).http_status


@pytest.mark.rule("C-21")
async def test_a_token_that_is_not_taken_over_within_a_day_is_an_alarm_once_and_a_finding(hub: SmallHub) -> None:
    alarms: list[str] = []
    overdue = OverdueTokens(hub.database, hub.directory, hub.clock, lambda event, **fields: alarms.append(event))
    async with Party.running(CPO) as party:
        await party.register(hub.versions_url, await hub.invite(CPO))
        assert await ask(party) == 200
        former = party.hub_token
        await party.update()
        taken, party.hub_token = party.hub_token, former
        hub.clock.ahead = OVERDUE - timedelta(minutes=1)
        await overdue.look()
        assert (alarms, await findings(hub)) == ([], [])
        hub.clock.ahead = OVERDUE + timedelta(minutes=1)
        for _ in range(2):
            await overdue.look()
        assert alarms == ["new token not taken over"]
        assert [what.partition(" at ")[0] for what in await findings(hub)] == [
            "CPO NL*ABC has not used the token it was given"
        ]
        assert await ask(party) == 200
        party.hub_token = taken
        assert await ask(party) == 200
        await overdue.look()
        assert (len(alarms), await findings(hub)) == (1, [])
