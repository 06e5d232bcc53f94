"""Two journals on one database, as two processes have them: who forwards, who waits, and who follows one that died."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from hub.clearing import guaranteed_repository
from hub.clearing.journal import CdrJournal
from hub.clearing.turns import Turns
from hub.db.engine import Database
from hub.delivery.outcome import Delivered, Outcome, Refused, TimedOut, Unreachable
from hub.objects.later import LaterWrites
from hub.routing.answers import relay
from ocpi_modules import envelope
from ocpi_modules.cdrs.spec import CDRS
from ocpi_modules.message import OcpiRequest, OcpiResponse
from ocpi_modules.spec import Method, ModuleID
from ocpi_modules.status import ConnectionProblem, InvalidParameters, NotAvailable, RequestTimedOut
from tests.hub.clearing.test_journal import REFUSED, cdr
from tests.hub.network import CPO, EMSP, NOW, Outage, eventually
from tests.hub.support import opened
from tests.support.postgres import FreshDatabase

ENDPOINT = next(one for one in CDRS.endpoints if one.method is Method.POST)
LEASE, SHORT_LEASE = timedelta(seconds=30), timedelta(seconds=2)
TAKEN = Delivered(201, {"location": "/1"}, b'{"status_code":1000,"timestamp":"x"}', envelope.Answer(1000, "", None))


class Watched(Outage):
    """Counts how often a waiting journal looks what has become of a CDR."""

    looks = 0

    @asynccontextmanager
    async def connection(self, deadline: float | None = None) -> AsyncIterator[Any]:
        self.looks += 1
        async with super().connection(deadline) as connection:
            yield connection


@dataclass
class Process:
    """A journal, what it sent, and what its receiver answers when it may."""

    journal: CdrJournal
    later: LaterWrites
    database: Watched
    alarms: list[str]
    outcome: Outcome = field(default_factory=lambda: TAKEN)
    answers: asyncio.Event = field(default_factory=asyncio.Event)
    sent: list[bytes] = field(default_factory=list)

    async def post(self, body: bytes, within: timedelta = timedelta(seconds=10)) -> OcpiResponse:
        request = OcpiRequest(Method.POST, ModuleID.cdrs, ENDPOINT, body=body)

        async def send() -> Outcome:
            self.sent.append(body)
            await self.answers.wait()
            return self.outcome

        return await self.journal.post(
            request,
            CPO,
            EMSP,
            send,
            lambda outcome: relay(outcome, asker=CPO, receiver=EMSP),
            "http://e",
            within=within,
        )

    async def is_sending(self) -> None:
        await eventually(lambda: self.sent, 20)

    async def is_waiting(self, looks: int = 1) -> None:
        """It has looked so often again."""
        before = self.database.looks
        await eventually(lambda: self.database.looks >= before + looks, 20)


@pytest.fixture
async def two(hub_database: FreshDatabase) -> AsyncIterator[tuple[Process, Process]]:
    async with AsyncExitStack() as stack:
        databases = [await stack.enter_async_context(opened(hub_database.app_dsn)) for _ in range(2)]
        yield process(databases[0]), process(databases[1])


def process(database: Database) -> Process:
    outage, alarms = Watched(database), list[str]()
    later = LaterWrites(outage, pause=timedelta(milliseconds=20))  # type: ignore[arg-type]
    journal = CdrJournal(
        database=outage,  # type: ignore[arg-type]
        clock=lambda: NOW,
        public_url="http://hub",
        later=later,
        alarm=lambda event, **fields: alarms.append(event),
        guaranteed=lambda cpo, emsp: False,
        wake=lambda: None,
        turns=Turns(outage, lease=LEASE),  # type: ignore[arg-type]
    )
    return Process(journal, later, outage, alarms)


async def rows(process: Process, query: str) -> list[dict[str, Any]]:
    async with process.database.connection() as connection:
        return [dict(row) for row in await connection.fetch(query)]


async def dies(process: Process) -> None:
    """As a kill leaves it: nothing is prolonged or recorded any more."""
    process.database.away = True
    tasks = list(process.journal._attempts._under_way.values())
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def its_time_is_over(process: Process) -> None:
    async with process.database.transaction() as connection:
        await connection.execute("UPDATE cdr_delivery SET attempt_until = clock_timestamp() - interval '1 second'")


@pytest.mark.rule("D-22", "Q-07")
async def test_who_comes_second_waits_for_a_slow_receiver_longer_than_a_lease_and_holds_no_connection(
    two: tuple[Process, Process],
) -> None:
    one, other = two
    one.journal._turns.lease = SHORT_LEASE
    first = asyncio.create_task(one.post(cdr()))
    await one.is_sending()
    second = asyncio.create_task(other.post(cdr()))
    [began] = await rows(one, "SELECT attempt_until FROM cdr_delivery")
    async with asyncio.timeout(20):
        while (await rows(one, "SELECT clock_timestamp() AS now"))[0]["now"] <= began["attempt_until"]:
            await other.is_waiting()
    assert not second.done()
    [row] = await rows(one, "SELECT count(*) AS busy FROM pg_stat_activity WHERE datname = current_database() "
                            "AND pid <> pg_backend_pid() AND state <> 'idle'")  # fmt: skip
    assert row["busy"] <= 1
    one.answers.set()
    answers = await asyncio.gather(first, second)
    assert [answer.http_status for answer in answers] == [201, 200]
    assert answers[0].headers["Location"] == answers[1].headers["Location"]
    assert (len(one.sent), other.sent) == (1, [])


@pytest.mark.rule("D-19", "R-22", "R-23")
@pytest.mark.parametrize(
    ("outcome", "error"),
    [(TimedOut(30), RequestTimedOut), (Unreachable("nobody there"), ConnectionProblem)],
    ids=["timed out", "unreachable"],
)
async def test_both_hear_that_the_receiver_did_not_answer_and_a_later_post_goes_again(
    two: tuple[Process, Process], outcome: Outcome, error: type[Exception]
) -> None:
    one, other = two
    one.outcome = outcome
    first = asyncio.create_task(one.post(cdr()))
    await one.is_sending()
    second = asyncio.create_task(other.post(cdr()))
    await other.is_waiting()
    one.answers.set()
    found = await asyncio.gather(first, second, return_exceptions=True)
    assert [type(answer) for answer in found] == [error, error]
    assert str(found[0]) == str(found[1])
    assert other.sent == []
    other.answers.set()
    assert (await other.post(cdr())).http_status == 201


async def test_both_hear_the_receivers_own_refusal(two: tuple[Process, Process]) -> None:
    one, other = two
    one.outcome = Refused(200, {}, REFUSED, envelope.Answer(2001, "no", None))
    first = asyncio.create_task(one.post(cdr()))
    await one.is_sending()
    second = asyncio.create_task(other.post(cdr()))
    await other.is_waiting()
    one.answers.set()
    answers = await asyncio.gather(first, second)
    assert [answer.body for answer in answers] == [REFUSED, REFUSED]
    assert answers[0].headers == answers[1].headers
    assert other.sent == []


@pytest.mark.rule("D-19", "F-01")
async def test_who_died_is_followed_when_its_time_is_over_and_no_sooner(two: tuple[Process, Process]) -> None:
    one, other = two
    first = asyncio.create_task(one.post(cdr()))
    await one.is_sending()
    other.answers.set()
    await dies(one)
    await asyncio.gather(first, return_exceptions=True)
    second = asyncio.create_task(other.post(cdr()))
    await other.is_waiting(3)
    assert other.sent == []
    await its_time_is_over(other)
    assert (await second).http_status == 201
    assert len(other.sent) == 1


@pytest.mark.promise("Q-12")
async def test_a_process_taken_for_dead_undoes_nothing_when_it_wakes_and_tells_what_was_taken(
    two: tuple[Process, Process],
) -> None:
    one, other = two
    one.outcome = Unreachable("gone")
    first = asyncio.create_task(one.post(cdr()))
    await one.is_sending()
    await its_time_is_over(other)
    second = asyncio.create_task(other.post(cdr()))
    await other.is_sending()
    one.answers.set()
    with pytest.raises(ConnectionProblem):
        await first
    assert [row["state"] for row in await rows(other, "SELECT state FROM cdr_delivery")] == ["RECEIVED"]
    other.answers.set()
    assert (await second).http_status == 201
    [row] = await rows(other, "SELECT state, attempts, attempt_id FROM cdr_delivery")
    assert (row["state"], row["attempts"], row["attempt_id"]) == ("DELIVERED", 1, None)


async def test_the_wait_for_another_ends_with_4002(two: tuple[Process, Process]) -> None:
    one, other = two
    first = asyncio.create_task(one.post(cdr()))
    await one.is_sending()
    with pytest.raises(RequestTimedOut, match="posted twice at once"):
        await other.post(cdr(), within=timedelta(seconds=0.2))
    one.answers.set()
    assert ((await first).http_status, other.sent) == (201, [])


@pytest.mark.promise("Q-04")
async def test_an_outage_shorter_than_the_lease_makes_no_second_attempt(two: tuple[Process, Process]) -> None:
    one, other = two
    first = asyncio.create_task(one.post(cdr()))
    await one.is_sending()
    for process in two:
        process.database.away = True
    with pytest.raises(NotAvailable):
        await other.post(cdr())
    one.answers.set()
    assert (await first).http_status == 201
    assert len(one.later) == 1
    for process in two:
        process.database.away = False
    second = asyncio.create_task(other.post(cdr()))
    assert await one.later.work_off()
    assert ((await second).http_status, other.sent) == (200, [])


@pytest.mark.rule("D-22", "D-01")
async def test_another_content_does_not_wait(two: tuple[Process, Process]) -> None:
    one, other = two
    first = asyncio.create_task(one.post(cdr()))
    await one.is_sending()
    with pytest.raises(InvalidParameters):
        await other.post(cdr(currency="SEK"))
    assert other.alarms == ["cdr changed"]
    one.answers.set()
    assert (await first).http_status == 201


@pytest.mark.promise("Q-12")
async def test_an_operators_retry_waits_for_the_attempt_under_way(two: tuple[Process, Process]) -> None:
    one, other = two
    first = asyncio.create_task(one.post(cdr()))
    await one.is_sending()

    async def due() -> list[str]:
        async with other.database.transaction() as connection:
            claimed = await guaranteed_repository.claim_due(connection, [str(EMSP)], timedelta(seconds=9), 9, 9)
        return [one.id_folded for one in claimed]

    async with other.database.transaction() as connection:
        assert await guaranteed_repository.retry(connection, CPO, "CDR1") == "RECEIVED"
    assert await due() == []
    one.outcome = Unreachable("gone")
    one.answers.set()
    await asyncio.gather(first, return_exceptions=True)
    assert await due() == ["CDR1"]
