"""Every statement of the adapter, one a function. Each takes the connection; the caller owns the transaction."""

from collections.abc import Sequence
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

import asyncpg

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
Row: TypeAlias = asyncpg.Record


# chargers


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


# the registration with the hub


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


# parties behind the hub


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


# tokens


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


# charges and their facts


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


async def has_fact(connection: Connection, charger_key: str, fact_keys: list[str]) -> bool:
    """Whether one of these facts is stored of a transaction of the charger."""
    stored = "SELECT count(*) FROM charge JOIN fact USING (session_id) WHERE charger_key = $1 AND fact_key = ANY ($2)"
    return bool(await connection.fetchval(stored, charger_key, fact_keys))


async def charge_by_number(connection: Connection, charger_key: str, transaction_id: int) -> Row | None:
    """A transaction by the number its own charger knows; another charger's number finds nothing (S-48)."""
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


async def set_charge_state(
    connection: Connection, session_id: UUID, state: str, held_because: str | None = None
) -> None:
    """OPEN, STOPPED, DONE, REFUSED or HELD."""
    await connection.execute(
        "UPDATE charge SET state = $2, held_because = $3 WHERE session_id = $1", session_id, state, held_because
    )


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
