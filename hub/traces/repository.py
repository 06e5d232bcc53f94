"""SQL of traces; each function is one statement."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

_FAILED = "(status_code >= 2000 OR http_status >= 400 OR forwarded_outcome <> 'Delivered')"
_WHERE = (
    "($1::text IS NULL OR correlation_id = $1) AND ($2::text IS NULL OR module = $2) "
    "AND ($3::text[] IS NULL OR (object_id = ANY($3) AND object_id <> '')) "
    f"AND ($4::timestamptz IS NULL OR traced_at >= $4) AND (NOT $5 OR {_FAILED})"
)


@dataclass(frozen=True)
class Search:
    """What traces are looked for; None: whatever it is. `object_ids` are folded, or hashed under each key."""

    correlation_id: str | None = None
    module: str | None = None
    object_ids: Sequence[str] | None = None
    since: datetime | None = None
    failed: bool = False

    @property
    def columns(self) -> tuple[Any, ...]:
        return self.correlation_id, self.module, self.object_ids, self.since, self.failed


async def ensure_partition(connection: Any, moment: datetime) -> None:
    """Make the day's partition where it is missing; the owner's function, the application may not create tables."""
    await connection.execute("SELECT ensure_trace_partition($1)", moment)


async def copy_traces(connection: Any, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    """Write many rows at once."""
    await connection.copy_records_to_table("trace", columns=columns, records=rows)


async def add_gap(connection: Any, gap: UUID, began_at: datetime, ended_at: datetime, number: int) -> None:
    """Some traces were dropped."""
    await connection.execute(
        "INSERT INTO trace_gap (gap_id, began_at, ended_at, number) VALUES ($1, $2, $3, $4)",
        gap,
        began_at,
        ended_at,
        number,
    )


async def delete_gaps(connection: Any, before: datetime) -> None:
    """Forget gaps in traces that are not kept any more."""
    await connection.execute("DELETE FROM trace_gap WHERE ended_at < $1", before)


async def find_traces(connection: Any, search: Search, limit: int) -> list[Any]:
    """The newest first."""
    return list(
        await connection.fetch(
            f"SELECT * FROM trace WHERE {_WHERE} ORDER BY traced_at DESC, seq DESC LIMIT $6",  # noqa: S608
            *search.columns,
            limit,
        )
    )


async def find_traces_of(connection: Any, party: str, search: Search, limit: int) -> list[Any]:
    """As `find_traces`, of messages a party sent or got."""
    one = f"(SELECT * FROM trace WHERE {_WHERE} AND %s ORDER BY traced_at DESC, seq DESC LIMIT $6)"  # noqa: S608
    return list(
        await connection.fetch(
            f"{one % 'sender = $7'} UNION ALL {one % 'receiver = $7 AND sender <> $7'} "
            "ORDER BY traced_at DESC, seq DESC LIMIT $6",
            *search.columns,
            limit,
            party,
        )
    )
