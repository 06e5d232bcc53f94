"""`ocpi-hub cdr`: what an operator sees of CDRs on their way, posting one again, and giving one up."""

from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from tests.hub.clearing.test_journal import POST, REFUSED, cdr, taken
from tests.hub.network import EMSP, Network, network
from tests.support.hub_process import HubProcess
from tests.support.postgres import FreshDatabase


@pytest.fixture
async def net(hub_database: FreshDatabase) -> AsyncIterator[Network]:
    async with network(hub_database) as built:
        built.emsp.answer = lambda seen: (200, {}, REFUSED)
        yield built


async def test_an_undelivered_cdr_is_listed_with_its_reason_and_posted_again_on_request(
    net: Network, hub_database: FreshDatabase, tmp_path: Path
) -> None:
    hub = HubProcess(tmp_path, hub_database.app_dsn, hub_database.owner_dsn)
    assert hub.json("cdr", "list") == []
    await net.call(net.cpo, "POST", POST, cdr(), to=EMSP)
    [row] = hub.json("cdr", "list", "--owner", "NL/CPO")
    assert (row["id"], row["receiver"], row["state"], row["attempts"]) == ("CDR1", "DE*MSP", "UNDELIVERED", 1)
    assert (row["guaranteed"], row["next_attempt_at"]) == (False, None)
    assert "OCPI 2001: no" in row["last_error"]
    assert hub.json("cdr", "list", "--owner", "DE/MSP") == hub.json("cdr", "list", "--state", "DELIVERED") == []
    assert hub.json("cdr", "retry", "cdr1", "--owner", "NL/CPO") == {"owner": "NL*CPO", "id": "CDR1"}
    net.emsp.answer = taken
    assert await net.guaranteed.round()
    [row] = hub.json("cdr", "list", "--state", "DELIVERED", "--receiver", "DE/MSP")
    assert (row["state"], row["last_error"], row["next_attempt_at"]) == ("DELIVERED", "", None)
    again = hub.run("cdr", "retry", "CDR1", "--owner", "NL/CPO")
    assert again.returncode == 1
    assert "was delivered already" in again.stderr


async def test_a_cdr_whose_body_is_gone_is_not_promised_again(
    net: Network, hub_database: FreshDatabase, tmp_path: Path
) -> None:
    hub = HubProcess(tmp_path, hub_database.app_dsn, hub_database.owner_dsn)
    await net.call(net.cpo, "POST", POST, cdr(), to=EMSP)
    owner = await asyncpg.connect(hub_database.owner_dsn)
    await owner.execute("TRUNCATE cdr")
    await owner.close()
    refused = hub.run("cdr", "retry", "CDR1", "--owner", "NL/CPO")
    assert refused.returncode == 1
    assert "older than HUB_CDR_YEARS" in refused.stderr
    [row] = hub.json("cdr", "list")
    assert (row["guaranteed"], row["next_attempt_at"]) == (False, None)


async def test_a_cdr_that_is_given_up_is_posted_no_more_until_it_is_asked_for_again(
    net: Network, hub_database: FreshDatabase, tmp_path: Path
) -> None:
    hub = HubProcess(tmp_path, hub_database.app_dsn, hub_database.owner_dsn)
    give_up = ("cdr", "give-up", "cdr1", "--owner", "NL/CPO", "--reason")
    await net.call(net.cpo, "POST", POST, cdr(), to=EMSP)
    refused = hub.run(*give_up, "it left")
    assert (refused.returncode, "still has to deliver" in refused.stderr) == (1, True)
    hub.json("cdr", "retry", "CDR1", "--owner", "NL/CPO")
    assert await net.guaranteed.round()
    assert "1 to 200" in hub.run(*give_up, " ").stderr
    assert hub.json(*give_up, "DE*MSP  left") == {"owner": "NL*CPO", "id": "CDR1"}
    [row] = hub.json("cdr", "list")
    assert (row["state"], row["guaranteed"], row["next_attempt_at"]) == ("UNDELIVERED", False, None)
    assert row["last_error"] == "Given up by the operator: DE*MSP left"
    net.emsp.answer = taken
    assert not await net.guaranteed.round()
    hub.json("cdr", "retry", "CDR1", "--owner", "NL/CPO")
    assert await net.guaranteed.round()
    assert hub.json("cdr", "list") == []
    assert hub.run(*give_up, "it left").returncode == 1
