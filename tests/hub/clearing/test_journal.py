"""CDRs through the hub: journalled first, delivered once in effect, never changed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import asyncpg
import pytest

from hub.agreements.policy import CdrMode, Terms
from hub.delivery.send import Deadlines
from hub.parties import repository as parties
from ocpi_modules import json
from tests.hub.network import CPO, EMSP, HUB, Network, Outage, accepted, eventually, network
from tests.support import objects
from tests.support.postgres import FreshDatabase

POST = "/receiver/cdrs"
REFUSED = b'{"status_code":2001,"status_message":"no","timestamp":"2026-01-01T00:00:00Z"}'


@pytest.fixture
async def net(hub_database: FreshDatabase) -> AsyncIterator[Network]:
    async with network(hub_database, deadlines=Deadlines(direct=0.5)) as built:
        built.emsp.answer = taken
        yield built


def taken(seen: Any) -> tuple[int, dict[str, str], bytes]:
    return accepted(status=201, headers={"Location": "/msp/my/cdrs/77"})


def cdr(**fields: Any) -> bytes:
    token = objects.cdr_token(country_code="DE", party_id="MSP")
    own = {
        "country_code": "NL",
        "party_id": "CPO",
        "id": "CDR1",
        "cdr_token": token,
        "credit": None,
        "credit_reference_id": None,
    }
    return json.encode(objects.cdr(**own | fields))


async def states(net: Network) -> list[str]:
    return [row["state"] for row in await net.rows("SELECT state FROM cdr_delivery ORDER BY id_folded")]


@pytest.mark.rule("D-18", "R-75", "D-15", "R-94", "D-20", "D-16", "R-95")
async def test_a_cdr_is_delivered_and_read_back_at_a_location_of_ours(net: Network) -> None:
    answer = await net.call(net.cpo, "POST", POST, cdr(), to=EMSP)
    assert (answer.http_status, answer.status_code) == (201, 1000)
    assert net.emsp.seen[0].body == cdr()
    location = answer.headers["location"]
    assert location.startswith(f"{net.public_url}/ocpi/2.2.1/receiver/cdrs/")
    assert await states(net) == ["DELIVERED"]
    net.emsp.answer = lambda seen: accepted({"id": "CDR1"})
    read = await net.call(net.cpo, "GET", location)
    assert read.document["data"] == {"id": "CDR1"}
    seen = net.emsp.seen[-1]
    assert (seen.method, seen.target, seen.routing) == ("GET", "/msp/my/cdrs/77", ("DE*MSP", "NL*CPO"))
    assert (await net.call(net.emsp, "GET", location)).http_status == 404


@pytest.mark.rule("D-21", "D-20")
@pytest.mark.promise("S-26", "S-27")
@pytest.mark.parametrize(
    "location",
    [None, "http://169.254.169.254/cdr", "https://evil.example/1", "http://[bad", "/cdrs/CDR 1", "/cdrs/\u00e9"],
)
async def test_a_receiver_without_a_location_of_its_own_is_made_up_for_by_the_journal(
    net: Network, location: str | None
) -> None:
    net.emsp.answer = lambda seen: accepted(headers={"Location": location} if location else {})
    answer = await net.call(net.cpo, "POST", POST, cdr(), to=EMSP)
    read = await net.call(net.cpo, "GET", answer.headers["location"])
    assert cdr() in read.body
    assert len(net.emsp.seen) == 1
    assert (await net.call(net.emsp, "GET", answer.headers["location"])).http_status == 404


@pytest.mark.rule("D-22", "Q-07")
async def test_the_same_cdr_again_is_answered_from_the_journal(net: Network) -> None:
    first = await net.call(net.cpo, "POST", POST, cdr(), to=EMSP)
    again = await net.call(net.cpo, "POST", POST, cdr(id="cdr1", last_updated="2026-03-02T00:00:00Z"), to=EMSP)
    assert (again.http_status, again.body) == (200, first.body)
    assert again.headers["location"] == first.headers["location"]
    assert len(net.emsp.seen) == 1


@pytest.mark.rule("D-22", "D-01")
async def test_another_content_under_the_same_id_is_refused_and_an_alarm(net: Network) -> None:
    await net.call(net.cpo, "POST", POST, cdr(), to=EMSP)
    answer = await net.call(net.cpo, "POST", POST, cdr(currency="SEK"), to=EMSP)
    assert (answer.http_status, answer.status_code, len(net.emsp.seen)) == (200, 2001, 1)
    assert "Credit CDR" in answer.message
    assert net.alarms == ["cdr changed"]
    assert len(await net.rows("SELECT * FROM cdr")) == 1


@pytest.mark.rule("D-19", "R-23", "Q-07")
async def test_an_undelivered_cdr_is_told_and_goes_again_when_it_is_posted_again(net: Network) -> None:
    net.emsp.answer = lambda seen: (200, {}, REFUSED)
    answer = await net.call(net.cpo, "POST", POST, cdr(), to=EMSP)
    assert (answer.status_code, await states(net)) == (2001, ["UNDELIVERED"])
    assert "location" not in answer.headers
    net.emsp.answer = taken
    answer = await net.call(net.cpo, "POST", POST, cdr(), to=EMSP)
    assert (answer.http_status, await states(net), len(net.emsp.seen)) == (201, ["DELIVERED"], 2)


@pytest.mark.rule("D-19", "D-22")
async def test_a_credit_that_was_turned_away_without_an_envelope_was_not_taken(net: Network) -> None:
    """As FastAPI refuses what its schema does not know (field 5)."""
    assert (await net.call(net.cpo, "POST", POST, cdr(), to=EMSP)).status_code == 1000
    net.emsp.answer = lambda seen: (422, {}, b'{"detail":[{"msg":"field required"}]}')
    answer = await net.call(net.cpo, "POST", POST, credit("CDR1-A"), to=EMSP)
    assert (answer.status_code, await states(net)) == (4000, ["DELIVERED", "UNDELIVERED"])
    assert "field required" in answer.message
    net.emsp.answer = taken
    assert (await net.call(net.cpo, "POST", POST, credit("CDR1-B"), to=EMSP)).status_code == 1000


@pytest.mark.rule("D-19", "R-22", "F-18")
async def test_a_cdr_without_an_answer_is_in_doubt_and_goes_again_when_it_is_posted_again(net: Network) -> None:
    async def silence(seen: Any) -> None:
        await asyncio.sleep(5)

    net.emsp.answer = silence
    answer = await net.call(net.cpo, "POST", POST, cdr(), to=EMSP)
    assert (answer.status_code, await states(net)) == (4002, ["IN_DOUBT"])
    net.emsp.answer = lambda seen: None
    answer = await net.call(net.cpo, "POST", POST, cdr(), to=EMSP)
    assert (answer.status_code, await states(net)) == (4003, ["IN_DOUBT"])
    net.emsp.answer = taken
    assert (await net.call(net.cpo, "POST", POST, cdr(), to=EMSP)).http_status == 201


@pytest.mark.rule("D-19", "R-23")
async def test_a_cdr_for_a_receiver_that_is_away_is_journalled_and_told_so(net: Network) -> None:
    async with net.database.transaction() as connection:
        await parties.set_connection(connection, net.emsp.platform_id, "OFFLINE")
        await parties.touch(connection, net.emsp.platform_id)
    await net.directory.refresh()
    answer = await net.call(net.cpo, "POST", POST, cdr(), to=EMSP)
    assert (answer.http_status, answer.status_code, net.emsp.seen) == (200, 4003, [])
    assert await states(net) == ["UNDELIVERED"]
    assert [row["body"] for row in await net.rows("SELECT body FROM cdr")] == [cdr()]


@pytest.mark.rule("D-13", "D-19", "D-24")
@pytest.mark.parametrize("answer", [(200, {}, REFUSED), None], ids=["UNDELIVERED", "IN_DOUBT"])
async def test_what_did_not_arrive_is_found_by_its_receiver_on_the_sender_interface(net: Network, answer: Any) -> None:
    net.emsp.answer = lambda seen: answer
    await net.call(net.cpo, "POST", POST, cdr(), to=EMSP)
    assert await states(net) == ["UNDELIVERED" if answer else "IN_DOUBT"]
    for party in (net.emsp, net.cpo):
        listed = await net.call(party, "GET", "/sender/cdrs", to=HUB)
        assert (listed.headers["x-total-count"], cdr() in listed.body) == ("1", True)


@pytest.mark.rule("Q-07")
async def test_a_delivered_cdr_is_answered_from_the_journal_while_the_receiver_is_away(net: Network) -> None:
    first = await net.call(net.cpo, "POST", POST, cdr(), to=EMSP)
    async with net.database.transaction() as connection:
        await parties.set_connection(connection, net.emsp.platform_id, "OFFLINE")
        await parties.touch(connection, net.emsp.platform_id)
    await net.directory.refresh()
    assert (await net.call(net.cpo, "POST", POST, cdr(), to=EMSP)).body == first.body


@pytest.mark.rule("Q-07")
async def test_a_cdr_whose_outcome_was_never_recorded_is_forwarded_again(net: Network) -> None:
    """As a kill between the receiver's answer and the record leaves it."""
    await net.call(net.cpo, "POST", POST, cdr(), to=EMSP)
    async with net.database.transaction() as connection:
        await connection.execute("UPDATE cdr_delivery SET state = 'RECEIVED', answer = NULL, http_status = NULL")
    again = await net.call(net.cpo, "POST", POST, cdr(), to=EMSP)
    assert (again.http_status, len(net.emsp.seen), await states(net)) == (201, 2, ["DELIVERED"])


@pytest.mark.rule("Q-07", "D-22")
async def test_the_same_cdr_posted_eight_times_at_once_reaches_the_receiver_once(net: Network) -> None:
    answers = await asyncio.gather(*(net.call(net.cpo, "POST", POST, cdr(), to=EMSP) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {1000}
    assert len({answer.headers["location"] for answer in answers}) == 1
    assert len(await net.rows("SELECT * FROM cdr")) == len(await net.rows("SELECT * FROM cdr_identity")) == 1
    assert [seen.body for seen in net.emsp.seen] == [cdr()]


@pytest.mark.rule("Q-07")
async def test_posts_at_once_with_different_contents_bring_one_of_them_to_the_receiver(net: Network) -> None:
    bodies = [cdr(total_energy=number) for number in range(1, 5)]
    answers = await asyncio.gather(*(net.call(net.cpo, "POST", POST, body, to=EMSP) for body in bodies))
    assert sorted(answer.status_code for answer in answers) == [1000, 2001, 2001, 2001]
    assert len(net.emsp.seen) == 1


async def test_a_post_that_loses_against_its_twin_gets_the_twins_answer(net: Network) -> None:
    """The twin went through another process of the hub, and was taken while ours was refused."""

    async def twin_first(seen: Any) -> tuple[int, dict[str, str], bytes]:
        async with net.database.transaction() as connection:
            await connection.execute(
                "UPDATE cdr_delivery SET state = 'DELIVERED', http_status = 201, answer = $1", b"the twin's answer"
            )
        return 200, {}, REFUSED

    net.emsp.answer = twin_first
    answer = await net.call(net.cpo, "POST", POST, cdr(), to=EMSP)
    assert (answer.http_status, answer.body, await states(net)) == (200, b"the twin's answer", ["DELIVERED"])


@pytest.mark.rule("F-01")
async def test_the_journal_is_committed_before_the_receiver_sees_the_cdr(net: Network) -> None:
    found: list[Any] = []

    async def look(seen: Any) -> tuple[int, dict[str, str], bytes]:
        found.extend(await net.rows("SELECT c.body, d.state FROM cdr c JOIN cdr_delivery d USING (owner, id_folded)"))
        return taken(seen)

    net.emsp.answer = look
    await net.call(net.cpo, "POST", POST, cdr(), to=EMSP)
    assert [(row["body"], row["state"]) for row in found] == [(cdr(), "RECEIVED")]


@pytest.mark.rule("D-04", "D-32")
async def test_a_credit_refers_to_a_cdr_of_the_same_owner_that_passed(net: Network) -> None:
    credit = cdr(id="CDR1-C", credit=True, credit_reference_id="CDR1")
    answer = await net.call(net.cpo, "POST", POST, credit, to=EMSP)
    assert (answer.status_code, net.emsp.seen) == (2001, [])
    assert await net.rows("SELECT * FROM cdr_identity") == []
    await net.call(net.cpo, "POST", POST, cdr(), to=EMSP)
    assert (await net.call(net.cpo, "POST", POST, credit, to=EMSP)).status_code == 1000
    lonely = cdr(id="CDR2-C", credit=True)
    assert (await net.call(net.cpo, "POST", POST, lonely, to=EMSP)).status_code == 2001


def credit(id: str = "CDR1-C", **fields: Any) -> bytes:
    price = objects.price(excl_vat=Decimal("-10.00"), incl_vat=Decimal("-12.10"))
    return cdr(**{"id": id, "credit": True, "credit_reference_id": "CDR1", "total_cost": price} | fields)


@pytest.mark.rule("D-04", "D-05")
async def test_a_cdr_is_credited_once_unless_the_first_credit_was_certainly_not_taken(net: Network) -> None:
    async def post(body: bytes) -> int:
        return (await net.call(net.cpo, "POST", POST, body, to=EMSP)).status_code

    assert await post(cdr()) == 1000
    net.emsp.answer = lambda seen: (200, {}, REFUSED)
    assert await post(credit("CDR1-A")) == 2001
    net.emsp.answer = taken
    assert await post(credit("CDR1-B")) == 1000
    assert await post(credit("CDR1-B")) == 1000
    refused = await net.call(net.cpo, "POST", POST, credit("CDR1-C"), to=EMSP)
    assert (refused.status_code, "credited before by CDR1-B" in refused.message) == (2001, True)
    assert await post(credit("CDR1-A")) == 2001
    assert net.alarms == ["cdr credited twice"] * 2
    assert len(net.emsp.seen) == 3
    assert await post(cdr(id="CDR2")) == 1000
    assert await post(credit("CDR2-C", credit_reference_id="cdr2")) == 1000


@pytest.mark.rule("D-04")
async def test_a_credit_waits_until_the_receiver_has_taken_what_it_credits(net: Network) -> None:
    async def post(body: bytes) -> tuple[int, str]:
        answer = await net.call(net.cpo, "POST", POST, body, to=EMSP)
        return answer.status_code, answer.message

    net.emsp.answer = lambda seen: (200, {}, REFUSED)
    await post(cdr())
    net.emsp.answer = taken
    code, said = await post(credit())
    assert (code, "post that CDR again first" in said) == (2001, True)
    assert len(net.emsp.seen) == 1
    assert (await post(cdr()))[0] == 1000
    assert (await post(credit()))[0] == 1000


async def test_a_credit_goes_to_whom_the_original_went(net: Network) -> None:
    await net.call(net.cpo, "POST", POST, cdr(), to=EMSP)
    async with net.database.transaction() as connection:
        await connection.execute("UPDATE cdr_delivery SET receiver = 'FR*OTH'")
    answer = await net.call(net.cpo, "POST", POST, credit(), to=EMSP)
    assert (answer.status_code, len(net.emsp.seen)) == (2001, 1)
    assert "was sent to FR*OTH" in answer.message


@pytest.mark.rule("D-04", "D-08")
@pytest.mark.promise("S-34")
async def test_a_credit_with_a_positive_total_passes_with_a_flag_and_is_not_guaranteed(net: Network) -> None:
    positive = credit(total_cost=objects.price())
    await net.call(net.cpo, "POST", POST, cdr(), to=EMSP)
    assert (await net.call(net.cpo, "POST", POST, positive, to=EMSP)).status_code == 1000
    assert net.emsp.seen[-1].body == positive
    [trace] = [row for row in await net.traced() if row["flags"]]
    assert "total_cost is positive" in str(trace["flags"])
    net.policy.replace({frozenset((CPO, EMSP)): Terms(cdr_mode=CdrMode.guaranteed)})
    await net.call(net.cpo, "POST", POST, cdr(id="CDR2"), to=EMSP)
    other = credit("CDR2-C", credit_reference_id="CDR2", total_cost=objects.price())
    answer = await net.call(net.cpo, "POST", POST, other, to=EMSP)
    assert (answer.status_code, "total_cost is positive" in answer.message) == (2001, True)


async def test_a_cdr_costs_six_statements(hub_database: FreshDatabase) -> None:
    """Five in the transaction of the journal entry, one in that of what became of it; BEGIN and COMMIT are not counted."""
    statements: list[str] = []

    class Counting(Outage):
        @asynccontextmanager
        async def transaction(self, deadline: float | None = None) -> AsyncIterator[Any]:
            async with self._database.transaction(deadline) as connection:
                with connection.query_logger(lambda record: statements.append(record.query)):
                    yield connection

    async with network(hub_database, wrap=Counting) as net:
        net.emsp.answer = taken
        for id in ("CDR1", "CDR2"):  # with the first the driver learns the types
            statements.clear()
            assert (await net.call(net.cpo, "POST", POST, cdr(id=id), to=EMSP)).http_status == 201
    verbs = [statement.split(" ")[0] for statement in statements]
    assert verbs == ["INSERT", "SELECT", "WITH", "INSERT", "INSERT", "UPDATE"]


@pytest.mark.rule("D-23")
@pytest.mark.promise("S-16")
@pytest.mark.parametrize(
    "body",
    [
        cdr(party_id="ABC"),
        cdr(id=""),
        cdr(id="x" * 40),
        cdr(last_updated="yesterday"),
        cdr(cdr_token=objects.cdr_token(country_code="DE", party_id="OTH")),
        b"[" + cdr() + b"]",
        json.encode({"country_code": "NL", "party_id": "CPO"}),
    ],
)
async def test_a_cdr_without_a_certain_identity_is_refused_before_the_journal(net: Network, body: bytes) -> None:
    answer = await net.call(net.cpo, "POST", POST, body, to=EMSP)
    assert (answer.http_status, answer.status_code, net.emsp.seen) == (200, 2001, [])
    assert await net.rows("SELECT * FROM cdr_identity") == []


@pytest.mark.rule("D-01")
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE cdr SET body = ''",
        "DELETE FROM cdr",
        "UPDATE cdr_identity SET hash = ''",
        "DELETE FROM cdr_identity",
        "TRUNCATE cdr",
        "DROP TABLE cdr",
        "DELETE FROM cdr_delivery",
        "UPDATE {month} SET body = ''",
        "DELETE FROM {month}",
        "CREATE TABLE mine (x int)",
    ],
)
async def test_the_application_cannot_change_or_remove_a_cdr(net: Network, statement: str) -> None:
    await net.call(net.cpo, "POST", POST, cdr(), to=EMSP)
    month = (await net.rows("SELECT tableoid::regclass::text AS name FROM cdr"))[0]["name"]
    async with net.database.connection() as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement.format(month=month))


async def test_a_month_without_partition_gets_one(net: Network) -> None:
    net.time[0] = net.time[0].replace(year=2031, month=7)
    assert (await net.call(net.cpo, "POST", POST, cdr(), to=EMSP)).http_status == 201
    assert (await net.rows("SELECT tableoid::regclass::text AS name FROM cdr"))[0]["name"] == "cdr_2031_07"


@pytest.mark.rule("Q-04", "F-07")
async def test_without_a_database_a_cdr_is_503_before_anything_leaves(hub_database: FreshDatabase) -> None:
    async with network(hub_database, wrap=Outage) as net:
        net.seen_database.away = True
        answer = await net.call(net.cpo, "POST", POST, cdr(), to=EMSP)
        assert (answer.http_status, answer.status_code, net.emsp.seen) == (503, 3000, [])
        assert answer.headers["retry-after"]


@pytest.mark.rule("Q-04")
async def test_an_outage_after_the_forward_does_not_take_the_answer(hub_database: FreshDatabase) -> None:
    async with network(hub_database, wrap=Outage) as net:

        def fail_then_take(seen: Any) -> tuple[int, dict[str, str], bytes]:
            net.seen_database.away = True
            return taken(seen)

        net.emsp.answer = fail_then_take
        answer = await net.call(net.cpo, "POST", POST, cdr(), to=EMSP)
        assert (answer.http_status, "location" in answer.headers) == (201, True)
        assert (await states(net), len(net.later)) == (["RECEIVED"], 1)
        worker = asyncio.create_task(net.later.run())
        net.seen_database.away = False
        await eventually(lambda: not len(net.later))
        worker.cancel()
        assert await states(net) == ["DELIVERED"]
        assert net.alarms == []


async def lose_the_cdrs(hub_database: FreshDatabase) -> None:
    """As a standby would lack them that was behind when it took over."""
    connection = await asyncpg.connect(hub_database.owner_dsn)
    try:
        await connection.execute("DELETE FROM cdr_delivery; DELETE FROM cdr; DELETE FROM cdr_identity")
    finally:
        await connection.close()


@pytest.mark.promise("Q-04", "F-51")
@pytest.mark.parametrize("carried", [True, False])
@pytest.mark.parametrize("guaranteed", [True, False])
async def test_what_became_of_a_cdr_that_the_database_lost_is_an_alarm_that_names_it(
    hub_database: FreshDatabase, guaranteed: bool, carried: bool
) -> None:
    """The write of its outcome waited in memory and goes to the database after the failover, or is made there at once."""
    async with network(hub_database, wrap=Outage) as net:
        mode = CdrMode.guaranteed if guaranteed else CdrMode.transparent
        net.policy.replace({frozenset((CPO, EMSP)): Terms(cdr_mode=mode)})

        async def lose_then_take(seen: Any) -> tuple[int, dict[str, str], bytes]:
            net.seen_database.away = carried
            await lose_the_cdrs(hub_database)
            return taken(seen)

        net.emsp.answer = lose_then_take
        assert (await net.call(net.cpo, "POST", POST, cdr(), to=EMSP)).http_status == 201
        assert not guaranteed or await net.guaranteed.round()
        assert (len(net.emsp.seen), len(net.later)) == (1, int(carried))
        assert net.alarms == ([] if carried else ["cdr lost by the database"])
        net.seen_database.away = False
        assert await net.later.work_off()
        assert net.alarms == ["cdr lost by the database"]
        told = {"owner": "NL*CPO", "id": "CDR1", "receiver": "DE*MSP", "state": "DELIVERED"}
        assert told.items() <= net.alarm_fields[0].items()
        net.emsp.answer = taken
        assert (await net.call(net.cpo, "POST", POST, cdr(), to=EMSP)).http_status == 201
        assert not guaranteed or await net.guaranteed.round()
        assert (await states(net), net.alarms) == (["DELIVERED"], ["cdr lost by the database"])
