"""SQL of what is listed: counters, the page map, and which copy an audience finds; each function is one statement."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Any, NamedTuple

from hub.objects.repository import ObjectKey

PAGE_MAP_STEP = 1000
OWNER = "="
"""The audience under which each object of an owner is counted once."""


@dataclass(frozen=True, order=True)
class CountChange:
    audience: str
    count: int
    listed: int


class Listed(NamedTuple):
    audience: str
    created_seq: int


async def lock_owner(connection: Any, owner: str, module: str) -> None:
    """Hold everybody else off who wants to add or remove an object of this owner and module."""
    await connection.execute(
        "INSERT INTO object_count AS counted (owner, module, audience, count, listed) VALUES ($1, $2, '=', 0, 0) "
        "ON CONFLICT (owner, module, audience) DO UPDATE SET count = counted.count",
        owner,
        module,
    )


async def count_objects(connection: Any, owner: str, module: str, changes: Sequence[CountChange]) -> dict[str, int]:
    """Move counters; how many each audience has listed afterwards."""
    rows = await connection.fetch(
        "INSERT INTO object_count AS counted (owner, module, audience, count, listed) "
        "SELECT $1, $2, audience, greatest(count, 0), greatest(listed, 0) "
        "FROM unnest($3::text[], $4::bigint[], $5::bigint[]) AS change (audience, count, listed) "
        "ON CONFLICT (owner, module, audience) DO UPDATE SET (count, listed) = ("
        "SELECT counted.count + change.count, counted.listed + change.listed "
        "FROM unnest($3::text[], $4::bigint[], $5::bigint[]) AS change (audience, count, listed) "
        "WHERE change.audience = counted.audience) RETURNING audience, listed",
        owner,
        module,
        *([list(column) for column in zip(*map(astuple, sorted(changes)), strict=True)]),
    )
    return {row["audience"]: row["listed"] for row in rows}


async def has_other_copies(connection: Any, key: ObjectKey) -> bool:
    """Whether the object lives under another audience too."""
    return bool(
        await connection.fetchval(
            "SELECT EXISTS (SELECT FROM kept_object WHERE owner = $1 AND module = $2 AND key_folded = $3 AND audience <> $4 "
            "AND NOT deleted)",
            *key.columns,
        )
    )


async def list_copy(connection: Any, key: ObjectKey) -> list[Listed]:
    """Show a living copy, unless it is for one party and there is one for everybody."""
    rows = await connection.fetch(
        "UPDATE kept_object SET listed = true WHERE owner = $1 AND module = $2 AND key_folded = $3 AND audience = $4 "
        "AND (audience = '*' OR NOT EXISTS (SELECT FROM kept_object WHERE owner = $1 AND module = $2 AND key_folded = $3 "
        "AND audience = '*' AND NOT deleted)) RETURNING audience, created_seq",
        *key.columns,
    )
    return [Listed(*row) for row in rows]


async def unlist_copy(connection: Any, key: ObjectKey) -> list[Listed]:
    rows = await connection.fetch(
        "UPDATE kept_object SET listed = false WHERE owner = $1 AND module = $2 AND key_folded = $3 AND audience = $4 "
        "AND listed RETURNING audience, created_seq",
        *key.columns,
    )
    return [Listed(*row) for row in rows]


async def list_copies_of_parties(connection: Any, key: ObjectKey, *, listed: bool) -> list[Listed]:
    """Show the living copies for single parties, or hide them behind the one for everybody."""
    owner, module, key_folded, _ = key.columns
    rows = await connection.fetch(
        "UPDATE kept_object SET listed = $4 WHERE owner = $1 AND module = $2 AND key_folded = $3 AND audience <> '*' "
        "AND NOT deleted AND listed <> $4 RETURNING audience, created_seq",
        owner,
        module,
        key_folded,
        listed,
    )
    return [Listed(*row) for row in rows]


async def move_pages_back(connection: Any, owner: str, module: str, entry: Listed) -> None:
    """After an object was listed in the middle: what began a page behind it is now its page's second."""
    await connection.execute(
        "UPDATE object_page AS page SET from_seq = (SELECT max(created_seq) FROM kept_object WHERE owner = $1 AND module = $2 "
        "AND audience = $3 AND listed AND created_seq < page.from_seq) "
        "WHERE owner = $1 AND module = $2 AND audience = $3 AND from_seq > $4",
        owner,
        module,
        *entry,
    )


async def move_pages_on(connection: Any, owner: str, module: str, entry: Listed) -> None:
    """After an object was taken out: every page behind it begins one later."""
    await connection.execute(
        "UPDATE object_page AS page SET from_seq = (SELECT min(created_seq) FROM kept_object WHERE owner = $1 AND module = $2 "
        "AND audience = $3 AND listed AND created_seq > page.from_seq) "
        "WHERE owner = $1 AND module = $2 AND audience = $3 AND from_seq >= $4",
        owner,
        module,
        *entry,
    )


async def begin_page(connection: Any, owner: str, module: str, audience: str, page: int) -> None:
    """The last object listed begins a page."""
    await connection.execute(
        "INSERT INTO object_page (owner, module, audience, page, from_seq) SELECT $1, $2, $3, $4, max(created_seq) "
        "FROM kept_object WHERE owner = $1 AND module = $2 AND audience = $3 AND listed",
        owner,
        module,
        audience,
        page,
    )


async def end_page(connection: Any, owner: str, module: str, audience: str, page: int) -> None:
    """There are not enough objects for this page any more."""
    await connection.execute(
        "DELETE FROM object_page WHERE owner = $1 AND module = $2 AND audience = $3 AND page >= $4",
        owner,
        module,
        audience,
        page,
    )
