"""SQL of the CDR journal; each function is one statement."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

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
    """With `answer`; None where the hub itself answered for a receiver that did not."""
    answer: bytes | None
    guaranteed: bool
    attempt_id: UUID | None
    """Of who forwards it now."""
    lapsed: bool
    """Who forwarded it is not heard of any more, or nobody does."""

    @property
    def delivered(self) -> bool:
        return self.state == "DELIVERED"

    @property
    def told(self) -> bool:
        """The last attempt came to its end, and what came of it is known."""
        return self.delivered or (self.attempt_id is None and self.answer is not None)


_DELIVERY = (
    "owner, id_folded, receiver, state, reference, location, http_status, answer, guaranteed, attempt_id, "
    "coalesce(attempt_until < clock_timestamp(), true) AS lapsed"
)


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
    connection: Any,
    owner: PartyId,
    id_folded: str,
    receiver: PartyId,
    reference: str,
    now: datetime,
    attempt: UUID | None,
    lease: timedelta,
) -> Delivery:
    """A CDR that was taken and not sent yet; `attempt` is about to forward it."""
    row = await connection.fetchrow(
        "INSERT INTO cdr_delivery (owner, id_folded, receiver, state, reference, attempts, changed_at, attempt_id, "  # noqa: S608
        "attempt_until) VALUES ($1, $2, $3, 'RECEIVED', $4, 0, $5, $6::uuid, "
        "CASE WHEN $6 IS NOT NULL THEN clock_timestamp() + $7::interval END) "
        f"RETURNING {_DELIVERY}",
        str(owner),
        id_folded,
        str(receiver),
        reference,
        now,
        attempt,
        lease,
    )
    return Delivery(**dict(row))


async def find_delivery(connection: Any, owner: PartyId, id_folded: str) -> Delivery | None:
    """The delivery of one CDR."""
    return await _delivery(connection, "owner = $1 AND id_folded = $2", str(owner), id_folded)


async def find_delivery_by_reference(connection: Any, reference: str) -> Delivery | None:
    """The delivery behind a Location of ours."""
    return await _delivery(connection, "reference = $1", reference)


async def lock_delivery(connection: Any, owner: PartyId, id_folded: str) -> Delivery | None:
    """The delivery of one CDR, which nobody else changes or locks until the transaction ends."""
    return await _delivery(connection, "owner = $1 AND id_folded = $2 FOR UPDATE", str(owner), id_folded)


async def _delivery(connection: Any, which: str, *arguments: str) -> Delivery | None:
    row = await connection.fetchrow(f"SELECT {_DELIVERY} FROM cdr_delivery WHERE {which}", *arguments)  # noqa: S608
    return Delivery(**dict(row)) if row else None


async def find_other_credit(connection: Any, owner: PartyId, credited: str, id_folded: str) -> str | None:
    """The id of another Credit CDR for the same original that was taken, or still may be."""
    found: str | None = await connection.fetchval(
        "SELECT own.id_folded FROM cdr JOIN cdr_delivery AS own USING (owner, id_folded) "
        "WHERE cdr.owner = $1 AND cdr.credit_reference_id = $2 AND cdr.id_folded <> $3 "
        "AND (own.state <> 'UNDELIVERED' OR own.guaranteed OR own.attempt_id IS NOT NULL) LIMIT 1",
        str(owner),
        credited,
        id_folded,
    )
    return found


async def claim_attempt(connection: Any, owner: PartyId, id_folded: str, attempt: UUID, lease: timedelta) -> bool:
    """Begin to forward a CDR that nobody forwards; of two at once one does."""
    return bool(
        await connection.fetchval(
            "UPDATE cdr_delivery SET attempt_id = $3, attempt_until = clock_timestamp() + $4::interval "
            "WHERE owner = $1 AND id_folded = $2 AND state <> 'DELIVERED' AND NOT guaranteed "
            "AND (attempt_id IS NULL OR attempt_until < clock_timestamp()) RETURNING true",
            str(owner),
            id_folded,
            attempt,
            lease,
        )
    )


async def prolong_attempt(connection: Any, owner: PartyId, id_folded: str, attempt: UUID, lease: timedelta) -> bool:
    """Its process lives; False when another took over."""
    return bool(
        await connection.fetchval(
            "UPDATE cdr_delivery SET attempt_until = clock_timestamp() + $4::interval "
            "WHERE owner = $1 AND id_folded = $2 AND attempt_id = $3 RETURNING true",
            str(owner),
            id_folded,
            attempt,
            lease,
        )
    )


async def record_attempt(
    connection: Any,
    owner: PartyId,
    id_folded: str,
    attempt: UUID | None,
    state: str,
    now: datetime,
    *,
    location: str | None = None,
    http_status: int | None = None,
    answer: bytes | None = None,
    reason: str = "",
) -> bool:
    """What one attempt led to. DELIVERED is final: a later, slower attempt does not undo it; and whoever was taken for dead and
    followed by another tells that it was taken, or nothing. False: nothing was written."""
    status = await connection.execute(
        "UPDATE cdr_delivery SET state = $4, changed_at = $5, location = $6, http_status = $7, answer = $8, last_error = $9, "
        "attempts = attempts + 1, next_attempt_at = CASE WHEN $4 <> 'DELIVERED' THEN next_attempt_at END, "
        "attempt_id = NULL, attempt_until = NULL WHERE owner = $1 AND id_folded = $2 AND state <> 'DELIVERED' "
        "AND ($4 = 'DELIVERED' OR attempt_id IS NOT DISTINCT FROM $3::uuid)",
        str(owner),
        id_folded,
        attempt,
        state,
        now,
        location,
        http_status,
        answer,
        reason,
    )
    return bool(status == "UPDATE 1")


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
