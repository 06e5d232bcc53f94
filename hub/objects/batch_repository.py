"""SQL of many kept objects at once; each function is one statement.

Arrays stand as `(SELECT $1::text[])`, which hides their lengths from the planner: knowing them, it took a plan for these few
objects for cheaper than one for any number, and made it anew for each batch (measured: half of PostgreSQL's time).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from hub.objects.repository import Kept, ObjectKey


class Version(NamedTuple):
    """What an object became."""

    key: ObjectKey
    version: int
    last_updated: datetime
    body: bytes
    correlation_id: str
    stale: bool


class Replacement(NamedTuple):
    """What replaces an object whole: the last of `times` pushes of it that all have this `last_updated`."""

    key: ObjectKey
    last_updated: datetime
    body: bytes
    correlation_id: str
    times: int


async def lock_living_objects(connection: Any, keys: Mapping[ObjectKey, bool]) -> dict[ObjectKey, Kept]:
    """Those of the copies that live, held against other writers; locked in the order of their keys, as everybody locks many.

    The body is read where the key says so, else it is empty. `last_updated` is what the owner said last.
    """
    asked = list(keys)
    rows = await connection.fetch(
        "SELECT place, CASE WHEN whole THEN body ELSE '' END AS body, version, "
        "coalesce(owner_last_updated, last_updated) AS last_updated, deleted, stale "
        "FROM unnest((SELECT $1::text[]), (SELECT $2::text[]), (SELECT $3::text[]), (SELECT $4::text[]), "
        "(SELECT $5::boolean[])) WITH ORDINALITY AS asked (owner, module, key_folded, audience, whole, place) "
        "JOIN kept_object AS kept USING (owner, module, key_folded, audience) WHERE NOT deleted "
        "ORDER BY owner, module, key_folded, audience FOR UPDATE OF kept",
        *_columns(asked),
        list(keys.values()),
    )
    return {asked[place - 1]: Kept(*kept) for place, *kept in rows}


async def replace_objects(connection: Any, objects: Sequence[Replacement], changed_at: datetime) -> dict[int, int]:
    """Replace the copies that live and are not newer (U-33, U-34), and log each push; their versions by their place in `objects`.

    One statement, which may be a transaction by itself. Locked in the order of `lock_living_objects`.
    """
    keys, *values = zip(*objects, strict=True)
    rows = await connection.fetch(
        "WITH new AS MATERIALIZED (SELECT pushed.* FROM unnest((SELECT $1::text[]), (SELECT $2::text[]), "
        "(SELECT $3::text[]), (SELECT $4::text[]), (SELECT $5::timestamptz[]), (SELECT $6::bytea[]), (SELECT $7::text[]), "
        "(SELECT $8::bigint[])) WITH ORDINALITY "
        "AS pushed (owner, module, key_folded, audience, last_updated, body, correlation_id, times, place) "
        "JOIN kept_object AS kept USING (owner, module, key_folded, audience) WHERE NOT kept.deleted "
        "AND coalesce(kept.owner_last_updated, kept.last_updated) <= pushed.last_updated "
        "ORDER BY owner, module, key_folded, audience FOR UPDATE OF kept), "
        "replaced AS (UPDATE kept_object AS kept SET version = kept.version + new.times, last_updated = new.last_updated, "
        "body = new.body, stale = false, owner_last_updated = NULL, correlation_id = new.correlation_id, "
        "revoked = is_revoked(kept.module, new.body) "
        "FROM new WHERE kept.owner = new.owner AND kept.module = new.module AND kept.key_folded = new.key_folded "
        "AND kept.audience = new.audience RETURNING new.place, new.times, kept.owner, kept.module, kept.key_folded, "
        "kept.audience, kept.version), "
        "logged AS (INSERT INTO change_log (changed_at, owner, module, key_folded, audience, version) "
        "SELECT $9, owner, module, key_folded, audience, version - times + nth "
        "FROM replaced, generate_series(1, times) AS nth ORDER BY place, nth) "
        "SELECT place, version FROM replaced",
        *_columns(keys),
        *map(list, values),
        changed_at,
    )
    return {place - 1: version for place, version in rows}


async def add_objects(connection: Any, objects: Sequence[Replacement], changed_at: datetime) -> dict[int, int]:
    """Keep and list what nobody knew, no tombstone and no copy for others either, and log each push; the created_seq of
    each by its place in `objects`, in their order.

    The owners must be locked.
    """
    keys, *values = zip(*objects, strict=True)
    rows = await connection.fetch(
        "WITH new AS MATERIALIZED (SELECT pushed.*, nextval('kept_object_seq') AS created_seq FROM (SELECT * FROM unnest("
        "(SELECT $1::text[]), (SELECT $2::text[]), (SELECT $3::text[]), (SELECT $4::text[]), (SELECT $5::timestamptz[]), "
        "(SELECT $6::bytea[]), (SELECT $7::text[]), (SELECT $8::bigint[])) WITH ORDINALITY "
        "AS given (owner, module, key_folded, audience, last_updated, body, correlation_id, times, place) "
        "WHERE NOT EXISTS (SELECT FROM kept_object AS known WHERE known.owner = given.owner "
        "AND known.module = given.module AND known.key_folded = given.key_folded) ORDER BY place) AS pushed), "
        "added AS (INSERT INTO kept_object (owner, module, key_folded, audience, created_seq, version, last_updated, body, "
        "correlation_id, revoked, listed) SELECT owner, module, key_folded, audience, created_seq, times, last_updated, body, "
        "correlation_id, is_revoked(module, body), true FROM new), "
        "logged AS (INSERT INTO change_log (changed_at, owner, module, key_folded, audience, version) "
        "SELECT $9, owner, module, key_folded, audience, nth FROM new, generate_series(1, times) AS nth ORDER BY place, nth) "
        "SELECT place, created_seq FROM new ORDER BY place",
        *_columns(keys),
        *map(list, values),
        changed_at,
    )
    return {place - 1: created_seq for place, created_seq in rows}


async def update_objects(
    connection: Any, objects: Sequence[Version], changes: Sequence[tuple[ObjectKey, int]], changed_at: datetime
) -> None:
    """Write what living objects became, and log `changes` in this order.

    The objects are locked already, so nobody's newer word can be there (U-33). xid and seq are set by the database.
    """
    keys, *values = zip(*objects, strict=True)
    changed, versions = zip(*changes, strict=True)
    await connection.execute(
        "WITH updated AS (UPDATE kept_object AS kept SET version = new.version, last_updated = new.last_updated, "
        "body = new.body, stale = new.stale, owner_last_updated = NULL, correlation_id = new.correlation_id, "
        "revoked = is_revoked(kept.module, new.body) "
        "FROM unnest((SELECT $1::text[]), (SELECT $2::text[]), (SELECT $3::text[]), (SELECT $4::text[]), (SELECT $5::bigint[]), "
        "(SELECT $6::timestamptz[]), (SELECT $7::bytea[]), (SELECT $8::text[]), (SELECT $9::boolean[])) "
        "AS new (owner, module, key_folded, audience, version, last_updated, body, correlation_id, stale) "
        "WHERE kept.owner = new.owner AND kept.module = new.module AND kept.key_folded = new.key_folded "
        "AND kept.audience = new.audience) "
        "INSERT INTO change_log (changed_at, owner, module, key_folded, audience, version) "
        "SELECT $15, * FROM unnest((SELECT $10::text[]), (SELECT $11::text[]), (SELECT $12::text[]), (SELECT $13::text[]), "
        "(SELECT $14::bigint[]))",
        *_columns(keys),
        *map(list, values),
        *_columns(changed),
        list(versions),
        changed_at,
    )


async def mark_objects_stale(connection: Any, keys: Sequence[ObjectKey]) -> None:
    """Pushes passed that are not kept; the copies are locked already."""
    await connection.execute(
        "UPDATE kept_object AS kept SET stale = true "
        "FROM unnest((SELECT $1::text[]), (SELECT $2::text[]), (SELECT $3::text[]), (SELECT $4::text[])) "
        "AS new (owner, module, key_folded, audience) "
        "WHERE kept.owner = new.owner AND kept.module = new.module AND kept.key_folded = new.key_folded "
        "AND kept.audience = new.audience",
        *_columns(keys),
    )


def _columns(keys: Sequence[ObjectKey]) -> list[list[str]]:
    return [list(column) for column in zip(*(key.columns for key in keys), strict=True)]
