"""One set of rules for two stores: the one in PostgreSQL, and the one in memory that the simulation believes in."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any, Protocol
from uuid import UUID, uuid4

import asyncpg
import pytest

from hub.delivery import store as store_module
from hub.delivery.destinations import Destination, Pending
from hub.delivery.store import PostgresStore, Store
from hub.objects import changelog
from hub.objects.changelog import Position
from hub.objects.repository import ObjectKey
from ocpi_modules.message import PartyId
from ocpi_modules.spec import ModuleID
from tests.hub.delivery.world import world
from tests.hub.network import CPO, EMSP
from tests.simulation.memory import Held, MemoryDatabase, MemoryStore, Transaction
from tests.support.postgres import FreshDatabase

START = Position(0, 0)
ONE, OTHER = UUID(int=1), UUID(int=2)
LEASE = 60.0
REVOKED = b'{"valid":false}'


def key(name: str, module: ModuleID = ModuleID.locations, audience: str = "*") -> ObjectKey:
    return ObjectKey(CPO, module, name, audience)


class Setting(Protocol):
    """A store, a second one on the same database, and the writers beside them."""

    store: Store

    async def begin(self) -> Any: ...

    async def write(self, transaction: Any, of: ObjectKey, body: bytes = b"{}") -> None: ...

    async def commit(self, transaction: Any) -> None: ...

    async def expire(self) -> None: ...

    async def time_passes(self) -> None: ...

    async def leaves_and_comes_back(self, party: PartyId) -> None: ...

    async def offline(self, party: PartyId, days: float | None) -> None: ...

    async def another_cluster(self) -> None: ...


class InMemory:
    def __init__(self) -> None:
        self.now = 1000.0
        self.database = MemoryDatabase(lambda: self.now)
        for party in (CPO, EMSP):
            self.database.destinations[party] = Held(party, uuid4(), START, 1)

        async def around(after: bool) -> None:
            return

        self.store: Store = MemoryStore(self.database, around, lease_seconds=LEASE)

    async def begin(self) -> Transaction:
        return self.database.begin()

    async def write(self, transaction: Any, of: ObjectKey, body: bytes = b"{}") -> None:
        self.database.write(transaction, of, lambda version: body, revoked=b"false" in body or b"NEVER" in body)

    async def commit(self, transaction: Any) -> None:
        self.database.commit(transaction)

    async def expire(self) -> None:
        self.now += LEASE + 1

    async def time_passes(self) -> None:
        self.now += 100_000.0

    async def leaves_and_comes_back(self, party: PartyId) -> None:
        self.database.leave(party)
        self.database.join(party, uuid4(), START)

    async def offline(self, party: PartyId, days: float | None) -> None:
        self.database.destinations[party].offline_since = None if days is None else self.now - days * 86_400

    async def another_cluster(self) -> None:
        self.database.system += 1


@dataclass
class InPostgres:
    store: Store
    admin: Any
    dsn: str

    async def begin(self) -> Any:
        connection = await asyncpg.connect(self.dsn)
        await connection.execute("BEGIN")
        await connection.execute("SELECT pg_current_xact_id()")
        return connection

    async def write(self, transaction: Any, of: ObjectKey, body: bytes = b"{}") -> None:
        version = await transaction.fetchval(
            "INSERT INTO kept_object AS kept (owner, module, key_folded, audience, created_seq, version, last_updated, body, "
            "revoked) VALUES ($1, $2, $3, $4, nextval('kept_object_seq'), 1, now(), $5, is_revoked($2, $5)) "
            "ON CONFLICT (owner, module, key_folded, audience) "
            "DO UPDATE SET version = kept.version + 1, body = excluded.body, revoked = excluded.revoked RETURNING version",
            *of.columns,
            body,
        )
        await transaction.execute(
            "INSERT INTO change_log (changed_at, owner, module, key_folded, audience, version) "
            "VALUES (now(), $1, $2, $3, $4, $5)",
            *of.columns,
            version,
        )

    async def commit(self, transaction: Any) -> None:
        await transaction.execute("COMMIT")
        await transaction.close()

    async def expire(self) -> None:
        await self.admin.execute("UPDATE destination SET lease_until = clock_timestamp() - interval '1 second'")

    async def time_passes(self) -> None:
        for column in ("failing_since", "next_attempt_at"):
            await self.admin.execute(f"UPDATE destination SET {column} = {column} - interval '100000 s'")
        await self.admin.execute("UPDATE undelivered SET next_attempt_at = next_attempt_at - interval '100000 s'")

    async def leaves_and_comes_back(self, party: PartyId) -> None:
        for state in ("SUSPENDED", "REGISTERED"):
            await self.admin.execute(
                "UPDATE party SET state = $1 WHERE (country_code, party_id) = ($2, $3)", state, *party
            )
            await self.store.beat(ONE)

    async def offline(self, party: PartyId, days: float | None) -> None:
        await self.admin.execute(
            "UPDATE platform SET connection = $2, last_seen = clock_timestamp() - coalesce($3::float8, 6) * interval '1 day' "
            "WHERE platform_id = (SELECT platform_id FROM destination WHERE party = $1)",
            str(party),
            "CONNECTED" if days is None else "OFFLINE",
            days,
        )

    async def another_cluster(self) -> None:
        await self.admin.execute("UPDATE destination SET system_identifier = system_identifier + 1")


@pytest.fixture(params=["memory", "postgres"])
async def here(request: pytest.FixtureRequest, hub_database: FreshDatabase) -> AsyncIterator[Setting]:
    if request.param == "memory":
        yield InMemory()
        return
    async with world(hub_database) as built:
        admin = await asyncpg.connect(hub_database.admin_dsn)
        await admin.execute("SELECT ensure_change_log_partition(now())")
        store = PostgresStore(built.net.database, lease_seconds=LEASE)
        await store.beat(ONE)
        await admin.execute("UPDATE destination SET cursor_xid = '0', cursor_seq = 0")
        yield InPostgres(store, admin, hub_database.admin_dsn)
        await admin.close()


async def put(here: Setting, *names: str | ObjectKey, body: bytes = b"{}") -> None:
    """Each in a transaction of its own."""
    for name in names:
        own = await here.begin()
        await here.write(own, key(name) if isinstance(name, str) else name, body)
        await here.commit(own)


async def leased(here: Setting, worker: UUID = ONE, party: PartyId = EMSP) -> Destination:
    [lease] = await here.store.take(worker, [str(party)])
    return lease.destination


async def names(here: Setting, after: Position = START, upto: Position | None = None, most: int = 100) -> list[str]:
    return [one.key.key_folded for one in (await here.store.changes(after, upto, most)).changes]


async def walked(here: Setting, place: tuple[str, ...] | None = ()) -> list[str]:
    """All that a walk shows from there on."""
    seen: list[str] = []
    while place is not None:
        found, place = await here.store.walk(place)
        seen += [one.key.key_folded for one in found]
    return seen


# The log


@pytest.mark.promise("N-4")
async def test_nothing_above_the_oldest_transaction_is_shown_and_nothing_below_is_lost(here: Setting) -> None:
    early, late = await here.begin(), await here.begin()
    await here.write(late, key("LATE"))
    await here.write(early, key("EARLY"))
    await here.commit(late)
    first = await here.store.changes(START, None, 100)
    assert [one.key.key_folded for one in first.changes] == []
    await here.commit(early)
    assert await names(here, first.end) == ["EARLY", "LATE"]


async def test_a_window_shows_each_object_once_by_its_newest_row(here: Setting) -> None:
    await put(here, "A", "B", "A", "C", "A")
    window = await here.store.changes(START, None, 100)
    assert [(one.key.key_folded, one.version) for one in window.changes] == [("B", 1), ("C", 1), ("A", 3)]
    assert (window.full, window.gap) == (False, False)
    again = await here.store.changes(window.end, None, 100)
    assert (again.changes, again.end) == ((), window.end)


async def test_what_is_not_for_everybody_is_not_shown_but_read_over(here: Setting) -> None:
    await put(here, key("A", audience=str(EMSP)))
    window = await here.store.changes(START, None, 100)
    assert window.changes == ()
    assert window.end > START


async def test_a_capped_window_goes_on_where_it_ended(here: Setting) -> None:
    await put(here, "A", "B", "C", "D")
    window = await here.store.changes(START, None, 2)
    assert ([one.key.key_folded for one in window.changes], window.full) == (["A", "B"], True)
    assert await names(here, window.end) == ["C", "D"]


async def test_revoked_tokens_are_found_ahead_of_everything_as_they_are_now(here: Setting) -> None:
    """Neither one that is for one party, nor one that is valid again."""
    stolen, again = key("STOLEN", ModuleID.tokens), key("AGAIN", ModuleID.tokens)
    await put(here, "A", again, key("MINE", ModuleID.tokens, str(EMSP)), stolen, body=REVOKED)
    await put(here, stolen, body=b'{"whitelist":"NEVER","valid":true}')
    await put(here, again, "B", key("VALID", ModuleID.tokens), body=b'{"valid":true,"whitelist":"ALWAYS"}')
    window = await here.store.revoked(START)
    assert [(one.key, one.version, one.revoked) for one in window.changes] == [(stolen, 2, True)]
    assert not window.full
    assert await names(here, window.end) == []
    own = await here.begin()
    await here.write(own, again, REVOKED)
    assert (await here.store.revoked(window.end)).changes == ()
    await here.commit(own)
    assert [one.key for one in (await here.store.revoked(window.end)).changes] == [again]


async def test_revoked_tokens_are_looked_for_a_stretch_at_a_time(
    here: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changelog, "TOKEN_ROWS", 3)
    if isinstance(here, InMemory):
        here.database.window_rows = 3
    for number in range(7):
        token = key(f"T{number}", ModuleID.tokens)
        await put(here, "L", token, body=REVOKED if number % 2 else b"{}")
    place, stretches, full = START, [], True
    while full:
        window = await here.store.revoked(place)
        stretches.append([one.key.key_folded for one in window.changes])
        place, full = window.end, window.full
    assert stretches == [["T1"], ["T3", "T5"], []]


@pytest.mark.promise("N-4")
async def test_nothing_revoked_above_the_oldest_transaction_is_shown_and_nothing_below_is_lost(
    here: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changelog, "TOKEN_ROWS", 1)
    early, late = await here.begin(), await here.begin()
    await here.write(late, key("LATE", ModuleID.tokens), REVOKED)
    await here.write(early, key("EARLY", ModuleID.tokens), REVOKED)
    await here.commit(late)
    first = await here.store.revoked(START)
    assert first.changes == ()
    await here.commit(early)
    found, window = [], first
    while not found or window.full:
        window = await here.store.revoked(window.end)
        found += [one.key.key_folded for one in window.changes]
    assert found == ["EARLY", "LATE"]


async def test_how_far_revoked_tokens_were_told_is_kept_until_a_restart(here: Setting) -> None:
    mine = await leased(here)
    mine.ahead = Position(90, 9)
    await here.store.release([mine])
    again = await leased(here, OTHER)
    assert (again.ahead, again.cursor, again.reads_ahead_from) == (Position(90, 9), START, Position(90, 9))
    again.cursor = Position(95, 9)
    await here.store.release([again])
    third = await leased(here)
    assert third.reads_ahead_from == Position(95, 9)
    third.ahead = Position(99, 9)
    await here.store.renew([third])
    assert await here.store.restart(third, walk=True) is not None
    assert EMSP in await here.store.renew([replace(third, cursor=START)])
    await here.expire()
    assert (await leased(here, OTHER)).ahead == START


@pytest.mark.rule("F-51")
async def test_how_far_revoked_tokens_were_told_means_nothing_in_another_cluster(here: Setting) -> None:
    mine = await leased(here)
    mine.ahead = Position(90, 9)
    await here.store.release([mine])
    await here.another_cluster()
    assert (await leased(here, OTHER)).ahead == START


async def test_a_window_up_to_another_reader_leaves_out_what_is_overtaken_behind_it(here: Setting) -> None:
    await put(here, "A", "B")
    middle = (await here.store.changes(START, None, 100)).end
    await put(here, "A")
    assert await names(here, START, middle) == ["B"]
    assert (await here.store.changes(START, middle, 100)).end >= middle


async def test_a_walk_shows_every_object_for_everybody(here: Setting) -> None:
    await put(here, *(f"L{number}" for number in range(7)), key("MINE", audience=str(EMSP)))
    assert await walked(here) == [f"L{number}" for number in range(7)]


async def test_a_walk_begins_with_what_is_revoked_and_then_tariffs(
    here: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "WALK_OBJECTS", 5)
    tokens = [key(f"T{number}", ModuleID.tokens) for number in range(12)]
    tariffs = [key(f"R{number}", ModuleID.tariffs) for number in range(6)]
    await put(here, "L0", "L1", *tokens[::2], *tariffs, ObjectKey(EMSP, ModuleID.tariffs, "R6", "*"))
    await put(here, *tokens[1::2], body=REVOKED)
    seen = await walked(here)
    assert seen == ["T1", "T11", "T3", "T5", "T7", "T9", "R6", *(f"R{n}" for n in range(6)), "L0", "L1", *seen[-6:]]
    assert seen[-6:] == ["T0", "T10", "T2", "T4", "T6", "T8"]
    urgent = (await here.store.walk(()))[0]
    assert [one.urgent for one in urgent] == [True] * 5


async def test_a_walk_of_a_program_before_this_one_goes_on_with_everything(here: Setting) -> None:
    await put(here, "L0", key("R0", ModuleID.tariffs), "L1")
    await put(here, key("T0", ModuleID.tokens), body=REVOKED)
    assert await walked(here, (str(CPO), "locations", "L0")) == ["L1", "R0", "T0"]


# Leases


@pytest.mark.rule("Q-12", "F-04")
async def test_a_stale_holder_changes_nothing(here: Setting) -> None:
    await put(here, "A")
    stale = await leased(here)
    assert await here.store.take(OTHER, [str(EMSP)]) == []
    await here.expire()
    assert str(EMSP) in await here.store.free()
    holder = await leased(here, OTHER)
    assert holder.epoch == stale.epoch + 1
    holder.cursor = Position(50, 5)
    assert EMSP in await here.store.renew([holder])
    stale.cursor = Position(40, 4)
    assert await here.store.renew([stale]) == {}
    await here.store.release([stale])
    assert await here.store.restart(stale, walk=True) is None
    assert not await here.store.owe(stale, Pending(key("A"), 1), 1, 5.0, "no")
    assert await here.store.attempts(holder, Pending(key("A"), 1)) == 0
    await here.store.failed(stale, 9, 500.0, "no")
    assert (await here.store.renew([holder]))[EMSP].failures == 0
    await here.expire()
    after = await leased(here, ONE)
    assert (after.cursor, after.failures, after.noted) == (Position(50, 5), 0, False)


@pytest.mark.rule("Q-12", "Q-14")
async def test_who_left_and_came_back_shares_no_lease_with_its_former_holder(here: Setting) -> None:
    former = await leased(here)
    await here.leaves_and_comes_back(EMSP)
    assert await here.store.renew([former]) == {}
    holder = await leased(here, OTHER)
    former.cursor = Position(10**12, 4)
    assert await here.store.renew([former]) == {}
    assert not await here.store.owe(former, Pending(key("A"), 1), 1, 5.0, "no")
    assert EMSP in await here.store.renew([holder])


@pytest.mark.rule("Q-12", "F-51")
async def test_a_renewal_that_a_restart_overtook_moves_no_cursor_back(here: Setting) -> None:
    """Both are on their way at once, or the restart was committed and nobody knows."""
    mine = await leased(here)
    mine.cursor, mine.walk = START, None
    end = await here.store.restart(mine, walk=True)
    assert EMSP in await here.store.renew([mine])
    await here.expire()
    after = await leased(here, OTHER)
    assert (after.cursor, after.walk) == (end, ())
    after.walk = ("NL*CPO", "locations", "L1")
    await here.store.renew([after])
    await here.expire()
    assert (await leased(here, ONE)).walk == after.walk


async def test_what_is_given_back_is_free_at_once_with_its_cursor_and_walk(here: Setting) -> None:
    mine = await leased(here)
    mine.cursor, mine.walk = Position(60, 6), ("NL*CPO", "locations", "L1")
    await here.store.release([mine])
    again = await leased(here, OTHER)
    assert (again.cursor, again.walk, again.read) == (Position(60, 6), ("NL*CPO", "locations", "L1"), Position(60, 6))


async def test_a_restart_begins_before_what_still_runs(here: Setting) -> None:
    mine = await leased(here)
    running = await here.begin()
    await here.write(running, key("RUNNING"))
    end = await here.store.restart(mine, walk=True)
    await here.commit(running)
    assert end is not None
    assert await names(here, end) == ["RUNNING"]
    await here.expire()
    assert (await leased(here, OTHER)).walk == ()


# Failures and debts


@pytest.mark.rule("Q-01")
async def test_failing_is_remembered_until_a_success_and_a_call_ends_only_the_back_off(here: Setting) -> None:
    mine = await leased(here)
    assert not await here.store.failed(mine, 4, 300.0, "gone")
    assert await here.store.seconds_failing(mine) < 60
    await here.expire()
    [lease] = await here.store.take(OTHER, [str(EMSP)])
    assert (lease.destination.failures, lease.destination.noted) == (4, True)
    assert lease.wait_seconds is not None
    assert lease.wait_seconds > 200
    await here.store.clear_backoff([lease.destination.platform_id])
    assert (await here.store.renew([lease.destination]))[EMSP].failures == 0
    await here.expire()
    [cleared] = await here.store.take(ONE, [str(EMSP)])
    assert (cleared.wait_seconds, cleared.destination.noted) == (None, True)
    await here.store.succeeded(cleared.destination)
    await here.expire()
    assert not (await leased(here, OTHER)).noted


@pytest.mark.rule("Q-01")
async def test_five_days_of_failure_pause(here: Setting) -> None:
    mine = await leased(here)
    for _ in range(4):
        assert not await here.store.failed(mine, 3, 900.0, "gone")
        await here.time_passes()
    await here.time_passes()
    assert await here.store.failed(mine, 3, 900.0, "gone")
    assert (await here.store.renew([mine]))[EMSP].paused


@pytest.mark.rule("Q-01")
async def test_who_is_offline_for_five_days_is_paused_once_and_only_under_its_lease(here: Setting) -> None:
    mine = await leased(here)
    for days in (None, 4.9):
        await here.offline(EMSP, days)
        assert await here.store.pause_absent([mine], "gone") == []
    await here.offline(EMSP, 5.1)
    assert await here.store.pause_absent([replace(mine, epoch=mine.epoch - 1)], "gone") == []
    assert not (await here.store.renew([mine]))[EMSP].paused
    assert await here.store.pause_absent([mine], "gone") == [EMSP]
    assert (await here.store.renew([mine]))[EMSP].paused
    assert await here.store.pause_absent([mine], "gone") == []


@pytest.mark.rule("Q-08")
async def test_a_debt_is_due_counted_and_settled_by_the_newest_version_only(here: Setting) -> None:
    await put(here, "A", "A")
    mine, debt = await leased(here), Pending(key("A"), 1)
    assert await here.store.owe(mine, debt, 2, 1000.0, "no")
    assert await here.store.owing(mine) == {key("A")}
    assert await here.store.owed({EMSP: True}) == []
    await here.time_passes()
    assert await here.store.owed({EMSP: True}) == [(EMSP, replace(debt, owed=True))]
    assert await here.store.attempts(mine, debt) == 2
    assert await here.store.attempts(mine, Pending(key("A"), 2)) == 0
    assert not await here.store.settle(mine, key("A"), 1)
    assert await here.store.owing(mine) == {key("A")}
    assert await here.store.settle(mine, key("A"), 2)
    assert await here.store.settle(mine, key("A"), 2)
    assert await here.store.owing(mine) == set()


async def test_of_what_is_due_a_party_gets_what_is_revoked_first_and_only_that_while_it_is_busy(
    here: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "MOST_OWED", 3)
    stolen = key("STOLEN", ModuleID.tokens)
    await put(here, "A", "B", "C", "D", ObjectKey(EMSP, ModuleID.locations, "E", "*"))
    await put(here, stolen, body=REVOKED)
    mine = await leased(here)
    for number, of in enumerate((key("A"), key("B"), key("C"), key("D"), stolen)):
        await here.store.owe(mine, Pending(of, 1), 1, float(number), "no")
    await here.time_passes()
    assert await here.store.owed({EMSP: False}) == [(EMSP, Pending(stolen, 1, owed=True, urgent=True))]
    due = await here.store.owed({EMSP: True})
    assert [(one.key.key_folded, one.urgent) for _, one in due] == [("STOLEN", True), ("A", False), ("B", False)]


async def test_one_party_that_is_owed_much_keeps_no_other_waiting(
    here: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "MOST_OWED", 3)
    await put(here, "A", "B", "C", "D")
    mine, other = await leased(here), await leased(here, party=CPO)
    for name in "ABCD":
        await here.store.owe(mine, Pending(key(name), 1), 1, 1.0, "no")
    await here.store.owe(other, Pending(key("A"), 1), 1, 900.0, "no")
    await here.time_passes()
    assert CPO in [party for party, _ in await here.store.owed({EMSP: True, CPO: True})]


async def test_a_quarantined_debt_is_never_due(here: Setting) -> None:
    await put(here, "A")
    mine = await leased(here)
    await here.store.owe(mine, Pending(key("A"), 1), 3, None, "no")
    await here.time_passes()
    assert await here.store.owed({EMSP: True}) == []
    await here.store.restart(mine, walk=False)
    assert await here.store.owing(mine) == set()


async def test_the_state_of_an_object_is_the_committed_one(here: Setting) -> None:
    await put(here, "A", body=b'{"n":1}')
    own = await here.begin()
    await here.write(own, key("A"), b'{"n":2}')
    before = await here.store.state(key("A"))
    await here.commit(own)
    after = await here.store.state(key("A"))
    assert before is not None
    assert after is not None
    assert (before.version, before.body, after.version, after.body) == (1, b'{"n":1}', 2, b'{"n":2}')
    assert await here.store.state(key("NONE")) is None


@pytest.mark.rule("Q-01")
async def test_a_position_before_the_beginning_of_the_log_has_a_gap(
    here: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put(here, "A", "B")
    first = (await here.store.changes(START, None, 1)).end

    async def floor(connection: Any) -> Position:
        return first

    monkeypatch.setattr(changelog, "floor", floor)
    if isinstance(here, InMemory):
        here.database.floor = first
    assert (await here.store.changes(START, None, 100)).gap
    assert not (await here.store.changes(first, None, 100)).gap
