"""SQL of many kept objects at once; each function is one statement."""

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


async def lock_living_objects(connection: Any, keys: Mapping[ObjectKey, bool]) -> dict[ObjectKey, Kept]:
    """Those of the copies that live, held against other writers; locked in the order of their keys, as everybody locks many.

    The body is read where the key says so, else it is empty. `last_updated` is what the owner said last.
    """
    asked = list(keys)
    rows = await connection.fetch(
        "SELECT place, CASE WHEN whole THEN body ELSE '' END AS body, version, "
        "coalesce(owner_last_updated, last_updated) AS last_updated, deleted "
        "FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::boolean[]) WITH ORDINALITY "
        "AS asked (owner, module, key_folded, audience, whole, place) "
        "JOIN kept_object AS kept USING (owner, module, key_folded, audience) WHERE NOT deleted "
        "ORDER BY owner, module, key_folded, audience FOR UPDATE OF kept",
        *_columns(asked),
        list(keys.values()),
    )
    return {asked[place - 1]: Kept(*kept) for place, *kept in rows}


async def update_objects(connection: Any, objects: Sequence[Version]) -> None:
    """Write what living objects became; they are locked already, so nobody's newer word can be there (U-33)."""
    keys, *values = zip(*objects, strict=True)
    await connection.execute(
        "UPDATE kept_object AS kept SET version = new.version, last_updated = new.last_updated, body = new.body, "
        "stale = false, owner_last_updated = NULL, correlation_id = new.correlation_id "
        "FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::timestamptz[], $7::bytea[], "
        "$8::text[]) AS new (owner, module, key_folded, audience, version, last_updated, body, correlation_id) "
        "WHERE kept.owner = new.owner AND kept.module = new.module AND kept.key_folded = new.key_folded "
        "AND kept.audience = new.audience",
        *_columns(keys),
        *map(list, values),
    )


async def log_changes(connection: Any, changes: Sequence[tuple[ObjectKey, int]], changed_at: datetime) -> None:
    """A row for each change, in this order; xid and seq are set by the database."""
    keys, versions = zip(*changes, strict=True)
    await connection.execute(
        "INSERT INTO change_log (changed_at, owner, module, key_folded, audience, version) "
        "SELECT $6, * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[])",
        *_columns(keys),
        list(versions),
        changed_at,
    )


def _columns(keys: Sequence[ObjectKey]) -> list[list[str]]:
    return [list(column) for column in zip(*(key.columns for key in keys), strict=True)]
