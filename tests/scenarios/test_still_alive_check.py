"""mod_hub_client_info, Still alive check: what the hub learns from a partner's versions endpoint."""

import pytest

from hub.clientinfo.still_alive import StillAlive
from hub.parties.platforms import Connection, Platform
from tests.hub.support import SmallHub, small_hub
from tests.support.party import Party, Scripted
from tests.support.postgres import FreshDatabase


async def asked_twice(hub: SmallHub, party: Party, *answers: Scripted) -> Platform:
    """The platform after two checks that were answered so."""
    party.script("GET", "versions", *answers)
    check = StillAlive(hub.directory, hub.client, hub.status, hub.clock)
    for _ in range(2):
        platform = await hub.directory.platform_of(party.id)
        assert platform is not None
        await check.ask(platform)
    await hub.status.store()
    await hub.directory.refresh()
    platform = await hub.directory.platform_of(party.id)
    assert platform is not None
    return platform


@pytest.mark.rule("G-74", "H-13", "H-14", "H-15")
@pytest.mark.parametrize(
    ("answer", "connection"),
    [
        (Scripted(), Connection.CONNECTED),
        (Scripted(http_status=401, status_code=2000), Connection.CONNECTED),
        (Scripted(http_status=502, raw=b"bad gateway"), Connection.OFFLINE),
    ],
)
async def test_a_refused_token_is_no_absence_but_no_answer_is(
    hub_database: FreshDatabase, answer: Scripted, connection: Connection
) -> None:
    async with small_hub(hub_database.app_dsn) as hub, Party.running(("CPO", "NL/CPO")) as party:
        await party.register(hub.versions_url, await hub.invite(("CPO", "NL/CPO")))
        await party.send("GET", "hubclientinfo", "SENDER", routed=False)
        assert (await asked_twice(hub, party, answer)).connection is connection
