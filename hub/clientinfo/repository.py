"""SQL of HubClientInfo; each function is one statement. Leases are by the database's clock, what partners see by the hub's."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from ocpi_modules.paging import PageRequest
from ocpi_modules.spec import Role

Key = tuple[str, str, str]
"""(country_code, party_id, role) of an object."""
Partner = tuple[UUID, str, str]
"""A platform, and the (country_code, party_id) of a party it has an agreement with."""

_OWED = (
    "(info.pushed_at IS NULL OR info.pushed_at < (SELECT registered_at FROM platform WHERE platform_id = info.viewer))"
)


async def lead(connection: Any, process: UUID, seconds: float) -> bool:
    """Take or prolong the lease; False while another process has it."""
    done = await connection.execute(
        "UPDATE client_info_leader SET holder = $1, lease_until = clock_timestamp() + $2 * interval '1 second' "
        "WHERE holder IS NULL OR holder = $1 OR lease_until < clock_timestamp()",
        process,
        seconds,
    )
    return bool(done == "UPDATE 1")


async def resign(connection: Any, process: UUID) -> None:
    """Give the lease back."""
    await connection.execute("UPDATE client_info_leader SET holder = NULL WHERE holder = $1", process)


async def one_after_the_other(connection: Any) -> None:
    """Wait until no other transaction is between this and its end: instants and positions then grow in the order of commits."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtext('client_info'))")


async def join_by_hash(connection: Any) -> None:
    """For this transaction: a statement cannot foresee how many agreements it is given, and a loop over them takes minutes."""
    await connection.execute("SET LOCAL enable_nestloop = off")


async def bring_up_to_date(
    connection: Any,
    now: datetime,
    *,
    sees: Collection[tuple[Role, Role]],
    partners: Collection[Partner] | None,
    platforms: Sequence[UUID],
    only_new: bool = False,
) -> int:
    """Give registered viewers the objects of and for these platforms that they see now, and new states; returns how many.

    `sees` are (the viewer's role, a role it sees); `partners` None: everybody may talk to everybody. Without an agreement what
    was never seen is not made, what was is PLANNED. `only_new` leaves those that are there.
    """
    told = await connection.fetchval(
        """
        WITH sees AS (
            SELECT DISTINCT own.platform_id AS viewer, pair.other AS role
            FROM party own JOIN unnest($2::text[], $3::text[]) AS pair (own, other) ON pair.own = own.role
            WHERE own.state = 'REGISTERED'
        ), partner AS (
            SELECT DISTINCT * FROM unnest($5::uuid[], $6::text[], $7::text[]) AS given (viewer, country_code, party_id)
        ), changed AS (
            INSERT INTO client_info (viewer, country_code, party_id, role, status, last_updated, push_after)
            SELECT due.viewer, due.country_code, due.party_id, due.role, due.status, $1, $1
            FROM (
                SELECT v.platform_id AS viewer, p.country_code, p.party_id, p.role, known.status AS before,
                       CASE WHEN $4 OR partner.viewer IS NOT NULL THEN p.announced ELSE 'PLANNED' END AS status
                FROM platform v
                JOIN party p ON p.platform_id <> v.platform_id
                LEFT JOIN client_info known ON (known.viewer, known.country_code, known.party_id, known.role)
                                             = (v.platform_id, p.country_code, p.party_id, p.role)
                LEFT JOIN sees ON (sees.viewer, sees.role) = (v.platform_id, p.role)
                LEFT JOIN partner ON (partner.viewer, partner.country_code, partner.party_id)
                                   = (v.platform_id, p.country_code, p.party_id)
                WHERE v.state = 'REGISTERED'
                  AND (v.platform_id = ANY($8::uuid[]) OR p.platform_id = ANY($8))
                  AND (known.viewer IS NOT NULL OR ($4 OR partner.viewer IS NOT NULL) AND sees.viewer IS NOT NULL)
            ) AS due
            WHERE due.before IS NULL OR (due.before <> due.status AND NOT $9)
            ORDER BY due.viewer, due.country_code, due.party_id, due.role
            ON CONFLICT (viewer, country_code, party_id, role) DO UPDATE
            SET status = excluded.status, last_updated = excluded.last_updated, pushed_at = NULL, attempts = 0
            RETURNING viewer
        )
        SELECT count(*) FROM changed
        """,
        now,
        [own for own, _ in sees],
        [other for _, other in sees],
        partners is None,
        [viewer for viewer, _, _ in partners or ()],
        [country_code for _, country_code, _ in partners or ()],
        [party_id for _, _, party_id in partners or ()],
        platforms,
        only_new,
    )
    return int(told)


# The list


async def count(connection: Any, viewer: UUID, page: PageRequest) -> int:
    """How many objects of a viewer are within the dates."""
    return await connection.fetchval(
        "SELECT count(*) FROM client_info WHERE viewer = $1 "
        "AND ($2::timestamptz IS NULL OR last_updated >= $2) AND ($3::timestamptz IS NULL OR last_updated < $3)",
        viewer,
        page.date_from,
        page.date_to,
    )


async def listed(connection: Any, viewer: UUID, page: PageRequest) -> list[Any]:
    """One page of a viewer's objects, in the order they were first seen; date_from is inclusive, date_to exclusive."""
    return await connection.fetch(
        "SELECT country_code, party_id, role, status, last_updated FROM client_info WHERE viewer = $1 "
        "AND ($2::timestamptz IS NULL OR last_updated >= $2) AND ($3::timestamptz IS NULL OR last_updated < $3) "
        "ORDER BY position OFFSET $4 LIMIT $5",
        viewer,
        page.date_from,
        page.date_to,
        page.offset,
        page.limit,
    )


# Pushes


async def viewers_owed(connection: Any, viewers: Collection[UUID], now: datetime) -> list[UUID]:
    """Which of these viewers something is due for."""
    rows = await connection.fetch(
        f"""
        SELECT viewer FROM unnest($1::uuid[]) AS given (viewer)
        WHERE EXISTS (SELECT FROM client_info AS info
                      WHERE info.viewer = given.viewer AND info.push_after <= $2 AND {_OWED})
        """,  # noqa: S608 - our own words
        list(viewers),
        now,
    )
    return [row["viewer"] for row in rows]


async def claim(connection: Any, viewer: UUID, now: datetime, until: datetime, most: int) -> list[Any]:
    """Take some of what is due for a viewer, the oldest change first; nobody else takes it before `until`."""
    return await connection.fetch(
        f"""
        UPDATE client_info SET push_after = $3, attempts = attempts + 1
        WHERE viewer = $1 AND position IN (
            SELECT position FROM client_info AS info WHERE info.viewer = $1 AND info.push_after <= $2 AND {_OWED}
            ORDER BY info.last_updated, info.position LIMIT $4 FOR UPDATE SKIP LOCKED)
        RETURNING country_code, party_id, role, status, last_updated, attempts
        """,  # noqa: S608 - our own words
        viewer,
        now,
        until,
        most,
    )


async def settle(
    connection: Any, viewer: UUID, told: Sequence[tuple[Key, datetime]], at: datetime, *, taken: bool = True
) -> None:
    """A push of these states ended: they are told, and what changed in between is due. `taken=False`: due again from `at` on."""
    await connection.execute(
        "UPDATE client_info AS info SET push_after = $6, "
        "pushed_at = CASE WHEN $7 AND info.last_updated = told.last_updated THEN $6 ELSE info.pushed_at END "
        "FROM unnest($2::text[], $3::text[], $4::text[], $5::timestamptz[]) AS told (country_code, party_id, role, last_updated) "
        "WHERE info.viewer = $1 "
        "AND (info.country_code, info.party_id, info.role) = (told.country_code, told.party_id, told.role)",
        viewer,
        [key[0] for key, _ in told],
        [key[1] for key, _ in told],
        [key[2] for key, _ in told],
        [last_updated for _, last_updated in told],
        at,
        taken,
    )


async def try_again(connection: Any, viewer: UUID, now: datetime) -> None:
    """What could not be told to a viewer is due now."""
    await connection.execute(
        "UPDATE client_info SET push_after = $2, attempts = 0 WHERE viewer = $1 AND push_after > $2",
        viewer,
        now,
    )


# Suspicion


async def put_suspicion(connection: Any, process: UUID, since: datetime) -> None:
    """This process suspects itself, and lives."""
    await connection.execute(
        "INSERT INTO self_suspicion (process, since, seen_at) VALUES ($1, $2, clock_timestamp()) "
        "ON CONFLICT (process) DO UPDATE SET since = excluded.since, seen_at = excluded.seen_at",
        process,
        since,
    )


async def drop_suspicion(connection: Any, process: UUID) -> None:
    """This process suspects itself no more; what dead ones left is forgotten with it."""
    await connection.execute(
        "DELETE FROM self_suspicion WHERE process = $1 OR seen_at < clock_timestamp() - interval '1 day'", process
    )


async def suspicions(connection: Any, seconds: float) -> list[Any]:
    """Since when processes suspect themselves, of those heard of within so many seconds."""
    rows = await connection.fetch(
        "SELECT since FROM self_suspicion WHERE seen_at > clock_timestamp() - $1 * interval '1 second' ORDER BY since",
        seconds,
    )
    return [row["since"] for row in rows]
