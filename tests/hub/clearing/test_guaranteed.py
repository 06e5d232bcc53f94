"""CDRs whose delivery the hub owns (promises section 2, `guaranteed`): acknowledged when journalled, posted until taken."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from hub.agreements.policy import CdrMode, Terms
from hub.clearing import guaranteed_repository as repository
from hub.clearing.guaranteed import AT_ONCE, CLAIM, MOST_EACH, GuaranteedDelivery
from hub.delivery.send import Deadlines
from hub.parties import repository as parties
from tests.hub.clearing.test_journal import POST, REFUSED, cdr, states, taken
from tests.hub.network import CPO, EMSP, Network, Seen, eventually, network
from tests.support.postgres import FreshDatabase

DUE_NOW = "UPDATE cdr_delivery SET next_attempt_at = now() - interval '1 second' WHERE next_attempt_at IS NOT NULL"


@pytest.fixture
async def net(hub_database: FreshDatabase) -> AsyncIterator[Network]:
    async with network(hub_database, deadlines=Deadlines(direct=0.5, push=0.5)) as built:
        built.emsp.answer = taken
        built.policy.replace({frozenset((CPO, EMSP)): Terms(cdr_mode=CdrMode.guaranteed)})
        yield built


@asynccontextmanager
async def delivering(worker: GuaranteedDelivery) -> AsyncIterator[None]:
    task = asyncio.create_task(worker.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def execute(net: Network, statement: str) -> None:
    async with net.database.transaction() as connection:
        await connection.execute(statement)


async def bodies(net: Network) -> list[bytes]:
    return [seen.body for seen in net.emsp.seen if seen.method == "POST"]


@pytest.mark.promise("Q-01")
async def test_a_guaranteed_cdr_is_acknowledged_while_its_receiver_is_away_and_posted_when_it_is_back(
    net: Network,
) -> None:
    net.emsp.answer = lambda seen: None
    answer = await net.call(net.cpo, "POST", POST, cdr(), to=EMSP)
    assert (answer.http_status, answer.status_code) == (201, 1000)
    assert answer.headers["location"].startswith(net.public_url)
    async with delivering(net.guaranteed):
        await eventually(lambda: net.emsp.seen)
        net.emsp.answer = taken
        async with asyncio.timeout(10):
            while await states(net) != ["DELIVERED"]:
                net.guaranteed.heard(net.directory.known_platform_of(EMSP))
                await asyncio.sleep(0.01)
    seen = net.emsp.seen[-1]
    assert (seen.body, seen.routing, seen.headers["x-correlation-id"]) == (cdr(), ("DE*MSP", "NL*CPO"), "corr-1")
    assert set(await bodies(net)) == {cdr()}


async def test_a_guaranteed_cdr_leaves_only_after_its_acknowledgement_is_committed_and_only_once(net: Network) -> None:
    await net.call(net.cpo, "POST", POST, cdr(), to=EMSP)
    again = await net.call(net.cpo, "POST", POST, cdr(), to=EMSP)
    assert (again.status_code, net.emsp.seen) == (1000, [])
    assert await net.guaranteed.round()
    assert (await states(net), len(net.emsp.seen)) == (["DELIVERED"], 1)
    assert not await net.guaranteed.round()
    answer = await net.call(net.cpo, "POST", POST, cdr(), to=EMSP)
    assert (answer.http_status, answer.status_code, len(net.emsp.seen)) == (200, 1000, 1)


@pytest.mark.rule("D-22", "D-01")
async def test_another_content_is_refused_as_ever(net: Network) -> None:
    await net.call(net.cpo, "POST", POST, cdr(), to=EMSP)
    answer = await net.call(net.cpo, "POST", POST, cdr(currency="SEK"), to=EMSP)
    assert (answer.status_code, net.alarms) == (2001, ["cdr changed"])


@pytest.mark.rule("R-53")
async def test_the_hub_guarantees_for_no_cdr_it_would_not_take(net: Network) -> None:
    answer = await net.call(net.cpo, "POST", POST, cdr(currency="EURO"), to=EMSP)
    assert answer.status_code == 2001
    assert "currency must be" in answer.message
    assert await net.rows("SELECT * FROM cdr_identity") == []


@pytest.mark.promise("Q-08")
async def test_a_refused_cdr_is_given_up_with_an_alarm_and_goes_again_when_it_is_posted_again(net: Network) -> None:
    net.emsp.answer = lambda seen: (200, {}, REFUSED)
    await net.call(net.cpo, "POST", POST, cdr(), to=EMSP)
    for _ in range(3):
        await execute(net, DUE_NOW)
        assert await net.guaranteed.round()
    await execute(net, DUE_NOW)
    assert not await net.guaranteed.round()
    assert (net.alarms, await states(net), len(net.emsp.seen)) == (["cdr refused"], ["UNDELIVERED"], 3)
    [row] = await net.rows("SELECT last_error FROM cdr_delivery")
    assert "2001" in row["last_error"]
    net.emsp.answer = taken
    await net.call(net.cpo, "POST", POST, cdr(), to=EMSP)
    assert await net.guaranteed.round()
    assert await states(net) == ["DELIVERED"]


@pytest.mark.promise("Q-08")
async def test_a_refused_cdr_holds_nobody_up(net: Network) -> None:
    net.emsp.answer = lambda seen: (200, {}, REFUSED) if b"CDR1" in seen.body else taken(seen)
    await net.call(net.cpo, "POST", POST, cdr(), to=EMSP)
    await net.call(net.cpo, "POST", POST, cdr(id="CDR2"), to=EMSP)
    assert await net.guaranteed.round()
    assert await states(net) == ["UNDELIVERED", "DELIVERED"]


@pytest.mark.promise("Q-01", "Q-10")
async def test_a_failing_receiver_is_left_in_peace_until_it_calls(net: Network) -> None:
    net.emsp.answer = lambda seen: None
    for number in range(4):
        await net.call(net.cpo, "POST", POST, cdr(id=f"CDR{number}"), to=EMSP)
    assert await net.guaranteed.round()
    first = len(net.emsp.seen)
    assert first == 4
    assert not await net.guaranteed.round()
    assert len(net.emsp.seen) == first
    net.emsp.answer = taken
    net.guaranteed.heard(net.directory.known_platform_of(EMSP))
    assert await net.guaranteed.round()
    assert await states(net) == ["DELIVERED"] * 4


async def test_an_original_goes_before_its_credit(net: Network) -> None:
    net.emsp.answer = lambda seen: (200, {}, REFUSED)
    await net.call(net.cpo, "POST", POST, cdr(), to=EMSP)
    credit = cdr(id="CDR1-C", credit=True, credit_reference_id="CDR1")
    assert (await net.call(net.cpo, "POST", POST, credit, to=EMSP)).status_code == 1000
    assert await net.guaranteed.round()
    assert await bodies(net) == [cdr()]
    net.emsp.answer = taken
    await execute(net, DUE_NOW)
    while await net.guaranteed.round():
        pass
    assert await bodies(net) == [cdr(), cdr(), credit]


@pytest.mark.promise("Q-12")
async def test_two_processes_never_post_one_cdr_at_the_same_time(net: Network) -> None:
    for number in range(AT_ONCE * 2):
        await net.call(net.cpo, "POST", POST, cdr(id=f"CDR{number}"), to=EMSP)

    async def claimed() -> list[str]:
        async with net.database.transaction() as connection:
            due = await repository.claim_due(connection, [str(EMSP)], CLAIM, AT_ONCE, AT_ONCE)
        return [one.id_folded for one in due]

    one, other = await asyncio.gather(claimed(), claimed())
    assert (len(one), len(other), set(one) & set(other)) == (AT_ONCE, AT_ONCE, set())
    assert await claimed() == []
    await execute(net, DUE_NOW)
    assert len(await claimed()) == AT_ONCE


@pytest.mark.promise("Q-08")
async def test_nobody_waits_behind_the_backlog_of_another(net: Network) -> None:
    for number in range(AT_ONCE + 2):
        await net.call(net.cpo, "POST", POST, cdr(id=f"CDR{number}"), to=EMSP)
    await execute(net, f"UPDATE cdr_delivery SET receiver = 'FR*OTH' WHERE id_folded = 'CDR{AT_ONCE + 1}'")
    async with net.database.transaction() as connection:
        due = await repository.claim_due(connection, [str(EMSP), "FR*OTH"], CLAIM, AT_ONCE, AT_ONCE)
    assert [one.receiver for one in due].count("FR*OTH") == 1
    assert {one.id_folded for one in due if one.receiver == str(EMSP)} == {f"CDR{n}" for n in range(AT_ONCE - 1)}


@pytest.mark.promise("Q-12")
async def test_a_claim_lasts_longer_than_the_receiver_may_take(net: Network) -> None:
    async with net.database.transaction() as connection:
        await parties.set_switches(connection, net.emsp.platform_id, {"push_timeout": 300})
        await parties.touch(connection, net.emsp.platform_id)
    await net.directory.refresh()
    await net.call(net.cpo, "POST", POST, cdr(), to=EMSP)
    left: list[float] = []

    async def look(seen: object) -> tuple[int, dict[str, str], bytes]:
        [row] = await net.rows("SELECT extract(epoch FROM next_attempt_at - now()) AS left FROM cdr_delivery")
        left.append(float(row["left"]))
        return taken(seen)

    net.emsp.answer = look
    assert await net.guaranteed.round()
    assert left[0] > 300


async def test_a_transparent_cdr_is_never_posted_by_the_hub(net: Network) -> None:
    net.policy.replace({})
    net.emsp.answer = lambda seen: (200, {}, REFUSED)
    await net.call(net.cpo, "POST", POST, cdr(), to=EMSP)
    assert not await net.guaranteed.round()
    assert len(net.emsp.seen) == 1
    async with net.database.transaction() as connection:
        assert await repository.retry(connection, CPO, "CDR1") == "UNDELIVERED"
    net.emsp.answer = taken
    assert await net.guaranteed.round()
    assert await states(net) == ["DELIVERED"]


@pytest.mark.parametrize("http_status", [404, 405])
async def test_a_receiver_whose_interface_is_not_there_is_tried_again(net: Network, http_status: int) -> None:
    net.emsp.answer = lambda seen: (http_status, {}, b"<html>not here</html>")
    await net.call(net.cpo, "POST", POST, cdr(), to=EMSP)
    for _ in range(4):
        net.guaranteed.heard(net.directory.known_platform_of(EMSP))
        assert await net.guaranteed.round()
    assert (net.alarms, await states(net)) == ([], ["UNDELIVERED"])
    net.emsp.answer = taken
    net.guaranteed.heard(net.directory.known_platform_of(EMSP))
    assert await net.guaranteed.round()
    assert await states(net) == ["DELIVERED"]


async def test_a_credit_takes_along_the_original_that_was_never_delivered(net: Network) -> None:
    net.policy.replace({})
    net.emsp.answer = lambda seen: (200, {}, REFUSED)
    await net.call(net.cpo, "POST", POST, cdr(), to=EMSP)
    net.policy.replace({frozenset((CPO, EMSP)): Terms(cdr_mode=CdrMode.guaranteed)})
    net.emsp.answer = taken
    credit = cdr(id="CDR1-C", credit=True, credit_reference_id="CDR1")
    assert (await net.call(net.cpo, "POST", POST, credit, to=EMSP)).status_code == 1000
    while await net.guaranteed.round():
        pass
    assert (await bodies(net))[1:] == [cdr(), credit]
    assert await states(net) == ["DELIVERED", "DELIVERED"]


@pytest.mark.promise("Q-10")
async def test_a_slow_receiver_gets_few_at_once_and_all_in_the_end(net: Network) -> None:
    answering = asyncio.Event()

    async def slowly(seen: Seen) -> object:
        await answering.wait()
        return taken(seen)

    net.emsp.answer = slowly
    for number in range(MOST_EACH + 2):
        await net.call(net.cpo, "POST", POST, cdr(id=f"CDR{number}"), to=EMSP)
    assert await net.guaranteed.begin()
    assert not await net.guaranteed.begin()
    await eventually(lambda: len(net.emsp.seen) == MOST_EACH)
    answering.set()
    while await net.guaranteed.round():
        pass
    assert await states(net) == ["DELIVERED"] * (MOST_EACH + 2)
