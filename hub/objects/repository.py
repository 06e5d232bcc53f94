"""SQL of kept objects; each function is one statement."""

from datetime import datetime
from typing import Any, NamedTuple

from ocpi_modules.message import PartyId
from ocpi_modules.spec import ModuleID


class ObjectKey(NamedTuple):
    """Where one copy is kept."""

    owner: PartyId
    module: ModuleID
    key_folded: str
    audience: str

    @property
    def columns(self) -> tuple[str, str, str, str]:
        return str(self.owner), str(self.module), self.key_folded, self.audience


class Kept(NamedTuple):
    body: bytes
    version: int
    last_updated: datetime
    deleted: bool
    stale: bool = False


async def lock_object(connection: Any, key: ObjectKey) -> Kept | None:
    """The copy, held against other writers until the transaction ends."""
    row = await connection.fetchrow(
        "SELECT body, version, last_updated, deleted, stale FROM kept_object "
        "WHERE owner = $1 AND module = $2 AND key_folded = $3 AND audience = $4 FOR UPDATE",
        *key.columns,
    )
    return Kept(**dict(row)) if row else None


async def lock_living_object(connection: Any, key: ObjectKey) -> Kept | None:
    """As `lock_object`, but None for a tombstone, which stays unlocked."""
    row = await connection.fetchrow(
        "SELECT body, version, last_updated, deleted, stale FROM kept_object "
        "WHERE owner = $1 AND module = $2 AND key_folded = $3 AND audience = $4 AND NOT deleted FOR UPDATE",
        *key.columns,
    )
    return Kept(**dict(row)) if row else None


async def upsert_object(
    connection: Any,
    key: ObjectKey,
    body: bytes,
    last_updated: datetime,
    correlation_id: str = "",
    *,
    stale: bool = False,
) -> int | None:
    """The new version, or None when the kept copy is newer (U-33); with equal times the last writer wins (U-34)."""
    version: int | None = await connection.fetchval(
        "INSERT INTO kept_object AS kept (owner, module, key_folded, audience, created_seq, version, last_updated, body, "
        "correlation_id, revoked) "
        "VALUES ($1, $2, $3, $4, coalesce((SELECT min(created_seq) FROM kept_object WHERE owner = $1 AND module = $2 "
        "AND key_folded = $3), nextval('kept_object_seq')), 1, $5, $6, $7, is_revoked($2, $6)) "
        "ON CONFLICT (owner, module, key_folded, audience) DO UPDATE SET version = kept.version + 1, "
        "last_updated = excluded.last_updated, body = excluded.body, deleted = false, stale = $8, buried_at = NULL, "
        "owner_last_updated = NULL, correlation_id = excluded.correlation_id, revoked = excluded.revoked "
        "WHERE coalesce(kept.owner_last_updated, kept.last_updated) <= excluded.last_updated RETURNING version",
        *key.columns,
        last_updated,
        body,
        correlation_id,
        stale,
    )
    return version


async def bury_object(connection: Any, key: ObjectKey, correlation_id: str = "") -> int | None:
    """Leave a tombstone; its version, or None when there is no object."""
    version: int | None = await connection.fetchval(
        "UPDATE kept_object SET deleted = true, version = version + 1, buried_at = clock_timestamp(), correlation_id = $5 "
        "WHERE owner = $1 AND module = $2 AND key_folded = $3 AND audience = $4 AND NOT deleted RETURNING version",
        *key.columns,
        correlation_id,
    )
    return version


async def date_tombstones(connection: Any, most: int) -> int:
    """Date those that a program before this one left, so that their time begins; how many there were."""
    return int(
        await connection.fetchval(
            "WITH dated AS (UPDATE kept_object SET buried_at = clock_timestamp() WHERE (owner, module, key_folded, audience) IN ("
            "SELECT owner, module, key_folded, audience FROM kept_object WHERE deleted AND buried_at IS NULL LIMIT $1) "
            "AND deleted RETURNING 1) SELECT count(*) FROM dated",
            most,
        )
    )


async def delete_tombstones(connection: Any, before: datetime, most: int) -> int:
    """Forget tombstones made before; how many were forgotten."""
    return int(
        await connection.fetchval(
            "WITH gone AS (DELETE FROM kept_object WHERE (owner, module, key_folded, audience) IN ("
            "SELECT owner, module, key_folded, audience FROM kept_object WHERE deleted AND buried_at < $1 LIMIT $2) "
            "AND deleted AND buried_at < $1 RETURNING 1) SELECT count(*) FROM gone",
            before,
            most,
        )
    )


async def rewrite_object(connection: Any, key: ObjectKey, body: bytes, last_updated: datetime) -> int | None:
    """The hub's own word about a living object, and its version; what the owner said last is remembered and wins again (U-33)."""
    version: int | None = await connection.fetchval(
        "UPDATE kept_object SET body = $5, last_updated = $6, version = version + 1, "
        "owner_last_updated = coalesce(owner_last_updated, last_updated) "
        "WHERE owner = $1 AND module = $2 AND key_folded = $3 AND audience = $4 AND NOT deleted RETURNING version",
        *key.columns,
        body,
        last_updated,
    )
    return version


async def mark_object_stale(connection: Any, key: ObjectKey, last_updated: datetime | None) -> None:
    """A push passed that is not kept (contracts section 4), no older than the copy as far as is known."""
    await connection.execute(
        "UPDATE kept_object SET stale = true WHERE owner = $1 AND module = $2 AND key_folded = $3 AND audience = $4 "
        "AND coalesce(coalesce(owner_last_updated, last_updated) <= $5, true)",
        *key.columns,
        last_updated,
    )


async def ensure_change_partition(connection: Any, changed_at: datetime) -> None:
    """Make the day's partition of the change log where it is missing."""
    await connection.execute("SELECT ensure_change_log_partition($1)", changed_at)


async def log_change(connection: Any, key: ObjectKey, version: int, changed_at: datetime) -> None:
    """One row however many receivers; xid and seq are set by the database."""
    await connection.execute(
        "INSERT INTO change_log (changed_at, owner, module, key_folded, audience, version) VALUES ($1, $2, $3, $4, $5, $6)",
        changed_at,
        *key.columns,
        version,
    )


async def find_copies(connection: Any, module: str, key_folded: str) -> list[tuple[str, bytes]]:
    """(owner, newest copy) of each owner that has such an object, whoever it was for."""
    rows = await connection.fetch(
        "SELECT DISTINCT ON (owner) owner, body FROM kept_object WHERE module = $1 AND key_folded = $2 AND NOT deleted "
        "ORDER BY owner, last_updated DESC",
        module,
        key_folded,
    )
    return [(row["owner"], row["body"]) for row in rows]


async def find_audiences(connection: Any, owner: PartyId, module: str, key_folded: str) -> list[str]:
    """The parties one object was for; never `*`."""
    rows = await connection.fetch(
        "SELECT audience FROM kept_object WHERE owner = $1 AND module = $2 AND key_folded = $3 AND audience <> '*' "
        "AND NOT deleted",
        str(owner),
        module,
        key_folded,
    )
    return [row["audience"] for row in rows]
