"""SQL of metrics: one statement each; nothing here changes anything."""

from typing import Any


async def parties(connection: Any, most: int) -> list[Any]:
    """(party, connected, last_seen) of the parties of registered platforms, by name."""
    return list(
        await connection.fetch(
            "SELECT country_code || '*' || party_id AS party, platform.connection = 'CONNECTED' AS connected, last_seen "
            "FROM party_claim JOIN platform USING (platform_id) WHERE platform.state = 'REGISTERED' "
            "ORDER BY country_code, party_id LIMIT $1",
            most,
        )
    )


async def destinations(connection: Any, most: int, most_owed: int) -> list[Any]:
    """Receivers by name: (party, paused, failing, walking, lag_seconds of the oldest change it was not yet told, owed and
    quarantined objects, of which most_owed are counted)."""
    return list(
        await connection.fetch(
            "SELECT own.party, own.state = 'PAUSED' AS paused, own.failures > 0 AS failing, "
            "own.walk_after IS NOT NULL AS walking, "
            "coalesce(extract(epoch FROM clock_timestamp() - next.changed_at), 0)::float8 AS lag_seconds, "
            "debts.owed, debts.quarantined FROM (SELECT * FROM destination ORDER BY party LIMIT $1) AS own "
            "LEFT JOIN LATERAL (SELECT changed_at FROM change_log "
            "WHERE (xid, seq) > (own.cursor_xid, own.cursor_seq) AND own.system_identifier = "
            "(SELECT system_identifier FROM pg_control_system()) ORDER BY xid, seq LIMIT 1) AS next ON true "
            "CROSS JOIN LATERAL (SELECT count(*) AS owed, count(*) FILTER (WHERE next_attempt_at IS NULL) AS quarantined "
            "FROM (SELECT next_attempt_at FROM undelivered WHERE undelivered.party = own.party LIMIT $2) AS debt) AS debts "
            "ORDER BY own.party",
            most,
            most_owed,
        )
    )


async def unconfirmed_cdrs(connection: Any) -> list[Any]:
    """(state, guaranteed, number, seconds since the oldest changed) of CDRs their receivers have not confirmed."""
    return list(
        await connection.fetch(
            "SELECT state, guaranteed, count(*) AS number, "
            "extract(epoch FROM clock_timestamp() - min(changed_at))::float8 AS seconds "
            "FROM cdr_delivery WHERE state <> 'DELIVERED' GROUP BY state, guaranteed"
        )
    )
