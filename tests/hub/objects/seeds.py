"""Objects put into the hub's store as a push puts them there, without a push."""

from typing import Any

from hub.db.engine import Database
from hub.objects.keep import KeptObjects, Push
from hub.objects.repository import ObjectKey
from ocpi_modules import json, registry
from ocpi_modules.message import PartyId
from ocpi_modules.spec import Method, ModuleID

WHEN = "2026-03-01T12:00:00Z"


def body_of(owner: PartyId, id: str, last_updated: str = WHEN, **fields: Any) -> bytes:
    own = {"country_code": owner.country_code, "party_id": owner.party_id, "id": id, "last_updated": last_updated}
    return json.encode(own | fields)


def push_of(
    owner: PartyId,
    id: str,
    audience: PartyId | str = "*",
    *,
    module: ModuleID = ModuleID.locations,
    method: Method = Method.PUT,
    body: bytes | None = None,
) -> Push:
    key = ObjectKey(owner, module, id.upper(), str(audience))
    return Push(key, registry.MODULES[module], method, {}, body_of(owner, id) if body is None else body)


async def keep(database: Database, objects: KeptObjects, *pushes: Push) -> None:
    """Each in a transaction of its own, each within the deadline of one."""
    for push in pushes:
        async with database.transaction() as connection:
            await objects.apply(connection, push)


async def assert_exact(database: Database, step: int) -> None:
    """The counters and the page map, of that many objects a page, are what counting again makes of what is kept."""
    async with database.connection() as connection:
        for table, columns, where, counted in (
            ("object_page", "page, from_seq", "", _PAGE_MAP),
            ("object_count", "count, listed", "WHERE count > 0", _COUNTS),
        ):
            kept = await connection.fetch(f"SELECT owner, audience, {columns} FROM {table} {where}")
            expected = await connection.fetch(counted.replace("%(step)d", str(step)))
            assert sorted(map(tuple, kept)) == sorted(map(tuple, expected))


_PAGE_MAP = """
    SELECT owner, audience, place / %(step)d, created_seq FROM (SELECT owner, audience, created_seq,
        row_number() OVER (PARTITION BY owner, audience ORDER BY created_seq) - 1 AS place FROM kept_object WHERE listed)
        AS placed
    WHERE place > 0 AND place % %(step)d = 0
"""
_COUNTS = """
    SELECT owner, audience, count(*), count(*) FILTER (WHERE listed) FROM kept_object WHERE NOT deleted GROUP BY 1, 2
    UNION ALL SELECT owner, '=', count(DISTINCT key_folded), count(DISTINCT key_folded) FROM kept_object WHERE NOT deleted
    GROUP BY owner
"""
