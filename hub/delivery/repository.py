"""SQL of destinations, of what they are owed, and of the workers that share them; each function is one statement.

Every change of a destination names the epoch of its lease: what a worker that lost it writes touches nothing (Q-12). Times are
the database's own clock (Q-06).
"""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from hub.objects.repository import ObjectKey


async def add_destinations(connection: Any) -> None:
    """A cursor for each registered party that has none; it begins with what changed since its platform registered, and before
    that with what may have been committed since: a row tells when its transaction began, which lasts a few seconds at most.

    Rows above the oldest running transaction may come from another cluster, and would put the cursor where nothing is ever read.
    Its epochs begin above those of any lease the party had before it left, each of which took a transaction (Q-12, Q-14).
    """
    await connection.execute(
        "INSERT INTO destination (party, platform_id, epoch, system_identifier, cursor_xid, cursor_seq) "
        "SELECT claim.country_code || '*' || claim.party_id, platform.platform_id, pg_current_xact_id()::text::bigint, "
        "(SELECT system_identifier FROM pg_control_system()), "
        "coalesce(first.xid, pg_snapshot_xmin(pg_current_snapshot())), coalesce(first.seq - 1, 0) "
        "FROM party_claim AS claim JOIN platform USING (platform_id) LEFT JOIN LATERAL ("
        "SELECT xid, seq FROM change_log WHERE changed_at >= platform.registered_at - interval '15 seconds' "
        "AND xid < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY xid, seq LIMIT 1) AS first ON true "
        "WHERE platform.state = 'REGISTERED' AND EXISTS (SELECT FROM party WHERE party.state = 'REGISTERED' "
        "AND (party.country_code, party.party_id) = (claim.country_code, claim.party_id)) "
        "AND NOT EXISTS (SELECT FROM destination WHERE party = claim.country_code || '*' || claim.party_id "
        "AND platform_id = claim.platform_id) "
        "ON CONFLICT (party) DO UPDATE SET platform_id = excluded.platform_id"
    )


async def drop_destinations(connection: Any) -> None:
    """Forget the cursors of platforms that left, and of parties they took off their list (Q-14)."""
    await connection.execute(
        "DELETE FROM destination WHERE NOT EXISTS (SELECT FROM party JOIN platform USING (platform_id) "
        "WHERE party.country_code || '*' || party.party_id = destination.party "
        "AND party.state = 'REGISTERED' AND platform.state IN ('REGISTERED', 'SUSPENDED'))"
    )


async def beat(connection: Any, worker: UUID, *, open_to_all: bool) -> None:
    """This worker lives, and lets everybody send to everybody or not."""
    await connection.execute(
        "INSERT INTO delivery_worker (worker, seen_at, open) VALUES ($1, clock_timestamp(), $2) "
        "ON CONFLICT (worker) DO UPDATE SET seen_at = excluded.seen_at, open = excluded.open",
        worker,
        open_to_all,
    )


async def forget_workers(connection: Any, seconds: float) -> None:
    """Take out workers that were not heard of for long."""
    await connection.execute(
        "DELETE FROM delivery_worker WHERE seen_at < clock_timestamp() - $1 * interval '1 second'", seconds
    )


async def live_workers(connection: Any, seconds: float) -> list[UUID]:
    rows = await connection.fetch(
        "SELECT worker FROM delivery_worker WHERE seen_at >= clock_timestamp() - $1 * interval '1 second'", seconds
    )
    return [row["worker"] for row in rows]


async def leave(connection: Any, worker: UUID) -> None:
    """This worker ends; the others share what it had."""
    await connection.execute("DELETE FROM delivery_worker WHERE worker = $1", worker)


async def free_destinations(connection: Any) -> list[str]:
    """Parties nobody holds, or whose holder's time is over."""
    rows = await connection.fetch(
        "SELECT party FROM destination WHERE holder IS NULL OR lease_until < clock_timestamp()"
    )
    return [row["party"] for row in rows]


async def take_leases(connection: Any, worker: UUID, parties: Collection[str], seconds: float) -> list[Any]:
    """Lease those that are still free; every taking is a new epoch."""
    return list(
        await connection.fetch(
            "UPDATE destination SET holder = $1, epoch = epoch + 1, lease_until = clock_timestamp() + $3 * interval '1 second' "
            "WHERE party IN (SELECT party FROM destination WHERE party = ANY($2::text[]) "
            "AND (holder IS NULL OR lease_until < clock_timestamp()) ORDER BY party FOR UPDATE SKIP LOCKED) "
            "RETURNING party, platform_id, epoch, cursor_xid::text, cursor_seq, walk_after, state, failures, "
            "CASE WHEN ahead[1] = system_identifier::text THEN ahead[2:3] END AS ahead, "
            "failing_since IS NOT NULL AS noted, "
            "system_identifier = (SELECT system_identifier FROM pg_control_system()) AS same_cluster, "
            "extract(epoch FROM next_attempt_at - clock_timestamp())::float8 AS wait_seconds",
            worker,
            list(parties),
            seconds,
        )
    )


async def renew_leases(
    connection: Any,
    parties: Sequence[str],
    epochs: Sequence[int],
    xids: Sequence[str],
    seqs: Sequence[int],
    walks: Sequence[str | None],
    aheads: Sequence[str | None],
    seconds: float,
) -> list[Any]:
    """Move the cursors and prolong the leases of these epochs; what is not returned was lost to another worker.

    No cursor goes back: where a restart came in between, what it made of cursor and walk stays.
    `walks` are keys of the object a full walk came to, joined by a line feed, None when there is no walk. `aheads` are positions
    behind the cursor, up to which revoked Tokens were told, spelled likewise; another cluster would not know them.
    """
    return list(
        await connection.fetch(
            "UPDATE destination AS own SET cursor_xid = greatest(given.xid::xid8, own.cursor_xid), "
            "cursor_seq = CASE WHEN (given.xid::xid8, given.seq) < (own.cursor_xid, own.cursor_seq) "
            "THEN own.cursor_seq ELSE given.seq END, "
            "walk_after = CASE WHEN (given.xid::xid8, given.seq) < (own.cursor_xid, own.cursor_seq) "
            "THEN own.walk_after ELSE string_to_array(given.walk, E'\\n') END, "
            "ahead = CASE WHEN (given.xid::xid8, given.seq) < (own.cursor_xid, own.cursor_seq) THEN own.ahead "
            "WHEN given.ahead IS NOT NULL THEN own.system_identifier::text || string_to_array(given.ahead, E'\\n') END, "
            "lease_until = clock_timestamp() + $7 * interval '1 second' "
            "FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bigint[], $5::text[], $6::text[]) "
            "AS given (party, epoch, xid, seq, walk, ahead) "
            "WHERE own.party = given.party AND own.epoch = given.epoch "
            "RETURNING own.party, own.state, own.failures",
            list(parties),
            list(epochs),
            list(xids),
            list(seqs),
            list(walks),
            list(aheads),
            seconds,
        )
    )


async def end_leases(connection: Any, parties: Sequence[str], epochs: Sequence[int]) -> None:
    """Give leases back."""
    await connection.execute(
        "UPDATE destination AS own SET holder = NULL, lease_until = NULL "
        "FROM unnest($1::text[], $2::bigint[]) AS given (party, epoch) "
        "WHERE own.party = given.party AND own.epoch = given.epoch",
        list(parties),
        list(epochs),
    )


async def restart_cursor(connection: Any, party: str, epoch: int, *, walk: bool) -> Any:
    """Put the cursor at the end of this cluster's log; with `walk` every object is to be walked through first (F-51)."""
    return await connection.fetchrow(
        "UPDATE destination SET system_identifier = (SELECT system_identifier FROM pg_control_system()), "
        "cursor_xid = pg_snapshot_xmin(pg_current_snapshot()), cursor_seq = 0, ahead = NULL, "
        "walk_after = CASE WHEN $3 THEN '{}'::text[] END WHERE party = $1 AND epoch = $2 "
        "RETURNING cursor_xid::text, cursor_seq",
        party,
        epoch,
        walk,
    )


async def note_failure(
    connection: Any, party: str, epoch: int, failures: int, seconds: float, reason: str, pause_days: float
) -> str | None:
    """Nothing is tried before `seconds` from now; the state afterwards: PAUSED when it has failed for `pause_days`."""
    state: str | None = await connection.fetchval(
        "UPDATE destination SET failures = $3, failing_since = coalesce(failing_since, clock_timestamp()), "
        "next_attempt_at = clock_timestamp() + $4 * interval '1 second', last_error = $5, "
        "state = CASE WHEN failing_since < clock_timestamp() - $6 * interval '1 day' THEN 'PAUSED' ELSE state END "
        "WHERE party = $1 AND epoch = $2 RETURNING state",
        party,
        epoch,
        failures,
        seconds,
        reason,
        pause_days,
    )
    return state


async def pause_absent(
    connection: Any, parties: Sequence[str], epochs: Sequence[int], days: float, reason: str
) -> list[str]:
    """Those that are PAUSED from now on: OFFLINE, and their platform neither called nor answered for so many days."""
    rows = await connection.fetch(
        "UPDATE destination AS own SET state = 'PAUSED', last_error = $4 "
        "FROM platform, unnest($1::text[], $2::bigint[]) AS given (party, epoch) "
        "WHERE own.party = given.party AND own.epoch = given.epoch AND own.state = 'ACTIVE' "
        "AND platform.platform_id = own.platform_id AND platform.state = 'REGISTERED' AND platform.connection = 'OFFLINE' "
        "AND platform.last_seen < clock_timestamp() - $3 * interval '1 day' RETURNING own.party",
        list(parties),
        list(epochs),
        days,
        reason,
    )
    return [row["party"] for row in rows]


async def note_success(connection: Any, party: str, epoch: int) -> None:
    await connection.execute(
        "UPDATE destination SET failures = 0, failing_since = NULL, next_attempt_at = NULL, last_error = '' "
        "WHERE party = $1 AND epoch = $2",
        party,
        epoch,
    )


async def seconds_failing(connection: Any, party: str) -> float:
    """How long a destination has failed without a success."""
    value = await connection.fetchval(
        "SELECT extract(epoch FROM clock_timestamp() - failing_since)::float8 FROM destination WHERE party = $1", party
    )
    return float(value or 0)


async def clear_backoff(connection: Any, platforms: Collection[UUID]) -> None:
    """A platform that calls is there: what it is owed may be tried at once. How long it has failed is not forgotten."""
    await connection.execute(
        "UPDATE destination SET failures = 0, next_attempt_at = NULL "
        "WHERE platform_id = ANY($1::uuid[]) AND next_attempt_at IS NOT NULL",
        list(platforms),
    )


async def owe(
    connection: Any,
    party: str,
    epoch: int,
    key: ObjectKey,
    version: int,
    attempts: int,
    seconds: float | None,
    reason: str,
) -> bool:
    """Note an object the cursor passes although it was not taken; `seconds` None: not before it changes (Q-08)."""
    return (
        await connection.fetchval(
            "INSERT INTO undelivered "
            "(party, owner, module, key_folded, audience, version, attempts, next_attempt_at, last_error, revoked) "
            "SELECT party, $3, $4, $5, $6, $7, $8, clock_timestamp() + $9::float8 * interval '1 second', $10, "
            "EXISTS (SELECT FROM kept_object AS kept WHERE kept.owner = $3 AND kept.module = $4 AND kept.key_folded = $5 "
            "AND kept.audience = $6 AND kept.revoked) FROM destination WHERE party = $1 AND epoch = $2 "
            "ON CONFLICT (party, owner, module, key_folded, audience) DO UPDATE SET version = excluded.version, "
            "attempts = excluded.attempts, next_attempt_at = excluded.next_attempt_at, last_error = excluded.last_error, "
            "revoked = excluded.revoked, changed_at = clock_timestamp() RETURNING true",
            party,
            epoch,
            *key.columns,
            version,
            attempts,
            seconds,
            reason,
        )
        or False
    )


async def owe_missed(connection: Any, party: str, key: ObjectKey, version: int, reason: str) -> None:
    """Note an object whose direct push did not arrive, due at once; nothing for a party without a cursor."""
    await connection.execute(
        "INSERT INTO undelivered "
        "(party, owner, module, key_folded, audience, version, attempts, next_attempt_at, last_error) "
        "SELECT party, $2, $3, $4, $5, $6, 0, clock_timestamp(), $7 FROM destination WHERE party = $1 "
        "ON CONFLICT (party, owner, module, key_folded, audience) DO UPDATE SET version = excluded.version, attempts = 0, "
        "next_attempt_at = excluded.next_attempt_at, last_error = excluded.last_error, changed_at = clock_timestamp()",
        party,
        *key.columns,
        version,
        reason,
    )


async def owed_state(connection: Any, party: str, key: ObjectKey) -> Any:
    """An object as it is now (body, version, correlation_id) where it is owed to a party; None where it is not, or is stale."""
    return await connection.fetchrow(
        "SELECT kept.body, kept.version, kept.correlation_id FROM undelivered AS own "
        "JOIN kept_object AS kept USING (owner, module, key_folded, audience) "
        "WHERE own.party = $1 AND owner = $2 AND module = $3 AND key_folded = $4 AND audience = $5 "
        "AND NOT kept.deleted AND NOT kept.stale",
        party,
        *key.columns,
    )


async def settle(connection: Any, party: str, key: ObjectKey, version: int) -> bool:
    """`version` was taken: whether nothing is owed any more, as it is unless the object has changed in between."""
    debt = "party = $1 AND owner = $2 AND module = $3 AND key_folded = $4 AND audience = $5"
    return bool(
        await connection.fetchval(
            f"WITH paid AS (DELETE FROM undelivered WHERE {debt} "  # noqa: S608
            "AND NOT EXISTS (SELECT FROM kept_object AS kept WHERE kept.owner = $2 AND kept.module = $3 "
            "AND kept.key_folded = $4 AND kept.audience = $5 AND kept.version > $6) RETURNING 1) "
            f"SELECT EXISTS (SELECT FROM paid) OR NOT EXISTS (SELECT FROM undelivered WHERE {debt})",
            party,
            *key.columns,
            version,
        )
    )


async def owed(connection: Any, parties: Sequence[str], only_revoked: Sequence[bool], most: int) -> list[Any]:
    """What these parties are owed and is due: of each what is revoked, then the longest waiting; each party has its turn."""
    return list(
        await connection.fetch(
            "SELECT asked.party, debt.* FROM unnest($1::text[], $2::boolean[]) AS asked (party, only_revoked) "
            "CROSS JOIN LATERAL (SELECT owner, module, key_folded, audience, version, revoked, "
            "row_number() OVER (ORDER BY revoked DESC, next_attempt_at) AS turn FROM undelivered AS own "
            "WHERE own.party = asked.party AND revoked >= asked.only_revoked AND next_attempt_at <= clock_timestamp() "
            "ORDER BY revoked DESC, next_attempt_at LIMIT $3) AS debt ORDER BY turn LIMIT $3",
            list(parties),
            list(only_revoked),
            most,
        )
    )


async def owing(connection: Any, party: str, most: int) -> list[Any]:
    """The objects a party is owed, due or not."""
    return list(
        await connection.fetch(
            "SELECT owner, module, key_folded, audience FROM undelivered WHERE party = $1 LIMIT $2", party, most
        )
    )


async def attempts_of(connection: Any, party: str, key: ObjectKey, version: int) -> int:
    """How often this version was refused before."""
    value = await connection.fetchval(
        "SELECT attempts FROM undelivered WHERE party = $1 AND owner = $2 AND module = $3 AND key_folded = $4 "
        "AND audience = $5 AND version = $6",
        party,
        *key.columns,
        version,
    )
    return int(value or 0)


async def forgive(connection: Any, party: str) -> None:
    """Owe a party nothing any more: it reads for itself what it missed (`resync = pull`)."""
    await connection.execute("DELETE FROM undelivered WHERE party = $1", party)


async def current_object(connection: Any, key: ObjectKey) -> Any:
    """The object as it is now: body, version, deleted, correlation_id; None when there is none, or when a receiver has a newer
    state than the one that is kept."""
    return await connection.fetchrow(
        "SELECT body, version, deleted, correlation_id FROM kept_object "
        "WHERE owner = $1 AND module = $2 AND key_folded = $3 AND audience = $4 AND NOT stale",
        *key.columns,
    )


_OF_STRETCH = {
    "0": "revoked",
    "1": "module = 'tariffs'",
    "2": "module <> 'tariffs' AND NOT revoked",
    "": "true",
}


async def objects_after(connection: Any, stretch: str, place: Sequence[str], most: int) -> list[Any]:
    """The next objects for everybody of a stretch, in the order of their keys; `place` is (owner, module, key)."""
    return list(
        await connection.fetch(
            "SELECT owner, module, key_folded, audience, version FROM kept_object WHERE audience = '*' "  # noqa: S608
            f"AND {_OF_STRETCH[stretch]} AND (owner, module, key_folded) > ($1, $2, $3) "
            "ORDER BY owner, module, key_folded LIMIT $4",
            *place,
            most,
        )
    )
