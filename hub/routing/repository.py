"""SQL of tickets; each function is one statement."""

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
class StoredResult:
    http_status: int
    answer: bytes


async def insert_ticket(connection: Any, ticket: StoredTicket) -> None:
    """Remember a URL."""
    await connection.execute(
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
    return StoredTicket(**fields | {name: party(fields[name]) for name in ("asker", "addressee")})


async def delete_ticket(connection: Any, reference: str) -> None:
    """Forget a URL that reached nobody."""
    await connection.execute("DELETE FROM ticket WHERE reference = $1", reference)


async def delete_expired_tickets(connection: Any, now: datetime) -> None:
    """Forget what no result can come for any more."""
    await connection.execute("DELETE FROM ticket WHERE expires_at <= $1", now)


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


def party(text: str) -> PartyId:
    """`NL*ABC` as a party."""
    country_code, _, party_id = text.partition("*")
    return PartyId.of(country_code, party_id)
