"""SQL of CDRs whose delivery the hub owns; each function is one statement. Times are the database's own clock (Q-06)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from ocpi_modules.message import PartyId


@dataclass(frozen=True)
class Due:
    """A CDR to be posted now."""

    owner: str
    id_folded: str
    receiver: str
    refusals: int
    correlation_id: str
    body: bytes


async def guarantee(connection: Any, owner: PartyId, id_folded: str, receiver: PartyId, correlation_id: str) -> None:
    """From now on the hub delivers this CDR; one that was given up is tried again."""
    await connection.execute(
        "UPDATE cdr_delivery SET guaranteed = true, next_attempt_at = coalesce(next_attempt_at, clock_timestamp()), "
        "refusals = CASE WHEN next_attempt_at IS NULL THEN 0 ELSE refusals END, "
        "correlation_id = CASE correlation_id WHEN '' THEN $4 ELSE correlation_id END "
        "WHERE owner = $1 AND id_folded = $2 AND receiver = $3 AND state <> 'DELIVERED'",
        str(owner),
        id_folded,
        str(receiver),
        correlation_id,
    )


async def claim_due(connection: Any, receivers: Sequence[str], claim: timedelta, limit: int, each: int) -> list[Due]:
    """Take what is due for these receivers, at most `each` of one; nobody else takes it during `claim`. An original goes before
    its credit.

    What a post of its CPO forwards just now is left to that. Each receiver's oldest are looked up by themselves, so that a
    backlog costs nothing, and taken in turns, so that nobody waits behind the backlog of another.
    """
    rows = await connection.fetch(
        "WITH due AS (SELECT owner, id_folded, body FROM (SELECT oldest.*, "
        "row_number() OVER (PARTITION BY given.receiver ORDER BY oldest.next_attempt_at) AS turn "
        "FROM unnest($1::text[]) AS given (receiver) CROSS JOIN LATERAL ("
        "SELECT own.owner, own.id_folded, own.next_attempt_at, cdr.body FROM cdr_delivery AS own "
        "JOIN cdr_identity AS identity USING (owner, id_folded) "
        "JOIN cdr ON (cdr.owner, cdr.id_folded, cdr.received_at) = (own.owner, own.id_folded, identity.received_at) "
        "LEFT JOIN cdr_delivery AS original ON (original.owner, original.id_folded) = (own.owner, cdr.credit_reference_id) "
        "WHERE own.guaranteed AND own.state <> 'DELIVERED' AND own.next_attempt_at <= clock_timestamp() "
        "AND own.receiver = given.receiver AND coalesce(own.attempt_until < clock_timestamp(), true) "
        "AND coalesce(original.state, 'DELIVERED') = 'DELIVERED' "
        "ORDER BY own.next_attempt_at LIMIT $4 FOR UPDATE OF own SKIP LOCKED) AS oldest) AS queued "
        "ORDER BY turn, next_attempt_at LIMIT $3) "
        "UPDATE cdr_delivery AS own SET next_attempt_at = clock_timestamp() + $2::interval, attempt_id = NULL, "
        "attempt_until = NULL FROM due "
        "WHERE (own.owner, own.id_folded) = (due.owner, due.id_folded) "
        "RETURNING own.owner, own.id_folded, own.receiver, own.refusals, own.correlation_id, due.body",
        receivers,
        claim,
        limit,
        each,
    )
    return [Due(**dict(row)) for row in rows]


async def put_off(connection: Any, due: Due, wait: timedelta | None, refusals: int) -> None:
    """When it is tried next; None: not before somebody asks."""
    await connection.execute(
        "UPDATE cdr_delivery SET next_attempt_at = clock_timestamp() + $3::interval, refusals = $4 "
        "WHERE owner = $1 AND id_folded = $2",
        due.owner,
        due.id_folded,
        wait,
        refusals,
    )


async def list_deliveries(
    connection: Any, states: Sequence[str], owner: str | None, receiver: str | None, limit: int
) -> list[Any]:
    """Where CDRs stand, the one that changed last first."""
    return list(
        await connection.fetch(
            "SELECT own.owner, own.id_folded, own.receiver, own.state, own.guaranteed, own.attempts, own.changed_at, "
            "own.next_attempt_at, own.last_error FROM cdr_delivery AS own WHERE own.state = ANY($1::text[]) "
            "AND ($2::text IS NULL OR own.owner = $2) AND ($3::text IS NULL OR own.receiver = $3) "
            "ORDER BY own.changed_at DESC, own.owner, own.id_folded LIMIT $4",
            states,
            owner,
            receiver,
            limit,
        )
    )


async def has_body(connection: Any, owner: PartyId, id_folded: str) -> bool:
    """Whether the CDR can still be posted: its month was not dropped."""
    return bool(
        await connection.fetchval(
            "SELECT EXISTS (SELECT FROM cdr WHERE owner = $1 AND id_folded = $2)", str(owner), id_folded
        )
    )


async def retry(connection: Any, owner: PartyId, id_folded: str) -> str | None:
    """Post it now, and again until it is taken; the state it was in, None when there is no such CDR."""
    state: str | None = await connection.fetchval(
        "UPDATE cdr_delivery SET guaranteed = guaranteed OR state <> 'DELIVERED', refusals = 0, "
        "next_attempt_at = CASE WHEN state <> 'DELIVERED' THEN clock_timestamp() END "
        "WHERE owner = $1 AND id_folded = $2 RETURNING state",
        str(owner),
        id_folded,
    )
    return state


async def give_up(connection: Any, owner: PartyId, id_folded: str, reason: str) -> bool:
    """The hub no longer delivers it, until its CPO posts it again or an operator asks; False when it did not, or has."""
    done = await connection.execute(
        "UPDATE cdr_delivery SET guaranteed = false, next_attempt_at = NULL, last_error = $3, changed_at = clock_timestamp() "
        "WHERE owner = $1 AND id_folded = $2 AND guaranteed AND state <> 'DELIVERED'",
        str(owner),
        id_folded,
        reason,
    )
    return bool(done == "UPDATE 1")
