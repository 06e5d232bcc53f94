"""Every statement about the one registration with the hub.

Each takes the connection; the caller owns the transaction.
"""

from collections.abc import Sequence
from datetime import datetime

from cpo_adapter.storage.engine import Connection, Row


async def registration(connection: Connection) -> Row | None:
    """The one registration with the hub, or None."""
    return await connection.fetchrow("SELECT * FROM hub_registration")


async def put_registration(
    connection: Connection,
    *,
    state: str,
    versions_url: str,
    token_macs: Sequence[bytes],
    sealed_token: bytes,
    base64: bool,
    public_url: str,
    at: datetime,
) -> None:
    """Begin or begin again: token B must be known before the POST leaves (C-07)."""
    await connection.execute(
        """INSERT INTO hub_registration
               (state, versions_url, token_macs, sealed_token, base64, public_url, updated_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7)
           ON CONFLICT (one) DO UPDATE SET state = $1, versions_url = $2, token_macs = $3, sealed_token = $4,
               base64 = $5, public_url = $6, updated_at = $7""",
        state,
        versions_url,
        list(token_macs),
        sealed_token,
        base64,
        public_url,
        at,
    )


async def complete_registration(
    connection: Connection,
    *,
    sealed_token: bytes,
    token_macs: Sequence[bytes],
    hub_country_code: str,
    hub_party_id: str,
    endpoints: bytes,
    base64: bool,
    public_url: str,
    at: datetime,
) -> None:
    """Token C and the hub's endpoints are known: joined."""
    await connection.execute(
        """UPDATE hub_registration SET state = 'JOINED', sealed_token = $1, token_macs = $2, hub_country_code = $3,
               hub_party_id = $4, endpoints = $5, base64 = $6, public_url = $7, updated_at = $8""",
        sealed_token,
        list(token_macs),
        hub_country_code,
        hub_party_id,
        endpoints,
        base64,
        public_url,
        at,
    )


async def keep_only_token(connection: Connection, token_mac: bytes) -> None:
    """The hub used this token of ours: the others are dead from now on."""
    await connection.execute("UPDATE hub_registration SET token_macs = ARRAY[$1]::bytea[]", token_mac)


async def renew_registration(
    connection: Connection, sealed_token: bytes, versions_url: str, token_macs: Sequence[bytes], at: datetime
) -> None:
    """The hub gave us a new token of its own by PUT; ours change with it (C-21)."""
    await connection.execute(
        """UPDATE hub_registration SET sealed_token = $1, versions_url = $2, token_macs = $3, updated_at = $4
           WHERE state = 'JOINED'""",
        sealed_token,
        versions_url,
        list(token_macs),
        at,
    )


async def add_token(connection: Connection, token_mac: bytes) -> None:
    """One more token of ours that the hub may use, known before it is sent (C-07)."""
    await connection.execute("UPDATE hub_registration SET token_macs = array_append(token_macs, $1)", token_mac)


async def leave(connection: Connection, at: datetime) -> None:
    """The hub unregistered us: no token works any more (C-27)."""
    await connection.execute("UPDATE hub_registration SET state = 'LEFT', token_macs = '{}', updated_at = $1", at)
