"""SQL of the change log; each function is one statement."""

from typing import Any


async def changes_after(
    connection: Any, after: tuple[int, int], upto: tuple[int, int] | None, rows: int, changes: int
) -> list[Any]:
    """Up to `changes` of the next `rows` rows that stand for what their object is now, and always the last row read."""
    upper = upto or (2**63, 0)
    return list(
        await connection.fetch(
            "WITH page AS MATERIALIZED (SELECT xid, seq, owner, module, key_folded, audience, version FROM change_log "
            "WHERE (xid, seq) > ($1::text::xid8, $2::bigint) AND (xid, seq) <= ($3::text::xid8, $4::bigint) "
            "AND xid < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY xid, seq LIMIT $5), "
            "last AS (SELECT xid, seq, (SELECT count(*) FROM page) AS read_rows FROM page ORDER BY xid DESC, seq DESC LIMIT 1) "
            "SELECT page.xid::text, page.seq, page.owner, page.module, page.key_folded, page.audience, page.version, "
            "last.read_rows, kept.version IS NOT NULL AS current, "
            "page.module = 'tokens' AND kept.body IS NOT NULL "
            "AND convert_from(kept.body, 'UTF8')::json ->> 'valid' = 'false' AS revoked "
            "FROM page CROSS JOIN last LEFT JOIN kept_object AS kept ON page.audience = '*' AND kept.owner = page.owner "
            "AND kept.module = page.module AND kept.key_folded = page.key_folded AND kept.audience = page.audience "
            "AND kept.version = page.version "
            "WHERE kept.version IS NOT NULL OR (page.xid, page.seq) = (last.xid, last.seq) "
            "ORDER BY page.xid, page.seq LIMIT $6",
            str(after[0]),
            after[1],
            str(upper[0]),
            upper[1],
            rows,
            changes,
        )
    )


async def oldest_running(connection: Any) -> str:
    """The oldest transaction that still runs anywhere in the cluster."""
    return str(await connection.fetchval("SELECT pg_snapshot_xmin(pg_current_snapshot())::text"))
