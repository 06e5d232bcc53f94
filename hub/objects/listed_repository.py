"""SQL of what is listed: counters, the page map, and which copy an audience finds; each function is one statement."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from hub.objects.repository import ObjectKey

PAGE_MAP_STEP = 1000
OWNER = "="
"""The audience under which each object of an owner is counted once."""


class Counter(NamedTuple):
    """Of whose list."""

    owner: str
    module: str
    audience: str


class CountChange(NamedTuple):
    counter: Counter
    more: int
    more_listed: int


class Listed(NamedTuple):
    audience: str
    created_seq: int


class PageBegin(NamedTuple):
    counter: Counter
    page: int
    from_seq: int


async def lock_owners(connection: Any, owners: Iterable[tuple[str, str]]) -> None:
    """Hold everybody else off who wants to add or remove an object of these owners' modules; all lock them in this order."""
    await connection.execute(
        "INSERT INTO object_count AS counted (owner, module, audience, count, listed) "
        "SELECT owner, module, '=', 0, 0 FROM unnest($1::text[], $2::text[]) AS locked (owner, module) "
        "ON CONFLICT (owner, module, audience) DO UPDATE SET count = counted.count",
        *map(list, zip(*sorted(owners), strict=True)),
    )


async def count_objects(connection: Any, changes: Sequence[CountChange]) -> dict[Counter, int]:
    """Move counters; how many each has listed afterwards."""
    counters, counts, listed = zip(*sorted(changes), strict=True)
    rows = await connection.fetch(
        "WITH change AS (SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[]) "
        "AS change (owner, module, audience, count, listed)) "
        "INSERT INTO object_count AS counted (owner, module, audience, count, listed) "
        "SELECT owner, module, audience, greatest(count, 0), greatest(listed, 0) FROM change "
        "ON CONFLICT (owner, module, audience) DO UPDATE SET (count, listed) = ("
        "SELECT counted.count + change.count, counted.listed + change.listed FROM change "
        "WHERE (change.owner, change.module, change.audience) = (counted.owner, counted.module, counted.audience)) "
        "RETURNING owner, module, audience, listed",
        *map(list, zip(*counters, strict=True)),
        list(counts),
        list(listed),
    )
    return {Counter(owner, module, audience): total for owner, module, audience, total in rows}


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


async def begin_pages(connection: Any, pages: Sequence[PageBegin]) -> None:
    """Pages behind all that there were."""
    counters, numbers, from_seqs = zip(*pages, strict=True)
    await connection.execute(
        "INSERT INTO object_page (owner, module, audience, page, from_seq) "
        "SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[])",
        *map(list, zip(*counters, strict=True)),
        list(numbers),
        list(from_seqs),
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
