"""SQL of the CDR journal; each function is one statement."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hub.objects.page_repository import Source
from ocpi_modules.message import PartyId


@dataclass(frozen=True)
class Identity:
    hash: bytes
    hash_version: int


@dataclass(frozen=True)
class Delivery:
    """What is known of one CDR's way to its receiver."""

    owner: str
    id_folded: str
    receiver: str
    state: str
    reference: str
    location: str | None
    http_status: int | None
    answer: bytes | None
    guaranteed: bool


async def claim_identity(
    connection: Any, owner: PartyId, id_folded: str, digest: bytes, hash_version: int, now: datetime
) -> bool:
    """True for the first; a second waits here until the first's transaction ends, and is False if that one committed."""
    status = await connection.execute(
        "INSERT INTO cdr_identity (owner, id_folded, hash, hash_version, received_at) VALUES ($1, $2, $3, $4, $5) "
        "ON CONFLICT (owner, id_folded) DO NOTHING",
        str(owner),
        id_folded,
        digest,
        hash_version,
        now,
    )
    return bool(status == "INSERT 0 1")


async def find_identity(connection: Any, owner: PartyId, id_folded: str) -> Identity | None:
    """The hash a CDR was taken with."""
    row = await connection.fetchrow(
        "SELECT hash, hash_version FROM cdr_identity WHERE owner = $1 AND id_folded = $2", str(owner), id_folded
    )
    return Identity(row["hash"], row["hash_version"]) if row else None


async def ensure_partition(connection: Any, received_at: datetime) -> None:
    """Make the month's partition where it is missing; the owner's function, the application may not create tables."""
    await connection.execute("SELECT ensure_cdr_partition($1)", received_at)


async def insert_cdr(
    connection: Any,
    owner: PartyId,
    id_folded: str,
    receiver: PartyId,
    *,
    received_at: datetime,
    last_updated: datetime,
    credit_reference_id: str | None,
    body: bytes,
    owner_place: int,
    receiver_place: int,
) -> None:
    """Write the body, once and for ever. The places count the CDRs of the owner, and those of them for this receiver."""
    await connection.execute(
        "INSERT INTO cdr (owner, id_folded, received_at, receiver, last_updated, credit_reference_id, body, owner_place, "
        "receiver_place) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        str(owner),
        id_folded,
        received_at,
        str(receiver),
        last_updated,
        credit_reference_id,
        body,
        owner_place,
        receiver_place,
    )


async def insert_delivery(
    connection: Any, owner: PartyId, id_folded: str, receiver: PartyId, reference: str, now: datetime
) -> None:
    """A CDR that was taken and not sent yet."""
    await connection.execute(
        "INSERT INTO cdr_delivery (owner, id_folded, receiver, state, reference, attempts, changed_at) "
        "VALUES ($1, $2, $3, 'RECEIVED', $4, 0, $5)",
        str(owner),
        id_folded,
        str(receiver),
        reference,
        now,
    )


async def find_delivery(connection: Any, owner: PartyId, id_folded: str) -> Delivery | None:
    """The delivery of one CDR."""
    row = await connection.fetchrow(
        "SELECT owner, id_folded, receiver, state, reference, location, http_status, answer, guaranteed FROM cdr_delivery "
        "WHERE owner = $1 AND id_folded = $2",
        str(owner),
        id_folded,
    )
    return Delivery(**dict(row)) if row else None


async def find_delivery_by_reference(connection: Any, reference: str) -> Delivery | None:
    """The delivery behind a Location of ours."""
    row = await connection.fetchrow(
        "SELECT owner, id_folded, receiver, state, reference, location, http_status, answer, guaranteed FROM cdr_delivery "
        "WHERE reference = $1",
        reference,
    )
    return Delivery(**dict(row)) if row else None


async def record_attempt(
    connection: Any,
    owner: PartyId,
    id_folded: str,
    state: str,
    now: datetime,
    *,
    location: str | None = None,
    http_status: int | None = None,
    answer: bytes | None = None,
    reason: str = "",
) -> None:
    """What one attempt led to. DELIVERED is final: a later, slower attempt does not undo it."""
    await connection.execute(
        "UPDATE cdr_delivery SET state = $3, changed_at = $4, location = $5, http_status = $6, answer = $7, last_error = $8, "
        "attempts = attempts + 1, next_attempt_at = CASE WHEN $3 <> 'DELIVERED' THEN next_attempt_at END "
        "WHERE owner = $1 AND id_folded = $2 AND state <> 'DELIVERED'",
        str(owner),
        id_folded,
        state,
        now,
        location,
        http_status,
        answer,
        reason,
    )


async def find_body(connection: Any, owner: str, id_folded: str) -> bytes | None:
    """The body as received; reads only the identity's own month."""
    body: bytes | None = await connection.fetchval(
        "SELECT body FROM cdr WHERE owner = $1 AND id_folded = $2 AND received_at = "
        "(SELECT received_at FROM cdr_identity WHERE owner = $1 AND id_folded = $2)",
        owner,
        id_folded,
    )
    return body


OF_OWNER = Source(
    "cdr AS k WHERE k.owner = $1 AND $2::text <> '' AND $3::text <> ''", "k.owner_place", "k.last_updated", "k.body"
)
"""The CDRs of an owner, in the order of lists."""
OF_RECEIVER = Source(
    "cdr AS k WHERE k.owner = $1 AND $2::text <> '' AND k.receiver = $3", "k.receiver_place", "k.last_updated", "k.body"
)
"""Those of them for one receiver."""
