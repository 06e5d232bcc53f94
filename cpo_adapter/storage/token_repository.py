"""Every statement about the Tokens of eMSPs, and about starts that were allowed before they happened.

Each takes the connection; the caller owns the transaction.
"""

from datetime import datetime

from cpo_adapter.storage.engine import Connection, Row


async def put_token(
    connection: Connection,
    country_code: str,
    party_id: str,
    uid_key: str,
    type_: str,
    document: bytes,
    last_updated: datetime,
) -> bool:
    """Keep a Token as it came; False when a newer one is kept already."""
    row = await connection.fetchrow(
        """INSERT INTO token (country_code, party_id, uid_key, type, document, last_updated)
           VALUES ($1, $2, $3, $4, $5, $6)
           ON CONFLICT (country_code, party_id, uid_key, type) DO UPDATE SET document = $5, last_updated = $6
           WHERE token.last_updated <= $6 RETURNING 1""",
        country_code,
        party_id,
        uid_key,
        type_,
        document,
        last_updated,
    )
    return row is not None


async def token(connection: Connection, country_code: str, party_id: str, uid_key: str, type_: str) -> Row | None:
    """One Token by its whole key (K-04)."""
    return await connection.fetchrow(
        "SELECT * FROM token WHERE country_code = $1 AND party_id = $2 AND uid_key = $3 AND type = $4",
        country_code,
        party_id,
        uid_key,
        type_,
    )


async def tokens_by_uid(connection: Connection, uid_key: str, limit: int = 20) -> list[Row]:
    """Every Token with this uid, of any owner and type (R31), newest first."""
    return await connection.fetch(
        "SELECT * FROM token WHERE uid_key = $1 ORDER BY last_updated DESC LIMIT $2", uid_key, limit
    )


async def expect_start(
    connection: Connection,
    *,
    charger_key: str,
    id_tag_key: str,
    token_document: bytes,
    authorization_reference: str | None,
    auth_method: str,
    expires_at: datetime,
) -> None:
    """Whose start to expect at this charger (R53)."""
    await connection.execute(
        """INSERT INTO expected_start (charger_key, id_tag_key, token, authorization_reference, auth_method, expires_at)
           VALUES ($1, $2, $3, $4, $5, $6)
           ON CONFLICT (charger_key, id_tag_key) DO UPDATE SET token = $3, authorization_reference = $4,
               auth_method = $5, expires_at = $6""",
        charger_key,
        id_tag_key,
        token_document,
        authorization_reference,
        auth_method,
        expires_at,
    )


async def expected_start(connection: Connection, charger_key: str, id_tag_key: str, now: datetime) -> Row | None:
    """The start that is expected of this tag at this charger, or None."""
    return await connection.fetchrow(
        "SELECT * FROM expected_start WHERE charger_key = $1 AND id_tag_key = $2 AND expires_at > $3",
        charger_key,
        id_tag_key,
        now,
    )
