"""SQL of the change log; each function is one statement."""

from typing import Any

_NO_END = (2**63, 0)


async def end_of_rows(connection: Any, after: tuple[int, int], upto: tuple[int, int] | None, rows: int) -> Any:
    """The position (xid, seq) of the last of the next `rows` rows, and how many there are; None when there is none."""
    upper = upto or _NO_END
    return await connection.fetchrow(
        "WITH page AS (SELECT xid, seq FROM change_log "
        "WHERE (xid, seq) > ($1::text::xid8, $2::bigint) AND (xid, seq) <= ($3::text::xid8, $4::bigint) "
        "AND xid < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY xid, seq LIMIT $5) "
        "SELECT xid::text, seq, (SELECT count(*) FROM page) AS read_rows FROM page ORDER BY page.xid DESC, seq DESC LIMIT 1",
        str(after[0]),
        after[1],
        str(upper[0]),
        upper[1],
        rows,
    )


async def changes_between(
    connection: Any, after: tuple[int, int], end: tuple[int, int], rows: int, changes: int
) -> list[Any]:
    """The first `changes` of at most `rows` rows that stand for what their object is now, for everybody.

    OFFSET 0 keeps the planner from joining everything before it counts to `changes` (measured: ten times slower).
    """
    return list(
        await connection.fetch(
            "SELECT log.xid::text, log.seq, log.owner, log.module, log.key_folded, log.audience, log.version, kept.revoked "
            "FROM (SELECT * FROM change_log "
            "WHERE (xid, seq) > ($1::text::xid8, $2::bigint) AND (xid, seq) <= ($3::text::xid8, $4::bigint) "
            "ORDER BY xid, seq LIMIT $5) AS log CROSS JOIN LATERAL (SELECT log.module = 'tokens' "
            "AND convert_from(body, 'UTF8')::json ->> 'valid' = 'false' AS revoked FROM kept_object AS own "
            "WHERE own.owner = log.owner AND own.module = log.module AND own.key_folded = log.key_folded "
            "AND own.audience = '*' AND log.audience = '*' AND own.version = log.version OFFSET 0) AS kept "
            "ORDER BY log.xid, log.seq LIMIT $6",
            str(after[0]),
            after[1],
            str(end[0]),
            end[1],
            rows,
            changes,
        )
    )


async def oldest_running(connection: Any) -> str:
    """The oldest transaction that still runs anywhere in the cluster."""
    return str(await connection.fetchval("SELECT pg_snapshot_xmin(pg_current_snapshot())::text"))


async def floor(connection: Any) -> Any:
    """The position (xid, seq) of the last change that was dropped; None also where it means another cluster's transactions."""
    return await connection.fetchrow(
        "SELECT xid::text, seq FROM change_log_floor "
        "WHERE system_identifier = (SELECT system_identifier FROM pg_control_system())"
    )
