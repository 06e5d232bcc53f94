"""Every statement about what chargers reported: of a transaction, or of none.

Each takes the connection; the caller owns the transaction.
"""

from datetime import datetime
from uuid import UUID

from cpo_adapter.storage.engine import Connection


async def insert_fact(
    connection: Connection, session_id: UUID, fact_key: str, body: bytes, received_at: datetime
) -> bool:
    """Append a fact; False when the charger said the very same before."""
    row = await connection.fetchrow(
        """INSERT INTO fact (session_id, fact_key, body, received_at) VALUES ($1, $2, $3, $4)
           ON CONFLICT DO NOTHING RETURNING 1""",
        session_id,
        fact_key,
        body,
        received_at,
    )
    return row is not None


async def facts(connection: Connection, session_id: UUID, limit: int = 100_000) -> list[bytes]:
    """The facts of one transaction in the order they came."""
    rows = await connection.fetch(
        "SELECT body FROM fact WHERE session_id = $1 ORDER BY seq LIMIT $2", session_id, limit
    )
    return [row["body"] for row in rows]


async def has_fact(connection: Connection, charger_key: str, fact_keys: list[str]) -> bool:
    """Whether one of these facts is stored of a transaction of the charger."""
    stored = "SELECT count(*) FROM charge JOIN fact USING (session_id) WHERE charger_key = $1 AND fact_key = ANY ($2)"
    return bool(await connection.fetchval(stored, charger_key, fact_keys))


async def insert_unmatched_fact(
    connection: Connection, fact_key: str, charger_key: str, body: bytes, received_at: datetime
) -> None:
    """A stop nobody can place (R20): kept for an operator."""
    await connection.execute(
        "INSERT INTO unmatched_fact (fact_key, charger_key, body, received_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        fact_key,
        charger_key,
        body,
        received_at,
    )
