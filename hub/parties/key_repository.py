"""SQL of a change of the secret key: what is stored under which, one statement each, on an asyncpg connection."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from asyncpg import Connection

from hub.parties.repository import Row

SERVING = "ocpi-hub"
"""What a serving process calls itself at the database, with the id of its key behind it."""


async def begin_rotation(connection: Connection, key_id: str, now: datetime) -> None:
    """Everything is to be moved to this key from now on; nothing changes where it is said already."""
    await connection.execute(
        """
        INSERT INTO key_rotation (key_id, began_at) VALUES ($1, $2)
        ON CONFLICT (only_row) DO UPDATE SET key_id = excluded.key_id, began_at = excluded.began_at
        WHERE key_rotation.key_id <> excluded.key_id
        """,
        key_id,
        now,
    )


async def rotation_began(connection: Connection, key_id: str) -> datetime | None:
    """When a rotation to this key began; None where it did not."""
    began_at: datetime | None = await connection.fetchval("SELECT began_at FROM key_rotation WHERE key_id = $1", key_id)
    return began_at


async def move_tokens(
    connection: Connection, former: Sequence[bytes], macs: Sequence[bytes], key_id: str
) -> list[UUID]:
    """Store tokens under `macs` instead of `former`; the platforms of those that were still there, locked before their tokens.

    One whose first use is to end others stays as it is until then.
    """
    rows = await connection.fetch(
        """
        WITH own AS MATERIALIZED (
            SELECT platform_id FROM platform
            WHERE platform_id IN (SELECT platform_id FROM issued_token WHERE mac = ANY($1::bytea[]))
            ORDER BY platform_id FOR NO KEY UPDATE)
        UPDATE issued_token SET mac = moved.mac, key_id = $3
        FROM own, unnest($1::bytea[], $2::bytea[]) AS moved (former, mac)
        WHERE issued_token.mac = moved.former AND issued_token.platform_id = own.platform_id
          AND NOT (retires_others AND first_used_at IS NULL)
        RETURNING issued_token.platform_id
        """,
        list(former),
        list(macs),
        key_id,
    )
    return [row["platform_id"] for row in rows]


async def platforms_after(connection: Connection, after: UUID, most: int) -> list[UUID]:
    """The next platforms that a token of either direction belongs to."""
    rows = await connection.fetch(
        """
        SELECT platform_id FROM platform AS p WHERE platform_id > $1
          AND (outgoing_token IS NOT NULL OR EXISTS (SELECT FROM issued_token AS t WHERE t.platform_id = p.platform_id))
        ORDER BY platform_id LIMIT $2
        """,
        after,
        most,
    )
    return [row["platform_id"] for row in rows]


async def sealed_tokens(connection: Connection, platforms: Sequence[UUID]) -> list[Row]:
    """(platform_id, name, outgoing_token) of those of these platforms that have one."""
    rows: list[Row] = await connection.fetch(
        "SELECT platform_id, name, outgoing_token FROM platform "
        "WHERE platform_id = ANY($1::uuid[]) AND outgoing_token IS NOT NULL ORDER BY platform_id",
        list(platforms),
    )
    return rows


async def store_sealed(connection: Connection, platforms: Sequence[UUID], sealed: Sequence[bytes]) -> None:
    """Tokens of ours sealed anew, for platforms the caller has locked."""
    await connection.execute(
        """
        UPDATE platform SET outgoing_token = anew.sealed FROM unnest($1::uuid[], $2::bytea[]) AS anew (platform_id, sealed)
        WHERE platform.platform_id = anew.platform_id
        """,
        list(platforms),
        list(sealed),
    )


async def issued_tokens(connection: Connection, now: datetime, *, present: str, former: str | None) -> list[Row]:
    """Tokens we gave out that have not expired and that are not under `present`: (name, tokens, lost), the longest unheard
    platform first.

    `lost` are those that no key given recognises. What was issued before the key was noted is under `former`, where there is one.
    """
    rows: list[Row] = await connection.fetch(
        """
        SELECT name, count(*) FILTER (WHERE NOT lost) AS tokens, count(*) FILTER (WHERE lost) AS lost
        FROM (SELECT p.platform_id, p.name, p.last_seen, t.key_id IS NOT NULL AND t.key_id IS DISTINCT FROM $2 AS lost
              FROM issued_token AS t JOIN platform AS p USING (platform_id)
              WHERE t.key_id IS DISTINCT FROM $1 AND ($2::text IS NOT NULL OR t.key_id IS NOT NULL)
                AND (t.expires_at IS NULL OR t.expires_at > $3)) AS other
        GROUP BY platform_id, name, last_seen ORDER BY last_seen NULLS FIRST, platform_id
        """,
        present,
        former,
        now,
    )
    return rows


async def serving_with_another_key(connection: Connection, key_id: str) -> list[Row]:
    """(pid, since) of connections of serving processes that have another newest key, or do not say which; a few."""
    rows: list[Row] = await connection.fetch(
        "SELECT pid, backend_start AS since FROM pg_stat_activity WHERE datname = current_database() "
        "AND application_name ~ $1 AND application_name <> $2 ORDER BY backend_start LIMIT 5",
        f"^{SERVING}( [0-9a-f]{{16}})?$",
        f"{SERVING} {key_id}",
    )
    return rows
