"""SQL of HubClientInfo; each function is one statement. Leases are by the database's clock, what partners see by the hub's."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from ocpi_modules.paging import PageRequest
from ocpi_modules.spec import Role

Key = tuple[str, str, str]
"""(country_code, party_id, role) of an object."""
Partner = tuple[UUID, str, str]
"""A platform, and the (country_code, party_id) of a party it has an agreement with."""


@dataclass(frozen=True)
class Viewing:
    """Of and for which platforms objects are looked at, and by whom.

    `sees` are (a viewer's role, a role it sees); `partners` None: everybody may talk to everybody.
    """

    platforms: Sequence[UUID]
    sees: Collection[tuple[Role, Role]]
    partners: Sequence[Partner] | None

    @property
    def columns(self) -> tuple[Any, ...]:
        """The parameters $1 to $7 of the statements."""
        partners = self.partners or ()
        return (
            [own for own, _ in self.sees],
            [other for _, other in self.sees],
            self.partners is None,
            [viewer for viewer, _, _ in partners],
            [country_code for _, country_code, _ in partners],
            [party_id for _, _, party_id in partners],
            self.platforms,
        )


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


_AGREED = "($3 OR (pair.viewer, pair.country_code, pair.party_id) IN (SELECT * FROM partner))"
_DUE = f"""
    sees AS (
        SELECT own.platform_id AS viewer, pair.other AS role
        FROM party own JOIN unnest($1::text[], $2::text[]) AS pair (own, other) ON pair.own = own.role
        WHERE own.state = 'REGISTERED'
    ), partner AS (
        SELECT * FROM unnest($4::uuid[], $5::text[], $6::text[])
    ), pair AS (
        SELECT v.platform_id AS viewer, p.country_code, p.party_id, p.role, p.announced
        FROM platform v JOIN party p ON p.platform_id <> v.platform_id
        WHERE v.state = 'REGISTERED' AND v.platform_id = ANY($7::uuid[])
        UNION ALL
        SELECT v.platform_id, p.country_code, p.party_id, p.role, p.announced
        FROM platform v JOIN party p ON p.platform_id <> v.platform_id
        WHERE v.state = 'REGISTERED' AND p.platform_id = ANY($7) AND v.platform_id <> ALL($7)
    ), due AS (
        SELECT pair.viewer, pair.country_code, pair.party_id, pair.role, known.status AS before,
               CASE WHEN {_AGREED} THEN pair.announced ELSE 'PLANNED' END AS status
        FROM pair LEFT JOIN client_info known ON (known.viewer, known.country_code, known.party_id, known.role)
                                               = (pair.viewer, pair.country_code, pair.party_id, pair.role)
        WHERE known.viewer IS NOT NULL OR ({_AGREED} AND (pair.viewer, pair.role) IN (SELECT * FROM sees))
    )
"""  # noqa: S608 - our own words
"""What registered viewers see now of and for some platforms; `before` is what they were told last, null for what is not made.

Agreements and roles are looked up, not joined: no statement can foresee how many it is given, and a loop over them takes minutes.
"""


async def lacks(connection: Any, viewing: Viewing, viewer: UUID) -> bool:
    """Whether a viewer sees something that nobody made yet; only reads."""
    return bool(
        await connection.fetchval(
            f"WITH {_DUE} SELECT EXISTS (SELECT FROM due WHERE before IS NULL AND viewer = $8)",  # noqa: S608 - our own words
            *viewing.columns,
            viewer,
        )
    )


async def bring_up_to_date(connection: Any, viewing: Viewing, now: datetime, *, only_new: bool = False) -> int:
    """Give registered viewers the objects that they see now, and new states; returns how many.

    Without an agreement what was never seen is not made, what was is PLANNED. `only_new` leaves those that are there.
    """
    told = await connection.fetchval(
        f"""
        WITH {_DUE}, changed AS (
            INSERT INTO client_info (viewer, country_code, party_id, role, status, last_updated, push_after)
            SELECT viewer, country_code, party_id, role, status, $8, $8 FROM due
            WHERE before IS NULL OR (before <> status AND NOT $9)
            ORDER BY viewer, country_code, party_id, role
            ON CONFLICT (viewer, country_code, party_id, role) DO UPDATE
            SET status = excluded.status, last_updated = excluded.last_updated, pushed_at = NULL, attempts = 0
            RETURNING viewer
        )
        SELECT count(*) FROM changed
        """,  # noqa: S608 - our own words
        *viewing.columns,
        now,
        only_new,
    )
    return int(told)


# The list


async def listed(connection: Any, viewer: UUID, page: PageRequest) -> tuple[list[Any], int]:
    """One page of a viewer's objects, in the order they were first seen, and how many there are, at one instant.

    date_from is inclusive, date_to exclusive.
    """
    rows = await connection.fetch(
        """
        WITH own AS (
            SELECT position, country_code, party_id, role, status, last_updated FROM client_info WHERE viewer = $1
            AND ($2::timestamptz IS NULL OR last_updated >= $2) AND ($3::timestamptz IS NULL OR last_updated < $3)
        ), page AS (SELECT * FROM own ORDER BY position OFFSET $4 LIMIT $5)
        SELECT total.number AS total, page.* FROM (SELECT count(*) AS number FROM own) AS total LEFT JOIN page ON true
        ORDER BY page.position
        """,
        viewer,
        page.date_from,
        page.date_to,
        page.offset,
        page.limit,
    )
    return [row for row in rows if row["position"] is not None], rows[0]["total"]


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
