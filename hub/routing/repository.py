"""SQL of tickets and of what open routing remembers; each function is one statement."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ocpi_modules.message import PartyId


@dataclass(frozen=True)
class StoredTicket:
    """A URL of `asker`, handed to `addressee` as one of ours."""

    reference: str
    kind: str
    module: str
    url: str
    asker: PartyId
    addressee: PartyId
    command: str
    expires_at: datetime


@dataclass(frozen=True)
class Note:
    """What a message teaches about later ones that name no receiver; `kind` and folded `reference` as in `known_route`."""

    kind: str
    reference: str
    expires_at: datetime


@dataclass(frozen=True)
class StoredResult:
    http_status: int
    answer: bytes


async def insert_ticket(
    connection: Any, ticket: StoredTicket, notes: Sequence[Note] = (), now: datetime | None = None
) -> None:
    """Remember a URL and what its request teaches, in one round trip; `now` is needed where there are notes."""
    await connection.execute(
        "WITH noted AS (INSERT INTO known_route AS known (owner, kind, reference_folded, partner, ticket, noted_at, expires_at) "
        "SELECT $6, kind, reference, $5, $1, $9, expires_at "
        "FROM unnest($10::text[], $11::text[], $12::timestamptz[]) AS note (kind, reference, expires_at) "
        "ON CONFLICT (owner, kind, reference_folded, partner) DO UPDATE SET noted_at = excluded.noted_at, "
        "expires_at = greatest(known.expires_at, excluded.expires_at)) "
        "INSERT INTO ticket (reference, kind, module, url, asker, addressee, command, expires_at) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        ticket.reference,
        ticket.kind,
        ticket.module,
        ticket.url,
        str(ticket.asker),
        str(ticket.addressee),
        ticket.command,
        ticket.expires_at,
        now,
        [note.kind for note in notes],
        [note.reference for note in notes],
        [note.expires_at for note in notes],
    )


async def find_ticket(connection: Any, reference: str, now: datetime) -> StoredTicket | None:
    """The ticket, unless it has expired."""
    row = await connection.fetchrow(
        "SELECT reference, kind, module, url, asker, addressee, command, expires_at FROM ticket "
        "WHERE reference = $1 AND expires_at > $2",
        reference,
        now,
    )
    if row is None:
        return None
    fields = dict(row)
    return StoredTicket(**fields | {name: PartyId.read(fields[name]) for name in ("asker", "addressee")})


async def delete_ticket(connection: Any, reference: str) -> None:
    """Forget a URL that reached nobody, and what its request taught."""
    await connection.execute(
        "WITH unlearned AS (DELETE FROM known_route WHERE ticket = $1) DELETE FROM ticket WHERE reference = $1",
        reference,
    )


async def delete_expired_tickets(connection: Any, now: datetime, most: int) -> int:
    """Forget tickets no result can come for any more; how many there were."""
    return int(
        await connection.fetchval(
            "WITH gone AS (DELETE FROM ticket WHERE reference IN (SELECT reference FROM ticket WHERE expires_at <= $1 LIMIT $2) "
            "RETURNING 1) SELECT count(*) FROM gone",
            now,
            most,
        )
    )


async def delete_expired_routes(connection: Any, now: datetime, most: int) -> int:
    """Forget notes nobody comes back to; how many there were."""
    return int(
        await connection.fetchval(
            "WITH gone AS (DELETE FROM known_route WHERE (owner, kind, reference_folded, partner) IN ("
            "SELECT owner, kind, reference_folded, partner FROM known_route WHERE expires_at <= $1 LIMIT $2) "
            "AND expires_at <= $1 RETURNING 1) SELECT count(*) FROM gone",
            now,
            most,
        )
    )


async def find_result(connection: Any, reference: str, body_hash: bytes) -> StoredResult | None:
    """The answer this very result got before."""
    row = await connection.fetchrow(
        "SELECT http_status, answer FROM ticket_result WHERE reference = $1 AND body_hash = $2", reference, body_hash
    )
    return StoredResult(row["http_status"], row["answer"]) if row else None


async def insert_result(connection: Any, reference: str, body_hash: bytes, result: StoredResult) -> None:
    """Remember that this result was delivered."""
    await connection.execute(
        "INSERT INTO ticket_result (reference, body_hash, http_status, answer) VALUES ($1, $2, $3, $4) "
        "ON CONFLICT DO NOTHING",
        reference,
        body_hash,
        result.http_status,
        result.answer,
    )


async def note_route(connection: Any, owner: PartyId, partner: PartyId, note: Note, now: datetime) -> None:
    """Remember that `partner` has to do with something of `owner`."""
    await connection.execute(
        "INSERT INTO known_route AS known (owner, kind, reference_folded, partner, noted_at, expires_at) "
        "VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (owner, kind, reference_folded, partner) DO UPDATE "
        "SET noted_at = excluded.noted_at, expires_at = greatest(known.expires_at, excluded.expires_at)",
        str(owner),
        note.kind,
        note.reference,
        str(partner),
        now,
        note.expires_at,
    )


async def unlearn(connection: Any, ticket: str, kinds: Sequence[str]) -> None:
    """Take back what a request taught that was not taken."""
    await connection.execute("DELETE FROM known_route WHERE ticket = $1 AND kind = ANY($2)", ticket, kinds)


async def find_route_partners(
    connection: Any, owner: PartyId, kind: str, reference: str, now: datetime
) -> list[PartyId]:
    """Who has to do with something of `owner`, the latest first."""
    rows = await connection.fetch(
        "SELECT partner FROM known_route WHERE owner = $1 AND kind = $2 AND reference_folded = $3 AND expires_at > $4 "
        "ORDER BY noted_at DESC",
        str(owner),
        kind,
        reference,
        now,
    )
    return [PartyId.read(row["partner"]) for row in rows]


async def find_route_owners(
    connection: Any, partner: PartyId, kind: str, reference: str, now: datetime
) -> list[PartyId]:
    """Whose it is, among what `partner` has to do with."""
    rows = await connection.fetch(
        "SELECT owner FROM known_route WHERE partner = $1 AND kind = $2 AND reference_folded = $3 AND expires_at > $4",
        str(partner),
        kind,
        reference,
        now,
    )
    return [PartyId.read(row["owner"]) for row in rows]
