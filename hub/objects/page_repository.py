"""SQL of pages; each function is one statement. A Source is what one viewer finds of one owner, in the order of `seq`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, NamedTuple

from hub.objects.listed_repository import PAGE_MAP_STEP

BEGINNING = datetime(1, 1, 1, tzinfo=UTC)
END = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
MOST = 1000
"""No page is longer. Written into the statements, because a limit that is only a parameter is planned anew at every call."""

Place = tuple[str, str, str]
"""(owner, module, audience or viewer), as a Source takes it."""


class Span(NamedTuple):
    """`last_updated` from inclusive, to exclusive (X-31, X-32)."""

    date_from: datetime
    date_to: datetime


@dataclass(slots=True)
class Chunk:
    """Objects of one owner that stand together: the bodies joined by commas, and whether the owner has more behind them."""

    owner: str
    bodies: bytes
    count: int
    last_seq: int
    more: bool


@dataclass(frozen=True)
class Source:
    """`rows` is FROM and WHERE, with $1 owner, $2 module and $3 audience or viewer."""

    rows: str
    seq: str = "k.created_seq"
    last_updated: str = "k.last_updated"
    body: str = "k.body"

    @property
    def columns(self) -> str:
        return f"{self.seq} AS seq, {self.last_updated} AS last_updated, {self.body} AS body"


ONE_AUDIENCE = Source("kept_object AS k WHERE k.owner = $1 AND k.module = $2 AND k.audience = $3 AND k.listed")
"""The copies listed for one audience: `*`, or a viewer where an owner has no copies for everybody."""
OWN_ELSE_EVERYBODYS = Source(
    "kept_object AS k LEFT JOIN kept_object AS v ON k.audience = '*' AND v.owner = $1 AND v.module = $2 AND "
    "v.key_folded = k.key_folded AND v.audience = $3 AND NOT v.deleted "
    "WHERE k.owner = $1 AND k.module = $2 AND k.audience IN ('*', $3) AND k.listed",
    last_updated="coalesce(v.last_updated, k.last_updated)",
    body="coalesce(v.body, k.body)",
)
OF_THE_VIEWER = Source(
    "(SELECT DISTINCT ON (created_seq) created_seq, last_updated, body FROM kept_object WHERE owner = $1 AND module = $2 "
    "AND $3::text <> '' AND NOT deleted ORDER BY created_seq, last_updated DESC, audience) AS k WHERE true"
)
"""Each object of the viewer once, in its newest copy."""


class Start(NamedTuple):
    """Where a chunk begins: `skip` objects behind a seq or, `by_map`, behind the beginning of a page of the map."""

    number: int
    skip: int = 0
    by_map: bool = False

    @classmethod
    def by_the_map(cls, offset: int) -> "Start":
        return cls(*divmod(offset, PAGE_MAP_STEP), by_map=True)


class Spot(NamedTuple):
    """What one statement reads without a look at the counters."""

    source: Source
    place: Place
    start: Start


class Counted(NamedTuple):
    owner: str
    audience: str
    kept: int
    listed: int


_COUNTERS = (
    "SELECT owner, audience, count, listed{nothing} FROM object_count WHERE module = $2 AND audience IN ({audiences}) "
    "UNION ALL SELECT owner, audience, count, listed{nothing} FROM object_count "
    "WHERE module = $2 AND owner = {viewer} AND audience = '='"
)


async def counters(connection: Any, module: str, audiences: tuple[str, str], viewer: str) -> list[Counted]:
    """What owners have for these audiences, and what the viewer owns itself ("" when it does not ask for that)."""
    statement = _COUNTERS.format(nothing="", audiences="$1, $3", viewer="$4")
    one, other = audiences
    return [Counted(*row) for row in await connection.fetch(statement, one, module, other, viewer)]


async def counters_and_chunk(
    connection: Any, audiences: tuple[str, str], viewer: str, spot: Spot, limit: int
) -> tuple[list[Counted], Chunk]:
    """`counters` and `chunk` of one instant."""
    owner, _, _ = spot.place
    number, skip, _ = spot.start
    rows = await connection.fetch(_counters_and_chunk(spot), *spot.place, number, skip, limit, *audiences, viewer)
    counted, chunk = [], Chunk(owner, b"", 0, 0, more=False)
    for found, audience, count, seq, bodies, more in rows:
        if found:
            counted.append(Counted(found, audience, count, seq))
        else:
            chunk = Chunk(owner, bodies, count, seq, more)
    return counted, chunk


async def chunk(connection: Any, spot: Spot, limit: int) -> Chunk:
    """The next `limit` objects from a spot."""
    number, skip, _ = spot.start
    row = await connection.fetchrow(_chunk(spot.source, spot.start), *spot.place, number, skip, limit)
    return Chunk(spot.place[0], *row)


def _counters_and_chunk(spot: Spot) -> str:
    return _with_counters(_chunk(spot.source, spot.start))


@cache
def _with_counters(chunk: str) -> str:
    counters = _COUNTERS.format(nothing=", NULL::bytea, false", audiences="$7, $8", viewer="$9")
    return f"{counters} UNION ALL SELECT '', '', count, seq, bodies, more FROM ({chunk}) AS chunk"  # noqa: S608


def _chunk(source: Source, start: Start) -> str:
    return _AT if start.by_map else _after(source, skipping=start.skip > 0)


@cache
def _after(source: Source, *, skipping: bool) -> str:
    """Behind the seq $4."""
    rows = f"SELECT {source.seq} AS seq, {source.body} AS body FROM {source.rows} AND {source.seq} > $4 ORDER BY {source.seq}"  # noqa: S608
    most = "$5::bigint + $6::bigint" if skipping else str(MOST)
    return _joined(source, f"{rows} LIMIT {most}", "OFFSET $5::bigint")


def _joined(source: Source, rows: str, skip: str = "") -> str:
    """One chunk of `rows` (seq, body), and whether there is more behind it (EXISTS would be planned as a walk through all)."""
    return (
        f"SELECT bodies, count, seq, (SELECT {source.seq} FROM {source.rows} AND {source.seq} > page.seq "  # noqa: S608
        f"ORDER BY {source.seq} LIMIT 1) IS NOT NULL AS more FROM "
        "(SELECT string_agg(body, ',') AS bodies, count(*) AS count, max(seq) AS seq "
        f"FROM (SELECT seq, body FROM ({rows}) AS found {skip} LIMIT $6::bigint) AS shown) AS page"
    )


_LISTED = "FROM kept_object WHERE owner = $1 AND module = $2 AND audience = $3 AND listed AND created_seq >= "
_MAPPED = "SELECT from_seq FROM object_page WHERE owner = $1 AND module = $2 AND audience = $3 AND page = $4"
_WALK = f"SELECT created_seq {_LISTED} coalesce(({_MAPPED}), 0) ORDER BY created_seq LIMIT {PAGE_MAP_STEP}"
_FIRST = f"SELECT created_seq FROM ({_WALK}) AS walk OFFSET $5::bigint LIMIT 1"  # noqa: S608
_AT = _joined(ONE_AUDIENCE, f"SELECT created_seq AS seq, body {_LISTED} ({_FIRST}) ORDER BY created_seq LIMIT {MOST}")
"""By the page map: an offset costs the same anywhere."""


async def seq_before(connection: Any, source: Source, place: Place) -> int:
    """One less than the seq of the first."""
    return int(
        await connection.fetchval(
            f"SELECT coalesce((SELECT {source.seq} FROM {source.rows} ORDER BY {source.seq} LIMIT 1), 1) - 1",  # noqa: S608
            *place,
        )
    )


async def nearest_known(connection: Any, place: Place, offset: int) -> tuple[int, int]:
    """Of OWN_ELSE_EVERYBODYS: (seq, its exact offset) of an object at or shortly before `offset`, from the page maps of both."""
    row = await connection.fetchrow(
        f"""
        WITH known AS (
            SELECT from_seq,
                coalesce(max(page) FILTER (WHERE audience = '*') OVER upwards, 0) * {PAGE_MAP_STEP}
                    + coalesce(max(page) FILTER (WHERE audience = $3) OVER upwards, 0) * {PAGE_MAP_STEP} AS least,
                coalesce(max(from_seq) FILTER (WHERE audience = '*') OVER upwards, 0) AS everybodys,
                coalesce(max(from_seq) FILTER (WHERE audience = $3) OVER upwards, 0) AS own
            FROM object_page WHERE owner = $1 AND module = $2 AND audience IN ('*', $3) WINDOW upwards AS (ORDER BY from_seq)
        )
        SELECT from_seq, least
            + (SELECT count(*) FROM kept_object WHERE owner = $1 AND module = $2 AND audience = '*' AND listed
               AND created_seq >= everybodys AND created_seq < from_seq)
            + (SELECT count(*) FROM kept_object WHERE owner = $1 AND module = $2 AND audience = $3 AND listed
               AND created_seq >= own AND created_seq < from_seq) AS place
        FROM known WHERE least + {PAGE_MAP_STEP} <= $4 ORDER BY from_seq DESC LIMIT 1
        """,  # noqa: S608
        *place,
        offset,
    )
    return (row["from_seq"], row["place"]) if row else (0, 0)


async def first_chunks(connection: Any, module: str, places: Sequence[tuple[str, str]], limit: int) -> list[Chunk]:
    """The first objects of several (owner, audience), one after the other; `limit` of all together."""
    rows = await connection.fetch(
        "SELECT owner, string_agg(body, ',' ORDER BY created_seq) FILTER (WHERE n <= $4::bigint), "
        "count(*) FILTER (WHERE n <= $4::bigint), max(created_seq) FILTER (WHERE n <= $4::bigint), max(n) > $4::bigint "
        "FROM (SELECT o.owner, o.place, k.created_seq, k.body, row_number() OVER (ORDER BY o.place, k.created_seq) AS n "
        "FROM unnest($1::text[], $3::text[]) WITH ORDINALITY AS o (owner, audience, place) "
        "CROSS JOIN LATERAL (SELECT created_seq, body FROM kept_object WHERE owner = o.owner AND module = $2 "
        "AND audience = o.audience AND listed ORDER BY created_seq LIMIT $4::bigint + 1) AS k) AS numbered "
        "WHERE n <= $4::bigint + 1 GROUP BY owner, place ORDER BY place",
        [owner for owner, _ in places],
        module,
        [audience for _, audience in places],
        limit,
    )
    return [Chunk(*row) for row in rows]


async def changed_chunk(
    connection: Any, source: Source, place: Place, span: Span, after: int, skip: int, limit: int, *, few: bool
) -> Chunk:
    """What changed within a span. `few` says that it is quicker to find and sort it than to walk along the list."""
    if few:
        rows = (
            f"SELECT seq, body FROM (SELECT {source.columns} FROM {source.rows} AND {source.last_updated} >= $7 "  # noqa: S608
            f"AND {source.last_updated} < $8 OFFSET 0) AS m WHERE seq > $4 ORDER BY seq OFFSET $5 LIMIT $6::bigint + 1"
        )
    else:
        rows = (
            f"SELECT {source.seq} AS seq, {source.body} AS body FROM {source.rows} AND {source.seq} > $4 "  # noqa: S608
            f"AND ({source.last_updated} >= $7) IS TRUE AND ({source.last_updated} < $8) IS TRUE "
            f"ORDER BY {source.seq} OFFSET $5 LIMIT $6::bigint + 1"
        )
    return Chunk(*await connection.fetchrow(_one_more(rows), *place, after, skip, limit, *span))


def _one_more(rows: str) -> str:
    """One chunk of `rows` (seq, body), which read one more than the limit $6: to look for it apart could walk the whole list."""
    shown = "FILTER (WHERE n <= $6::bigint)"
    return (
        f"SELECT $1, string_agg(body, ',' ORDER BY seq) {shown}, count(*) {shown}, max(seq) {shown}, count(*) > $6::bigint "  # noqa: S608
        f"FROM (SELECT seq, body, row_number() OVER (ORDER BY seq) AS n FROM ({rows}) AS found) AS numbered"
    )


async def count_changed(connection: Any, source: Source, place: Place, span: Span) -> int:
    """How many of one owner changed within a span."""
    return int(
        await connection.fetchval(
            f"SELECT count(*) FROM {source.rows} AND {source.last_updated} >= $4 AND {source.last_updated} < $5",  # noqa: S608
            *place,
            *span,
        )
    )


async def counts_changed(connection: Any, module: str, places: Sequence[tuple[str, str]], span: Span) -> dict[str, int]:
    """The same for many (owner, audience) of ONE_AUDIENCE."""
    rows = await connection.fetch(
        "SELECT o.owner, (SELECT count(*) FROM kept_object AS k WHERE k.owner = o.owner AND k.module = $2 "
        "AND k.audience = o.audience AND k.listed AND k.last_updated >= $4 AND k.last_updated < $5) AS count "
        "FROM unnest($1::text[], $3::text[]) AS o (owner, audience)",
        [owner for owner, _ in places],
        module,
        [audience for _, audience in places],
        *span,
    )
    return {row["owner"]: row["count"] for row in rows}


async def find_owners(
    connection: Any, module: str, key_folded: str, viewer: str, audiences: Sequence[str]
) -> list[str]:
    """Who has such an object: for these audiences, or as the viewer itself ("" when it does not ask for that)."""
    rows = await connection.fetch(
        "SELECT DISTINCT owner FROM kept_object WHERE module = $1 AND key_folded = $2 "
        "AND (owner = $3 OR audience = ANY($4)) AND NOT deleted ORDER BY owner",
        module,
        key_folded,
        viewer,
        audiences,
    )
    return [row["owner"] for row in rows]


async def find_copy(connection: Any, owner: str, module: str, key_folded: str, viewer: str) -> bytes | None:
    """The viewer's own copy, else everybody's."""
    body: bytes | None = await connection.fetchval(
        "SELECT body FROM kept_object WHERE owner = $1 AND module = $2 AND key_folded = $3 AND audience IN ($4, '*') "
        "AND NOT deleted ORDER BY audience = '*' LIMIT 1",
        owner,
        module,
        key_folded,
        viewer,
    )
    return body


async def find_own_copy(connection: Any, owner: str, module: str, key_folded: str) -> bytes | None:
    """The newest copy of an object of this owner."""
    body: bytes | None = await connection.fetchval(
        "SELECT body FROM kept_object WHERE owner = $1 AND module = $2 AND key_folded = $3 AND NOT deleted "
        "ORDER BY last_updated DESC, audience LIMIT 1",
        owner,
        module,
        key_folded,
    )
    return body
