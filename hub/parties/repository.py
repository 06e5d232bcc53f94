"""SQL of the directory: one statement each, on an asyncpg connection. The caller owns the transaction."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from asyncpg import Connection

from ocpi_modules import json

Row = Mapping[str, Any]
"""An asyncpg.Record."""

_PLATFORM = """
SELECT p.platform_id, p.name, p.state, p.version, p.versions_url, p.approved_host, p.outgoing_token,
       p.base64_learned, p.switches::text AS switches, p.connection, p.last_seen, p.registered_at, p.revision,
       ARRAY(SELECT (e.module, e.interface, e.url) FROM endpoint e WHERE e.platform_id = p.platform_id) AS endpoints,
       ARRAY(SELECT (r.country_code, r.party_id, r.role, r.state, r.business_details::text, r.announced, r.announced_at)
             FROM party r WHERE r.platform_id = p.platform_id ORDER BY 1) AS parties,
       ARRAY(SELECT (t.mac, t.kind, t.retires_others AND t.first_used_at IS NULL, t.expires_at,
                     nullif((SELECT key_id FROM key_rotation), t.key_id))
             FROM issued_token t WHERE t.platform_id = p.platform_id) AS tokens
FROM platform p
"""


@dataclass(frozen=True)
class PartyEntry:
    """A role as it is written: upper-case ids, business_details as JSON values."""

    country_code: str
    party_id: str
    role: str
    business_details: dict[str, Any]


async def changed_platforms(connection: Connection, after: int) -> list[Row]:
    """Platforms changed after this revision, with endpoints, parties and token MACs, oldest change first."""
    rows: list[Row] = await connection.fetch(_PLATFORM + " WHERE p.revision > $1 ORDER BY p.revision", after)
    return rows


async def lock_platform(connection: Connection, platform_id: UUID) -> str | None:
    """Its state; the row is locked until the transaction ends."""
    state: str | None = await connection.fetchval(
        "SELECT state FROM platform WHERE platform_id = $1 FOR NO KEY UPDATE", platform_id
    )
    return state


async def touch(connection: Connection, *platforms: UUID) -> int | None:
    """Give platforms the next revision, so that every process reads them again; returns that number, None where there are none.

    They are locked first, the number of all platforms last, as in every transaction that locks or changes a platform before it
    is touched: the other way round two of them could wait for each other.
    """
    revision: int | None = await connection.fetchval(
        """
        WITH own AS MATERIALIZED (
                SELECT FROM platform WHERE platform_id = ANY($1) ORDER BY platform_id FOR NO KEY UPDATE),
            next AS (UPDATE directory_revision SET revision = revision + 1 WHERE EXISTS (SELECT FROM own) RETURNING revision)
        UPDATE platform SET revision = next.revision FROM next WHERE platform_id = ANY($1) RETURNING platform.revision
        """,
        platforms,
    )
    return revision


async def add_platform(connection: Connection, platform_id: UUID, name: str, now: datetime) -> None:
    """A platform that is only PLANNED yet."""
    await connection.execute(
        "INSERT INTO platform (platform_id, name, state, created_at) VALUES ($1, $2, 'PLANNED', $3)",
        platform_id,
        name,
        now,
    )


async def claim_owners(connection: Connection, parties: Sequence[tuple[str, str]]) -> list[Row]:
    """(country_code, party_id, platform_id, state) of those parties that belong to a platform."""
    rows: list[Row] = await connection.fetch(
        """
        SELECT c.country_code, c.party_id, c.platform_id, p.state
        FROM party_claim c JOIN platform p USING (platform_id)
        JOIN unnest($1::text[], $2::text[]) AS wanted (country_code, party_id) USING (country_code, party_id)
        """,
        [country_code for country_code, _ in parties],
        [party_id for _, party_id in parties],
    )
    return rows


async def claim(connection: Connection, platform_id: UUID, parties: Sequence[tuple[str, str]]) -> None:
    """Claim parties; one that another platform owns stays with it, and `approve_roles` then fails on its key."""
    await connection.execute(
        """
        INSERT INTO party_claim (country_code, party_id, platform_id)
        SELECT country_code, party_id, $3 FROM unnest($1::text[], $2::text[]) AS wanted (country_code, party_id)
        ON CONFLICT (country_code, party_id) DO NOTHING
        """,
        [country_code for country_code, _ in parties],
        [party_id for _, party_id in parties],
        platform_id,
    )


async def approve_roles(
    connection: Connection, platform_id: UUID, roles: Iterable[tuple[str, str, str]], now: datetime
) -> None:
    """Add (country_code, party_id, role) the operator approves, PLANNED until the platform registers them (C-40)."""
    await connection.executemany(
        """
        INSERT INTO party (country_code, party_id, role, platform_id, announced_at) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (country_code, party_id, role) DO NOTHING
        """,
        [(*role, platform_id, now) for role in roles],
    )


async def register_party(connection: Connection, platform_id: UUID, entry: PartyEntry) -> bool:
    """Mark an approved role as registered; False when it is not approved for this platform."""
    done = await connection.execute(
        """
        UPDATE party SET state = 'REGISTERED', business_details = $5::jsonb
        WHERE country_code = $2 AND party_id = $3 AND role = $4 AND platform_id = $1
        """,
        platform_id,
        entry.country_code,
        entry.party_id,
        entry.role,
        json.encode(entry.business_details).decode(),
    )
    return bool(done == "UPDATE 1")


async def suspend_parties(connection: Connection, platform_id: UUID) -> None:
    """Registered roles of the platform become SUSPENDED; those still in use are registered again right after (C-37, C-38)."""
    await connection.execute(
        "UPDATE party SET state = 'SUSPENDED' WHERE platform_id = $1 AND state = 'REGISTERED'", platform_id
    )


async def store_registration(
    connection: Connection,
    platform_id: UUID,
    *,
    version: str,
    versions_url: str,
    approved_host: str,
    outgoing_token: bytes,
    base64_learned: bool,
    name: str,
    now: datetime,
    told_url: str | None = None,
) -> None:
    """The platform is REGISTERED with this version and our token for it, and was told this public URL of ours."""
    await connection.execute(
        """
        UPDATE platform SET state = 'REGISTERED', version = $2, versions_url = $3, approved_host = $4, outgoing_token = $5,
               base64_learned = $6, name = $7, registered_at = $8, connection = 'CONNECTED', last_seen = $8, told_url = $9,
               renewal_url = NULL, renewal_attempts = 0, renew_after = NULL, token_refused_at = NULL
        WHERE platform_id = $1
        """,
        platform_id,
        version,
        versions_url,
        approved_host,
        outgoing_token,
        base64_learned,
        name,
        now,
        told_url,
    )


async def platforms_told_another_url(connection: Connection, public_url: str) -> list[Row]:
    """(platform_id, told_url) of registered platforms that know us by another public URL."""
    rows: list[Row] = await connection.fetch(
        "SELECT platform_id, told_url FROM platform WHERE state = 'REGISTERED' AND told_url <> $1 ORDER BY platform_id",
        public_url,
    )
    return rows


async def told_urls(connection: Connection, platform_id: UUID) -> Row | None:
    """(told_url, renewal_url) of a registered platform: the URL it knows us by, and the one it was last asked to take."""
    row: Row | None = await connection.fetchrow(
        "SELECT told_url, renewal_url FROM platform WHERE platform_id = $1 AND state = 'REGISTERED'", platform_id
    )
    return row


async def claim_renewal(
    connection: Connection, platform_id: UUID, told_url: str, public_url: str, first_pause: float
) -> int | None:
    """Take the next try to tell the platform this URL instead: its number; None when it is not time yet.

    The one after it waits `first_pause` seconds doubled with each try, at most a quarter of an hour; another URL begins anew.
    """
    attempt: int | None = await connection.fetchval(
        """
        UPDATE platform p SET renewal_url = $3, renewal_attempts = before.attempts + 1,
               renew_after = now() + make_interval(secs => least($4 * power(2, least(before.attempts, 20)), 900))
        FROM (SELECT platform_id, CASE WHEN renewal_url = $3 THEN renewal_attempts ELSE 0 END AS attempts
              FROM platform WHERE platform_id = $1 FOR NO KEY UPDATE) AS before
        WHERE p.platform_id = before.platform_id AND p.state = 'REGISTERED' AND p.told_url = $2
          AND (p.renewal_url IS DISTINCT FROM $3 OR p.renew_after <= now())
        RETURNING p.renewal_attempts
        """,
        platform_id,
        told_url,
        public_url,
        first_pause,
    )
    return attempt


async def drop_endpoints(connection: Connection, platform_id: UUID) -> None:
    """Forget the platform's endpoints."""
    await connection.execute("DELETE FROM endpoint WHERE platform_id = $1", platform_id)


async def add_endpoints(connection: Connection, platform_id: UUID, endpoints: Iterable[tuple[str, str, str]]) -> None:
    """(module, interface, url) of the version details."""
    await connection.executemany(
        "INSERT INTO endpoint (platform_id, module, interface, url) VALUES ($1, $2, $3, $4)",
        [(platform_id, *endpoint) for endpoint in endpoints],
    )


async def set_state(connection: Connection, platform_id: UUID, state: str) -> None:
    """PLANNED, REGISTERED, SUSPENDED or UNREGISTERED."""
    await connection.execute("UPDATE platform SET state = $2 WHERE platform_id = $1", platform_id, state)


async def forget_outgoing_token(connection: Connection, platform_id: UUID) -> None:
    """UNREGISTERED, and our token for the platform is gone (C-27)."""
    await connection.execute(
        "UPDATE platform SET state = 'UNREGISTERED', outgoing_token = NULL, connection = 'OFFLINE' WHERE platform_id = $1",
        platform_id,
    )


async def approve_host(connection: Connection, platform_id: UUID, host: str | None) -> None:
    """The host the operator lets our token go to; None: the host of the next registration (S-25, S-27)."""
    await connection.execute("UPDATE platform SET approved_host = $2 WHERE platform_id = $1", platform_id, host)


async def set_switches(connection: Connection, platform_id: UUID, switches: dict[str, Any]) -> None:
    """The platform's quirk switches, as a whole."""
    await connection.execute(
        "UPDATE platform SET switches = $2::jsonb WHERE platform_id = $1", platform_id, json.encode(switches).decode()
    )


async def change_switches(
    connection: Connection, platform_id: UUID, changes: dict[str, Any], reset: Sequence[str]
) -> None:
    """Set some switches and take others back; the rest stays, also what this version does not know."""
    await connection.execute(
        "UPDATE platform SET switches = (switches || $2::jsonb) - $3::text[] WHERE platform_id = $1",
        platform_id,
        json.encode(changes).decode(),
        list(reset),
    )


async def add_token(
    connection: Connection,
    mac: bytes,
    platform_id: UUID,
    kind: str,
    now: datetime,
    *,
    expires_at: datetime | None = None,
    retires_others: bool = True,
    key_id: str | None = None,
) -> None:
    """A token we give out, as its MAC under the key of this id; `kind` is A or C."""
    await connection.execute(
        """
        INSERT INTO issued_token (mac, platform_id, kind, issued_at, expires_at, retires_others, key_id)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        """,
        mac,
        platform_id,
        kind,
        now,
        expires_at,
        retires_others,
        key_id,
    )


async def use_token_first(connection: Connection, mac: bytes, now: datetime) -> UUID | None:
    """Note the first use; None when it was noted before or the token is gone."""
    platform_id: UUID | None = await connection.fetchval(
        "UPDATE issued_token SET first_used_at = $2 WHERE mac = $1 AND first_used_at IS NULL RETURNING platform_id",
        mac,
        now,
    )
    return platform_id


async def retire_other_tokens(connection: Connection, platform_id: UUID, mac: bytes) -> None:
    """Every other token of the platform is dead at once (contracts section 6)."""
    await connection.execute("DELETE FROM issued_token WHERE platform_id = $1 AND mac <> $2", platform_id, mac)


async def let_token_retire_others(connection: Connection, mac: bytes) -> None:
    """From its next use on this token ends the others: the peer has taken it over for good."""
    await connection.execute("UPDATE issued_token SET retires_others = true, first_used_at = NULL WHERE mac = $1", mac)


async def drop_unused_tokens(connection: Connection, platform_id: UUID, keep: Sequence[bytes]) -> None:
    """C tokens whose answer may have been lost: the next one replaces them. The caller's own is kept."""
    await connection.execute(
        """
        DELETE FROM issued_token
        WHERE platform_id = $1 AND kind = 'C' AND retires_others AND first_used_at IS NULL AND mac <> ALL($2::bytea[])
        """,
        platform_id,
        list(keep),
    )


async def token_is_alive(connection: Connection, platform_id: UUID, macs: Sequence[bytes]) -> bool:
    """Whether a token with one of these MACs still belongs to the platform."""
    alive: bool = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM issued_token WHERE platform_id = $1 AND mac = ANY($2::bytea[]))",
        platform_id,
        list(macs),
    )
    return alive


async def tokens_not_taken_over(connection: Connection, before: datetime) -> list[Row]:
    """(platform_id, issued_at) of registered platforms whose newest token, given before this time, was never used, while another
    of theirs still opens."""
    rows: list[Row] = await connection.fetch(
        """
        SELECT new.platform_id, max(new.issued_at) AS issued_at
        FROM issued_token AS new JOIN platform USING (platform_id)
        WHERE platform.state = 'REGISTERED' AND new.kind = 'C' AND new.retires_others AND new.first_used_at IS NULL
          AND new.issued_at < $1
          AND EXISTS (SELECT FROM issued_token AS old WHERE old.platform_id = new.platform_id AND old.mac <> new.mac)
        GROUP BY new.platform_id ORDER BY issued_at
        """,
        before,
    )
    return rows


async def drop_token(connection: Connection, mac: bytes) -> UUID | None:
    """One token is dead; the platform it belonged to, which is locked before the token (`touch`)."""
    platform_id: UUID | None = await connection.fetchval(
        """
        WITH own AS MATERIALIZED (SELECT platform_id FROM platform JOIN issued_token USING (platform_id)
                                  WHERE mac = $1 FOR NO KEY UPDATE OF platform)
        DELETE FROM issued_token USING own WHERE mac = $1 RETURNING own.platform_id
        """,
        mac,
    )
    return platform_id


async def drop_tokens(connection: Connection, platform_id: UUID, kinds: Sequence[str] = ("A", "C")) -> None:
    """All tokens of these kinds of the platform are dead."""
    await connection.execute(
        "DELETE FROM issued_token WHERE platform_id = $1 AND kind = ANY($2)", platform_id, list(kinds)
    )


async def set_connection(connection: Connection, platform_id: UUID, state: str) -> bool:
    """CONNECTED or OFFLINE of a registered platform; False when it was so already."""
    done = await connection.execute(
        "UPDATE platform SET connection = $2 WHERE platform_id = $1 AND connection <> $2 AND state = 'REGISTERED'",
        platform_id,
        state,
    )
    return bool(done == "UPDATE 1")


async def set_last_seen(connection: Connection, seen: Iterable[tuple[UUID, datetime]]) -> None:
    """When each platform was last heard of."""
    await connection.executemany(
        "UPDATE platform SET last_seen = greatest(last_seen, $2) WHERE platform_id = $1", list(seen)
    )
