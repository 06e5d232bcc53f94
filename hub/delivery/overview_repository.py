"""SQL of what an operator sees of delivery and does about it; each function is one statement."""

from typing import Any

MOST_COUNTED = 10_000


async def destinations(connection: Any) -> list[Any]:
    """Every receiving party: how far behind (at most 10,000 changes are counted), how it fares, and what it is owed."""
    return list(
        await connection.fetch(
            "SELECT own.party, CASE WHEN own.state = 'PAUSED' THEN 'PAUSED' "
            "WHEN own.walk_after IS NOT NULL OR own.system_identifier <> (SELECT system_identifier FROM pg_control_system()) "
            "THEN 'NEEDS_FULL_SYNC' ELSE own.state END AS state, log.changes_behind, log.oldest_change, own.failures, "
            "own.failing_since, own.next_attempt_at AS next_attempt, owed.owed, owed.quarantined, own.last_error "
            "FROM destination AS own CROSS JOIN LATERAL (SELECT count(*) AS changes_behind, min(changed_at) AS oldest_change "
            "FROM (SELECT changed_at FROM change_log WHERE (xid, seq) > (own.cursor_xid, own.cursor_seq) AND audience = '*' "
            "ORDER BY xid, seq LIMIT $1) AS ahead) AS log CROSS JOIN LATERAL (SELECT count(*) AS owed, "
            "count(*) FILTER (WHERE next_attempt_at IS NULL) AS quarantined FROM undelivered "
            "WHERE undelivered.party = own.party) AS owed ORDER BY own.party",
            MOST_COUNTED,
        )
    )


async def debts(connection: Any, party: str, most: int = 1000) -> list[Any]:
    """The objects one party is owed and why, the quarantined ones first."""
    return list(
        await connection.fetch(
            "SELECT owner, module, key_folded AS key, version, attempts, next_attempt_at AS next_attempt, "
            "last_error AS reason FROM undelivered WHERE party = $1 "
            "ORDER BY next_attempt_at NULLS FIRST, owner, module, key_folded LIMIT $2",
            party,
            most,
        )
    )


async def pause(connection: Any, party: str) -> str | None:
    """Send nothing until it is resumed; the party, None when there is no such destination."""
    name: str | None = await connection.fetchval(
        "UPDATE destination SET state = 'PAUSED' WHERE party = $1 RETURNING party", party
    )
    return name


async def resume(connection: Any, party: str) -> str | None:
    """Go on at once, as if it had never failed; the party, None when there is no such destination."""
    name: str | None = await connection.fetchval(
        "UPDATE destination SET state = 'ACTIVE', failures = 0, failing_since = NULL, next_attempt_at = NULL, last_error = '' "
        "WHERE party = $1 RETURNING party",
        party,
    )
    return name


async def end_backoff(connection: Any, party: str) -> str | None:
    """Try again at once; the party, None when there is no such destination."""
    name: str | None = await connection.fetchval(
        "UPDATE destination SET failures = 0, next_attempt_at = NULL WHERE party = $1 RETURNING party", party
    )
    return name


async def release_debts(connection: Any, party: str, module: str | None, key: str | None) -> int:
    """Make what a party is owed due now, quarantined or not, with all its attempts before it; how many objects."""
    return int(
        await connection.fetchval(
            "WITH released AS (UPDATE undelivered SET next_attempt_at = clock_timestamp(), attempts = 0 WHERE party = $1 "
            "AND ($2::text IS NULL OR module = $2) AND ($3::text IS NULL OR key_folded = upper($3)) RETURNING true) "
            "SELECT count(*) FROM released",
            party,
            module,
            key,
        )
    )
