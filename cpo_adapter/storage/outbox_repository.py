"""Every statement about what others are to know: our documents, what is to be pushed, and results of commands.

One statement a function; each takes the connection, the caller owns the transaction.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from cpo_adapter.storage.engine import Connection, Row

# documents we own: locations, tariffs, sessions, cdrs


async def put_document(
    connection: Connection, module: str, object_key: str, body: bytes, receiver: str, last_updated: datetime
) -> None:
    """The current state of an object of ours; `receiver` is "NL*TNM" for sessions and CDRs, "" for public ones."""
    await connection.execute(
        """INSERT INTO document (module, object_key, body, receiver, last_updated) VALUES ($1, $2, $3, $4, $5)
           ON CONFLICT (module, object_key) DO UPDATE SET body = $3, receiver = $4, last_updated = $5""",
        module,
        object_key,
        body,
        receiver,
        last_updated,
    )


async def document(connection: Connection, module: str, object_key: str) -> Row | None:
    """One object of ours by its folded id."""
    return await connection.fetchrow("SELECT * FROM document WHERE module = $1 AND object_key = $2", module, object_key)


async def documents(
    connection: Connection,
    module: str,
    receiver: str,
    date_from: datetime | None,
    date_to: datetime | None,
    offset: int,
    limit: int,
) -> list[Row]:
    """A page in creation order of what `receiver` may see (X-31, X-32, X-35); "" sees public objects only."""
    return await connection.fetch(
        """SELECT * FROM document WHERE module = $1 AND receiver IN ('', $2)
               AND ($3::timestamptz IS NULL OR last_updated >= $3) AND ($4::timestamptz IS NULL OR last_updated < $4)
           ORDER BY created_seq OFFSET $5 LIMIT $6""",
        module,
        receiver,
        date_from,
        date_to,
        offset,
        limit,
    )


async def count_documents(
    connection: Connection, module: str, receiver: str, date_from: datetime | None, date_to: datetime | None
) -> int:
    """How many objects the same filters match (X-40)."""
    count: int = await connection.fetchval(
        """SELECT count(*) FROM document WHERE module = $1 AND receiver IN ('', $2)
               AND ($3::timestamptz IS NULL OR last_updated >= $3) AND ($4::timestamptz IS NULL OR last_updated < $4)""",
        module,
        receiver,
        date_from,
        date_to,
    )
    return count


async def insert_cdr(connection: Connection, session_id: UUID, cdr_id: str, body: bytes, at: datetime) -> bool:
    """The one CDR of a session, frozen; False when it was made before (R67)."""
    row = await connection.fetchrow(
        "INSERT INTO cdr (session_id, cdr_id, body, made_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING RETURNING 1",
        session_id,
        cdr_id,
        body,
        at,
    )
    return row is not None


# what is to be pushed


async def want(
    connection: Connection, receiver: str, module: str, object_key: str, wanted: bytes, at: datetime, urgent: bool
) -> None:
    """The state `receiver` is to have; what it has is `sent`. A held push is tried again with the new state (Q-08).

    `urgent` does not wait for the pace of the object, but never breaks the back-off after a failure.
    """
    await connection.execute(
        """INSERT INTO push (receiver, module, object_key, wanted, next_at) VALUES ($1, $2, $3, $4, $5)
           ON CONFLICT (receiver, module, object_key) DO UPDATE SET wanted = $4, held_because = NULL,
               next_at = CASE WHEN push.held_because IS NOT NULL THEN $5
                              WHEN $6 AND push.attempts = 0 THEN LEAST(push.next_at, $5) ELSE push.next_at END""",
        receiver,
        module,
        object_key,
        wanted,
        at,
        urgent,
    )


async def want_public(
    connection: Connection, roles: Sequence[str], at: datetime, module: str | None, object_key: str | None
) -> None:
    """Every connected party of these roles is to have this public object as it is now; all of them for None."""
    await connection.execute(
        """INSERT INTO push (receiver, module, object_key, wanted, next_at)
           SELECT DISTINCT client_info.country_code || '*' || client_info.party_id, document.module, document.object_key,
                  document.body, $2::timestamptz
           FROM document CROSS JOIN client_info
           WHERE document.receiver = '' AND client_info.role = ANY($1) AND client_info.status = 'CONNECTED'
               AND ($3::text IS NULL OR (document.module = $3 AND document.object_key = $4))
           ON CONFLICT (receiver, module, object_key) DO UPDATE SET wanted = EXCLUDED.wanted, held_because = NULL,
               next_at = CASE WHEN push.attempts = 0 THEN EXCLUDED.next_at ELSE push.next_at END
           WHERE push.wanted IS DISTINCT FROM EXCLUDED.wanted""",
        list(roles),
        at,
        module,
        object_key,
    )


async def due_pushes(connection: Connection, now: datetime, limit: int = 100) -> list[Row]:
    """What is to be pushed now, the longest waiting first."""
    return await connection.fetch(
        """SELECT * FROM push WHERE wanted IS DISTINCT FROM sent AND held_because IS NULL AND next_at <= $1
           ORDER BY next_at LIMIT $2""",
        now,
        limit,
    )


async def push_begun(connection: Connection, receiver: str, module: str, object_key: str) -> None:
    """A PATCH is about to leave: until it is acknowledged nobody knows what the receiver has (S-13)."""
    await connection.execute(
        "UPDATE push SET sent = NULL WHERE receiver = $1 AND module = $2 AND object_key = $3",
        receiver,
        module,
        object_key,
    )


async def pushed(
    connection: Connection, receiver: str, module: str, object_key: str, sent: bytes, next_at: datetime
) -> None:
    """The receiver acknowledged exactly this state; the next one waits until `next_at` unless it is urgent."""
    await connection.execute(
        """UPDATE push SET sent = $4, attempts = 0, next_at = $5, held_because = NULL
           WHERE receiver = $1 AND module = $2 AND object_key = $3""",
        receiver,
        module,
        object_key,
        sent,
        next_at,
    )


async def try_now(connection: Connection, receiver: str, at: datetime) -> None:
    """The receiver is connected again: what waits for it goes out now."""
    await connection.execute(
        """UPDATE push SET next_at = $2, attempts = 0
           WHERE receiver = $1 AND wanted IS DISTINCT FROM sent AND held_because IS NULL""",
        receiver,
        at,
    )


async def push_failed(
    connection: Connection,
    receiver: str,
    module: str,
    object_key: str,
    next_at: datetime,
    held_because: str | None = None,
) -> None:
    """Not acknowledged: what the receiver has is unknown now, so the next try is a whole object (S-13)."""
    await connection.execute(
        """UPDATE push SET sent = NULL, attempts = attempts + 1, next_at = $4, held_because = $5
           WHERE receiver = $1 AND module = $2 AND object_key = $3""",
        receiver,
        module,
        object_key,
        next_at,
        held_because,
    )


async def postpone_pushes(connection: Connection, receiver: str, next_at: datetime) -> None:
    """The receiver is not reachable: nothing of it before `next_at`."""
    await connection.execute(
        """UPDATE push SET next_at = $2
           WHERE receiver = $1 AND wanted IS DISTINCT FROM sent AND held_because IS NULL AND next_at < $2""",
        receiver,
        next_at,
    )


async def forget_sent(connection: Connection, receiver: str, at: datetime) -> None:
    """A receiver is back, or new: everything but its acknowledged CDRs is pushed to it again."""
    await connection.execute(
        """UPDATE push SET sent = NULL, held_because = NULL, next_at = $2
           WHERE receiver = $1 AND NOT (module = 'cdrs' AND wanted IS NOT DISTINCT FROM sent)""",
        receiver,
        at,
    )


# commands


async def insert_command(
    connection: Connection,
    *,
    command_id: UUID,
    kind: str,
    charger_key: str,
    receiver: str,
    response_url: str,
    correlation_id: str,
    next_at: datetime,
    expires_at: datetime,
) -> None:
    """A command we answered ACCEPTED: it owes one result (R58)."""
    await connection.execute(
        """INSERT INTO command (command_id, kind, charger_key, receiver, response_url, correlation_id, next_at, expires_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8)""",
        command_id,
        kind,
        charger_key,
        receiver,
        response_url,
        correlation_id,
        next_at,
        expires_at,
    )


async def command_result(connection: Connection, command_id: UUID, result: str, at: datetime) -> None:
    """What the charger said; due for its response_url now."""
    await connection.execute(
        "UPDATE command SET result = $2, next_at = $3 WHERE command_id = $1", command_id, result, at
    )


async def due_commands(connection: Connection, now: datetime, limit: int = 100) -> list[Row]:
    """Commands whose result is to be posted, or whose charger did not answer in time."""
    return await connection.fetch("SELECT * FROM command WHERE next_at <= $1 ORDER BY next_at LIMIT $2", now, limit)


async def postpone_command(connection: Connection, command_id: UUID, next_at: datetime) -> None:
    """The result could not be posted: once more, later."""
    await connection.execute(
        "UPDATE command SET attempts = attempts + 1, next_at = $2 WHERE command_id = $1", command_id, next_at
    )


async def delete_command(connection: Connection, command_id: UUID) -> None:
    """Its result arrived, or its time is over."""
    await connection.execute("DELETE FROM command WHERE command_id = $1", command_id)
