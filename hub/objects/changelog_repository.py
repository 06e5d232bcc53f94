"""SQL of the change log; each function is one statement."""

from typing import Any

_NO_END = (2**63, 0)
_NEWEST = (
    "SELECT last[3] AS xid, last[2] AS seq, owner, module, key_folded, '*' AS audience, last[1] AS version FROM ("
    "SELECT owner, module, key_folded, max(ARRAY[version, seq, xid::text::bigint]) AS last FROM change_log "
    "WHERE (xid, seq) > ($1::text::xid8, $2::bigint) AND (xid, seq) <= ($3::text::xid8, $4::bigint) AND audience = '*' "
)
"""The row of the newest version of each object between two positions, to be closed by a GROUP BY."""
_GROUPED = "GROUP BY owner, module, key_folded) AS own ORDER BY last[3], last[2]"
_KEPT = (
    "LATERAL (SELECT revoked FROM kept_object AS own "
    "WHERE own.owner = log.owner AND own.module = log.module AND own.key_folded = log.key_folded AND own.audience = '*' "
)
_TOKENS_AS_KEPT = f"LEFT JOIN {_KEPT} AND log.module = 'tokens' OFFSET 0) AS kept ON true"
"""OFFSET 0 keeps the planner from joining everything before it counts to the limit (measured: ten times slower)."""
_IN_ORDER = (
    "SELECT xid, seq, owner, module, key_folded, audience, version FROM change_log "
    "WHERE (xid, seq) > ($1::text::xid8, $2::bigint) AND (xid, seq) <= ($3::text::xid8, $4::bigint) ORDER BY xid, seq"
)
_IS_KEPT = (
    "EXISTS (SELECT FROM kept_object AS own WHERE own.owner = row.owner AND own.module = row.module "
    "AND own.key_folded = row.key_folded AND own.audience = '*' AND own.version = row.version OFFSET 0)"
)
"""OFFSET 0 again: as a join it is given a cache that is never hit (measured: a fifth more)."""
_BELOW = (
    "SELECT xid::text, seq FROM change_log WHERE (xid, seq) > ($1::text::xid8, $2::bigint) "
    "AND (xid, seq) <= ($3::text::xid8, $4::bigint) AND xid < pg_snapshot_xmin(pg_current_snapshot()) "
)


async def last_row(connection: Any, after: tuple[int, int], upto: tuple[int, int] | None) -> Any:
    """The position (xid, seq) of the last row between the two; None when there is none."""
    upper = upto or _NO_END
    return await connection.fetchrow(
        f"{_BELOW} ORDER BY change_log.xid DESC, seq DESC LIMIT 1", str(after[0]), after[1], str(upper[0]), upper[1]
    )


async def nth_row(connection: Any, after: tuple[int, int], upto: tuple[int, int], rows: int) -> Any:
    """The position of the `rows`-th row between the two; None when there are fewer."""
    return await connection.fetchrow(
        f"{_BELOW} ORDER BY change_log.xid, seq OFFSET $5 LIMIT 1",
        str(after[0]),
        after[1],
        str(upto[0]),
        upto[1],
        rows - 1,
    )


async def allow_memory(connection: Any) -> None:
    """Let this transaction group in memory and by itself: a sort on disk, or helpers, cost four times as much (measured)."""
    await connection.execute(
        "SELECT set_config('work_mem', '48MB', true), set_config('max_parallel_workers_per_gather', '0', true)"
    )


async def read_in_order(connection: Any) -> None:
    """Let this transaction follow an index although the planner expects few rows: it would sort all there are, for every stretch
    of a long log (measured: twenty times slower)."""
    await connection.execute("SELECT set_config('enable_sort', 'off', true)")


async def newest_between(connection: Any, after: tuple[int, int], end: tuple[int, int], changes: int) -> list[Any]:
    """The first `changes` objects by their newest row between the two positions; only Tokens are looked at themselves."""
    return list(
        await connection.fetch(
            f"SELECT log.*, kept.revoked FROM ({_NEWEST} {_GROUPED} LIMIT $5) AS log "  # noqa: S608
            f"{_TOKENS_AS_KEPT} ORDER BY log.xid, log.seq",
            str(after[0]),
            after[1],
            str(end[0]),
            end[1],
            changes,
        )
    )


async def current_between(
    connection: Any, after: tuple[int, int], end: tuple[int, int], changes: int, rows: int
) -> list[Any]:
    """The first `changes` rows, of the first `rows` between the two positions, that no later row has overtaken.

    It stops when it has enough, so that a long absence is not read as a whole for each of its windows.
    """
    return list(
        await connection.fetch(
            f"SELECT log.xid::text, log.seq, owner, module, key_folded, audience, log.version, kept.revoked FROM ("  # noqa: S608
            f"SELECT * FROM ({_IN_ORDER} LIMIT $6) AS row WHERE audience = '*' AND {_IS_KEPT} "
            f"ORDER BY xid, seq LIMIT $5) AS log {_TOKENS_AS_KEPT} ORDER BY log.xid, log.seq",
            str(after[0]),
            after[1],
            str(end[0]),
            end[1],
            changes,
            rows,
        )
    )


async def end_of_tokens(connection: Any, after: tuple[int, int], rows: int) -> Any:
    """The position of the `rows`-th row of a Token after this one, or (not `full`) the end of the log where there are fewer."""
    return await connection.fetchrow(
        "SELECT coalesce(nth.xid, pg_snapshot_xmin(pg_current_snapshot()))::text AS xid, coalesce(nth.seq, 0) AS seq, "
        "nth.xid IS NOT NULL AS full FROM (SELECT) AS always LEFT JOIN (SELECT xid, seq FROM change_log "
        "WHERE module = 'tokens' AND (xid, seq) > ($1::text::xid8, $2::bigint) "
        "AND xid < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY xid, seq OFFSET $3 LIMIT 1) AS nth ON true",
        str(after[0]),
        after[1],
        rows - 1,
    )


async def revoked_between(connection: Any, after: tuple[int, int], end: tuple[int, int]) -> list[Any]:
    """The rows of Tokens between the two positions that are revoked since, and that no later row has overtaken."""
    return list(
        await connection.fetch(
            "SELECT log.xid::text, seq, owner, module, key_folded, audience, version, kept.revoked FROM change_log AS log "  # noqa: S608
            f"CROSS JOIN {_KEPT} AND own.version = log.version AND own.revoked OFFSET 0) AS kept "
            "WHERE module = 'tokens' AND audience = '*' "
            "AND (xid, seq) > ($1::text::xid8, $2::bigint) AND (xid, seq) <= ($3::text::xid8, $4::bigint) ORDER BY log.xid, seq",
            str(after[0]),
            after[1],
            str(end[0]),
            end[1],
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
