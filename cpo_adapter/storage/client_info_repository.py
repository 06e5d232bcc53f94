"""Every statement about the parties behind the hub.

Each takes the connection; the caller owns the transaction.
"""

from datetime import datetime

from cpo_adapter.storage.engine import Connection, Row


async def client_info(connection: Connection, country_code: str, party_id: str, role: str) -> Row | None:
    """What we know of one party in one role."""
    return await connection.fetchrow(
        "SELECT * FROM client_info WHERE country_code = $1 AND party_id = $2 AND role = $3",
        country_code,
        party_id,
        role,
    )


async def put_client_info(
    connection: Connection, country_code: str, party_id: str, role: str, status: str, last_updated: datetime
) -> None:
    """The state of one party in one role; newest wins."""
    await connection.execute(
        """INSERT INTO client_info (country_code, party_id, role, status, last_updated) VALUES ($1, $2, $3, $4, $5)
           ON CONFLICT (country_code, party_id, role) DO UPDATE SET status = $4, last_updated = $5
           WHERE client_info.last_updated <= $5""",
        country_code,
        party_id,
        role,
        status,
        last_updated,
    )


async def client_infos(connection: Connection, limit: int = 10_000) -> list[Row]:
    """Every known party behind the hub, at most `limit`."""
    return await connection.fetch("SELECT * FROM client_info ORDER BY country_code, party_id, role LIMIT $1", limit)
