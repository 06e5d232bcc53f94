"""SQL of health and doctor: one statement each, on an asyncpg connection; nothing here changes anything."""

from typing import Any

_HOLDERS = """
SELECT * FROM (
    SELECT 'session' AS kind, datname AS database, pid::text AS name, coalesce(usename, '') AS role,
           coalesce(application_name, '') AS application, extract(epoch FROM now() - xact_start)::bigint AS seconds
    FROM pg_stat_activity
    WHERE (backend_xid IS NOT NULL OR backend_xmin IS NOT NULL) AND pid <> pg_backend_pid()
      AND backend_type NOT IN ('walsender', 'autovacuum worker')
    UNION ALL
    SELECT 'prepared transaction', database, gid, owner, '', extract(epoch FROM now() - prepared)::bigint
    FROM pg_prepared_xacts
    UNION ALL
    SELECT 'replication slot', coalesce(database, ''), slot_name, '', '', NULL
    FROM pg_replication_slots WHERE (xmin IS NOT NULL OR catalog_xmin IS NOT NULL) AND NOT active
) AS holder
WHERE seconds >= $1 OR seconds IS NULL ORDER BY seconds DESC NULLS FIRST LIMIT 5
"""


async def applied_revisions(connection: Any) -> list[str]:
    """How far the tables are; the table is made by the first migration."""
    return [row[0] for row in await connection.fetch("SELECT version_num FROM hub_schema_version")]


async def role_powers(connection: Any) -> Any:
    """Who we are: `name`, `superuser` (or one that no row security binds), `owner` of the tables, `sees_all` sessions."""
    return await connection.fetchrow(
        """
        SELECT current_user AS name, rolsuper OR rolbypassrls AS superuser,
               coalesce((SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = to_regclass('platform')), false)
                   AS owner,
               pg_has_role('pg_read_all_stats', 'USAGE') AS sees_all
        FROM pg_roles WHERE rolname = current_user
        """
    )


async def unsafe_settings(connection: Any) -> list[str]:
    """Settings of the server that are off, and without which a crash of its machine loses what was committed."""
    rows = await connection.fetch(
        "SELECT name FROM pg_settings WHERE name IN ('fsync', 'full_page_writes') AND setting = 'off' ORDER BY name"
    )
    return [row["name"] for row in rows]


async def snapshot_holders(connection: Any, seconds: int) -> list[Any]:
    """Who keeps old row versions and the change log's cursor back for so long: kind, database, name (pid), role, seconds."""
    rows: list[Any] = await connection.fetch(_HOLDERS, seconds)
    return rows


async def running_transactions(connection: Any) -> tuple[str, bool]:
    """The oldest transaction that still writes anywhere in the server, and whether a later one is known."""
    row = await connection.fetchrow(
        "SELECT pg_snapshot_xmin(now_is)::text, pg_snapshot_xmin(now_is) < pg_snapshot_xmax(now_is) "
        "FROM pg_current_snapshot() AS now_is"
    )
    return row[0], row[1]


async def lagging_receivers(connection: Any, seconds: float) -> list[Any]:
    """(party, since, seconds) of connected receivers that are not paused and have not come past a change for so long.

    Of the twenty whose position in the change log is the oldest, each one look at an index.
    """
    rows: list[Any] = await connection.fetch(
        """
        SELECT party, changed_at AS since, extract(epoch FROM now() - changed_at)::bigint AS seconds
        FROM (SELECT party, cursor_xid, cursor_seq FROM destination JOIN platform USING (platform_id)
              WHERE destination.state = 'ACTIVE' AND platform.state = 'REGISTERED' AND platform.connection = 'CONNECTED'
                AND system_identifier = (SELECT system_identifier FROM pg_control_system())
              ORDER BY cursor_xid, cursor_seq LIMIT 20) AS own
        CROSS JOIN LATERAL (SELECT changed_at FROM change_log WHERE (xid, seq) > (own.cursor_xid, own.cursor_seq)
                            ORDER BY xid, seq LIMIT 1) AS next
        WHERE changed_at < now() - make_interval(secs => $1) ORDER BY changed_at
        """,
        seconds,
    )
    return rows


async def open_cdrs(connection: Any, received_seconds: int) -> list[Any]:
    """CDRs whose receiver has not confirmed them: state, owner, receiver, guaranteed, number, oldest; the most first.

    RECEIVED ones count when they have waited for so many seconds: nobody is forwarding them any more.
    """
    rows: list[Any] = await connection.fetch(
        """
        SELECT state, owner, receiver, guaranteed, count(*) AS number, min(changed_at) AS oldest FROM cdr_delivery
        WHERE state IN ('UNDELIVERED', 'IN_DOUBT')
           OR state = 'RECEIVED' AND changed_at < now() - make_interval(secs => $1)
        GROUP BY state, owner, receiver, guaranteed ORDER BY number DESC LIMIT 20
        """,
        float(received_seconds),
    )
    return rows


async def troubled_destinations(connection: Any) -> list[Any]:
    """Receivers an operator has to do with: party, paused, last_error, quarantined (objects that are not tried any more)."""
    rows: list[Any] = await connection.fetch(
        """
        SELECT party, state = 'PAUSED' AS paused, last_error, quarantined FROM destination CROSS JOIN LATERAL (
            SELECT count(*) AS quarantined FROM undelivered AS debt
            WHERE debt.party = destination.party AND next_attempt_at IS NULL) AS counted
        WHERE state = 'PAUSED' OR quarantined > 0 ORDER BY party LIMIT 20
        """
    )
    return rows


async def kept_for_delivery(connection: Any) -> list[Any]:
    """Guaranteed CDRs, not delivered, of months that could be dropped but for them: owner, id, receiver, received_at; the oldest
    first."""
    rows: list[Any] = await connection.fetch(
        """
        SELECT owner, id_folded AS id, receiver, received_at FROM cdr_delivery JOIN cdr_identity USING (owner, id_folded)
        WHERE guaranteed AND state <> 'DELIVERED' AND received_at < now() - interval '366 days'
        ORDER BY received_at LIMIT 20
        """
    )
    return rows


async def missing_partitions(connection: Any) -> list[str]:
    """The partitions tomorrow's rows will need and that are not there; days and months are those of UTC."""
    rows = await connection.fetch(
        """
        SELECT parent || '_' || day AS name
        FROM (SELECT to_char(now() AT TIME ZONE 'UTC' + interval '1 day', 'YYYY_MM_DD') AS day) AS tomorrow,
             unnest(ARRAY['cdr', 'change_log', 'trace']) AS parent
        WHERE to_regclass(parent || '_' || left(day, 7)) IS NULL
          AND (parent = 'cdr' OR to_regclass(parent || '_' || day) IS NULL)
        """
    )
    return [row["name"] for row in rows]


async def hours_since_retention(connection: Any) -> int:
    """Since old partitions were last looked after to the end."""
    return int(
        await connection.fetchval(
            "SELECT extract(epoch FROM clock_timestamp() - ran_at)::bigint / 3600 FROM job WHERE name = 'retention'"
        )
        or 0
    )


async def trace_gaps(connection: Any, days: int) -> Any:
    """`number` of traces that were dropped in the last days, `began_at`, `ended_at`; None when there were none."""
    return await connection.fetchrow(
        "SELECT sum(number)::bigint AS number, min(began_at) AS began_at, max(ended_at) AS ended_at FROM trace_gap "
        "WHERE ended_at > now() - $1 * interval '1 day' HAVING count(*) > 0",
        days,
    )
