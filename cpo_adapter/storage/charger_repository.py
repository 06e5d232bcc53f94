"""Every statement about chargers: who may connect, and what their connectors said last.

Each takes the connection; the caller owns the transaction.
"""

from datetime import datetime

from cpo_adapter.storage.engine import Connection, Row


async def put_charger(
    connection: Connection, charger_key: str, charger_id: str, salt: bytes, mac: bytes, at: datetime
) -> None:
    """Add a charger, or replace its password."""
    await connection.execute(
        """INSERT INTO charger (charger_key, charger_id, password_salt, password_mac, added_at)
           VALUES ($1, $2, $3, $4, $5)
           ON CONFLICT (charger_key) DO UPDATE SET password_salt = $3, password_mac = $4""",
        charger_key,
        charger_id,
        salt,
        mac,
        at,
    )


async def charger(connection: Connection, charger_key: str) -> Row | None:
    """One charger by its folded id."""
    return await connection.fetchrow("SELECT * FROM charger WHERE charger_key = $1", charger_key)


async def chargers(connection: Connection, limit: int = 1000) -> list[Row]:
    """All chargers in the order of their ids, at most `limit`."""
    return await connection.fetch("SELECT * FROM charger ORDER BY charger_key LIMIT $1", limit)


async def remember_boot(connection: Connection, charger_key: str, boot: bytes, at: datetime) -> None:
    """What the charger said of itself at its last boot."""
    await connection.execute(
        "UPDATE charger SET boot = $2, last_seen = $3 WHERE charger_key = $1", charger_key, boot, at
    )


async def put_connector_status(connection: Connection, charger_key: str, connector_id: int, body: bytes) -> None:
    """The last status a connector reported."""
    await connection.execute(
        """INSERT INTO connector_status (charger_key, connector_id, body) VALUES ($1, $2, $3)
           ON CONFLICT (charger_key, connector_id) DO UPDATE SET body = $3""",
        charger_key,
        connector_id,
        body,
    )


async def connector_statuses(connection: Connection, limit: int = 100_000) -> list[Row]:
    """The last status of every connector."""
    return await connection.fetch("SELECT * FROM connector_status ORDER BY charger_key, connector_id LIMIT $1", limit)
