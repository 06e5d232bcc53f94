"""Every statement about transactions, from their start to their end.

Each takes the connection; the caller owns the transaction.
"""

from datetime import datetime
from uuid import UUID

from cpo_adapter.storage.engine import Connection, Row

NUMBERS = range(-(2**31), 2**31)
"""What the column can hold."""

WITH_FIRST_FACT = """
    SELECT charge.*, (SELECT body FROM fact WHERE fact.session_id = charge.session_id ORDER BY seq LIMIT 1) AS first_fact
    FROM charge """


async def next_transaction_number(connection: Connection) -> int:
    """The next of a sequence that never repeats; the charger sees its permutation (contracts 8)."""
    number: int = await connection.fetchval("SELECT nextval('transaction_number')")
    return number


async def insert_charge(
    connection: Connection,
    *,
    session_id: UUID,
    charger_key: str,
    connector_id: int,
    transaction_id: int,
    start_key: str,
    state: str,
    opening: bytes,
    answer: bytes,
    at: datetime,
) -> bool:
    """A new transaction; False when the same start is known already (R18)."""
    row = await connection.fetchrow(
        """INSERT INTO charge (session_id, charger_key, connector_id, transaction_id, start_key, state, opening, answer,
               created_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (start_key) DO NOTHING RETURNING 1""",
        session_id,
        charger_key,
        connector_id,
        transaction_id,
        start_key,
        state,
        opening,
        answer,
        at,
    )
    return row is not None


async def charge_by_start(connection: Connection, start_key: str) -> Row | None:
    """The transaction that began with exactly this StartTransaction."""
    return await connection.fetchrow("SELECT * FROM charge WHERE start_key = $1", start_key)


async def set_answer_undelivered(connection: Connection, start_key: str, undelivered: bool) -> Row | None:
    """Whether the answer to this start is known not to have reached its charger (R20); None for an unknown start."""
    return await connection.fetchrow(
        "UPDATE charge SET answer_undelivered = $2 WHERE start_key = $1 RETURNING *", start_key, undelivered
    )


async def unheard_charges(connection: Connection, charger_key: str, limit: int = 100) -> list[Row]:
    """What may go on at a charger that does not know its number, newest first: the open ones, and refused ones after which
    nothing began on their connector."""
    return await connection.fetch(
        """SELECT session_id, state FROM charge WHERE charger_key = $1 AND answer_undelivered
               AND (state = 'OPEN' OR (state = 'REFUSED' AND NOT EXISTS (SELECT FROM charge AS later
                   WHERE later.charger_key = charge.charger_key AND later.connector_id = charge.connector_id
                       AND later.created_seq > charge.created_seq)))
           ORDER BY created_seq DESC LIMIT $2""",
        charger_key,
        limit,
    )


async def count_finished(connection: Connection, charger_key: str, connector_id: int) -> int:
    """How many transactions of a connector began and are over."""
    over = (
        "SELECT count(*) FROM charge WHERE charger_key = $1 AND connector_id = $2 AND state NOT IN ('OPEN', 'REFUSED')"
    )
    return int(await connection.fetchval(over, charger_key, connector_id))


async def newest_numbers(connection: Connection, charger_key: str) -> list[int]:
    """The numbers of a charger's latest twenty transactions."""
    newest = "SELECT transaction_id FROM charge WHERE charger_key = $1 ORDER BY created_seq DESC LIMIT 20"
    return [row["transaction_id"] for row in await connection.fetch(newest, charger_key)]


async def charge_by_number(connection: Connection, charger_key: str, transaction_id: int) -> Row | None:
    """A transaction by the number its own charger knows; another charger's number finds nothing (S-48), nor does one that is
    none of ours, however long it is (R20)."""
    if transaction_id not in NUMBERS:
        return None
    return await connection.fetchrow(
        "SELECT * FROM charge WHERE charger_key = $1 AND transaction_id = $2", charger_key, transaction_id
    )


async def charge(connection: Connection, session_id: UUID) -> Row | None:
    """A transaction by its session id."""
    return await connection.fetchrow("SELECT * FROM charge WHERE session_id = $1", session_id)


async def unfinished_charges(connection: Connection, limit: int = 200_000) -> list[Row]:
    """Transactions that are open or wait for their CDR, oldest first."""
    return await connection.fetch(
        "SELECT * FROM charge WHERE state IN ('OPEN', 'STOPPED') ORDER BY created_seq LIMIT $1", limit
    )


async def held_charges(connection: Connection, limit: int) -> list[Row]:
    """Transactions that wait for a person, newest first, each with the first fact of it."""
    return await connection.fetch(WITH_FIRST_FACT + "WHERE state = 'HELD' ORDER BY created_seq DESC LIMIT $1", limit)


async def due_lookups(connection: Connection, now: datetime, limit: int = 100) -> list[Row]:
    """Transactions whose token is to be looked up now, the longest waiting first, each with the first fact of it."""
    return await connection.fetch(WITH_FIRST_FACT + "WHERE look_up_at <= $1 ORDER BY look_up_at LIMIT $2", now, limit)


async def postpone_lookup(connection: Connection, session_id: UUID, look_up_at: datetime | None) -> None:
    """The token is still unknown: once more then, or never."""
    await connection.execute(
        "UPDATE charge SET look_up_at = $2, lookups = lookups + 1 WHERE session_id = $1", session_id, look_up_at
    )


async def release(connection: Connection, session_id: UUID, opening: bytes) -> None:
    """It is known whose a held transaction is: it goes on as one that stopped."""
    await connection.execute(
        """UPDATE charge SET state = 'STOPPED', opening = $2, held_because = NULL
           WHERE session_id = $1 AND state = 'HELD'""",
        session_id,
        opening,
    )


async def set_charge_state(
    connection: Connection,
    session_id: UUID,
    state: str,
    held_because: str | None = None,
    look_up_at: datetime | None = None,
) -> None:
    """OPEN, STOPPED, DONE, REFUSED or HELD; a held one with a time at which its token is looked up again."""
    await connection.execute(
        "UPDATE charge SET state = $2, held_because = $3, look_up_at = $4 WHERE session_id = $1",
        session_id,
        state,
        held_because,
        look_up_at,
    )
