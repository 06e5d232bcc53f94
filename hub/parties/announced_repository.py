"""SQL of what the others are told of a party, and of platforms that refuse our token: one statement each."""

from datetime import datetime, timedelta
from uuid import UUID

from asyncpg import Connection

from hub.parties.repository import Row

LEAST_ANNOUNCED = timedelta(minutes=5)
"""How long an announced CONNECTED or OFFLINE stands at least."""


async def announce(
    connection: Connection, platform_id: UUID | None, now: datetime, *, offline_too: bool = True
) -> list[UUID]:
    """Bring the announced states of a platform's parties, or of all, up to date (H-06 to H-09, H-14, F-24).

    A change between CONNECTED and OFFLINE waits until the one before is LEAST_ANNOUNCED old; any other is made at once. Returns
    the platforms whose parties changed; they are locked before their parties, as by everyone. `offline_too=False` announces
    nobody OFFLINE (Q-11).
    """
    rows = await connection.fetch(
        """
        WITH due AS MATERIALIZED (
            SELECT r.country_code, r.party_id, r.role, is_now.status
            FROM platform p JOIN party r USING (platform_id) CROSS JOIN LATERAL (
                SELECT CASE WHEN p.state = 'PLANNED' OR r.state = 'PLANNED' THEN 'PLANNED'
                            WHEN p.state <> 'REGISTERED' OR r.state = 'SUSPENDED' THEN 'SUSPENDED'
                            ELSE p.connection END AS status) AS is_now
            WHERE ($1::uuid IS NULL OR p.platform_id = $1)
              AND r.announced <> is_now.status AND ($4 OR is_now.status <> 'OFFLINE')
              AND (r.announced_at <= $3 OR r.announced NOT IN ('CONNECTED', 'OFFLINE')
                   OR is_now.status NOT IN ('CONNECTED', 'OFFLINE'))
            ORDER BY p.platform_id FOR NO KEY UPDATE OF p, r
        )
        UPDATE party SET announced = due.status, announced_at = $2 FROM due
        WHERE (party.country_code, party.party_id, party.role) = (due.country_code, due.party_id, due.role)
        RETURNING party.platform_id
        """,
        platform_id,
        now,
        now - LEAST_ANNOUNCED,
        offline_too,
    )
    return sorted({row["platform_id"] for row in rows})


async def set_token_refused(connection: Connection, platform_id: UUID, at: datetime | None) -> bool:
    """Since when the platform answers our token with 401; None: it takes it. False when that was known."""
    done = await connection.execute(
        "UPDATE platform SET token_refused_at = $2::timestamptz "
        "WHERE platform_id = $1 AND (token_refused_at IS NULL) <> ($2::timestamptz IS NULL)",
        platform_id,
        at,
    )
    return bool(done == "UPDATE 1")


async def platforms_that_refuse_us(connection: Connection) -> list[Row]:
    """(platform_id, token_refused_at) of registered platforms that answer our token with 401."""
    rows: list[Row] = await connection.fetch(
        "SELECT platform_id, token_refused_at FROM platform "
        "WHERE state = 'REGISTERED' AND token_refused_at IS NOT NULL ORDER BY token_refused_at"
    )
    return rows
