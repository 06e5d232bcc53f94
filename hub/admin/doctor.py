"""What is wrong with a hub, in words (U-18): each finding says what, why, and the command that mends it. Changes nothing."""

import shlex
from collections.abc import AsyncIterator, Iterable
from datetime import datetime
from typing import Any

import asyncpg

from hub.admin import repository
from hub.admin.finding import Finding
from hub.admin.key_findings import key_findings
from hub.clientinfo.repository import suspicions
from hub.db import migrate
from hub.db.engine import Database, DatabaseAway
from hub.parties import key_rotation
from hub.parties.announced_repository import platforms_that_refuse_us
from hub.parties.directory import Directory
from hub.parties.platforms import Platform
from hub.parties.repository import platforms_told_another_url, tokens_not_taken_over
from hub.registration.overdue import OVERDUE
from ocpi_modules.message import Clock
from ocpi_modules.secrets import Keys

HELD_BACK_SECONDS = 60
FORWARDING_SECONDS = 300
RETENTION_HOURS = 24
GAP_DAYS = 7
SUSPICION_SECONDS = 30
BEHIND = Finding(
    "problem", "The tables are behind this program.", f"They lack {migrate.newest_revision()}.", "ocpi-hub migrate"
)


async def examine(
    database: Database,
    directory: Directory,
    public_url: str,
    clock: Clock,
    wide: Database | None = None,
    *,
    prod: bool = False,
    keys: Keys | None = None,
) -> list[Finding]:
    """Every finding. `wide` is a connection that sees more of the server (the owner's, or an embedded superuser's).

    A server that may lose what was committed is a problem in `prod`, and elsewhere no more than worth knowing. Without `keys`
    nothing is said of the secret key.
    """
    findings: list[Finding] = []
    try:
        async for finding in _examine(database, directory, public_url, clock, wide or database, prod):
            findings.append(finding)  # noqa: PERF401 (what was found before a failure is told too)
        if keys is not None and not any(finding is BEHIND for finding in findings):
            findings += key_findings(await key_rotation.look(database, keys, clock), has_former=len(keys.ids) > 1)
    except DatabaseAway as away:
        findings.append(unreachable(away))
    except asyncpg.InsufficientPrivilegeError as error:
        findings.append(Finding("problem", f"The hub's role lacks a right: {error}.", "GRANTs are made by migrations.",
                                "GRANT ocpi_hub_app TO <the role of HUB_DATABASE_URL>; -- in psql, as the owner"))  # fmt: skip
    return findings


def unreachable(error: Exception) -> Finding:
    """Nothing can be asked."""
    return Finding(
        "problem",
        "The database cannot be used.",
        str(error),
        "Start PostgreSQL, or put HUB_DATABASE_URL right (`ocpi-hub serve` starts an embedded one).",
    )


async def _examine(
    database: Database, directory: Directory, public_url: str, clock: Clock, wide: Database, prod: bool
) -> AsyncIterator[Finding]:
    async with database.connection() as connection:
        powers = await repository.role_powers(connection)
        unsafe = await repository.unsafe_settings(connection)
        behind = await _is_behind(connection)
    for finding in _role_findings(powers):
        yield finding
    for name in unsafe:
        yield Finding("problem" if prod else "advice", f"PostgreSQL runs with {name} = off.",
                      "A crash of its machine loses what the hub acknowledged, or leaves the database damaged.",
                      f"ALTER SYSTEM SET {name} = on; SELECT pg_reload_conf(); -- in psql, as a superuser")  # fmt: skip
    async with wide.connection() as connection:
        sees_all = powers["sees_all"] or (await repository.role_powers(connection))["sees_all"]
        holders = await repository.snapshot_holders(connection, HELD_BACK_SECONDS)
    for finding in _holder_findings(holders, sees_all, powers["name"]):
        yield finding
    if behind:
        yield BEHIND
        return
    await directory.refresh()
    async with database.connection() as connection:
        cdrs = await repository.open_cdrs(connection, FORWARDING_SECONDS)
        kept = await repository.kept_for_delivery(connection)
        troubled = await repository.troubled_destinations(connection)
        told_another = await platforms_told_another_url(connection, public_url)
        missing = await repository.missing_partitions(connection)
        hours = await repository.hours_since_retention(connection)
        gaps = await repository.trace_gaps(connection, GAP_DAYS)
        refusing = await platforms_that_refuse_us(connection)
        overdue = await tokens_not_taken_over(connection, clock() - OVERDUE)
        suspecting = await suspicions(connection, SUSPICION_SECONDS)
    for finding in _retention_findings(missing, hours, gaps):
        yield finding
    if suspecting:
        yield _suspects_itself(min(suspecting))
    for row in refusing:
        yield _refuses_us(directory.platform(row["platform_id"]), row["token_refused_at"])
    for row in overdue:
        yield _not_taken_over(directory.platform(row["platform_id"]), row["issued_at"])
    for platform in directory.platforms():
        if platform.registered and not platform.connected:
            yield _offline(platform, clock)
    for row in told_another:
        yield _told_another(directory.platform(row["platform_id"]), row["told_url"], public_url)
    for row in troubled:
        for finding in _delivery_findings(row):
            yield finding
    for row in cdrs:
        yield _cdr_finding(row)
    for row in kept:
        yield _kept_for_delivery(row)


async def _is_behind(connection: Any) -> bool:
    try:
        applied = await repository.applied_revisions(connection)
    except asyncpg.UndefinedTableError:
        return True
    return not applied or max(applied) < migrate.newest_revision()


def _role_findings(powers: Any) -> Iterable[Finding]:
    why = "REVOKE and row security do not bind it, so a mistake could change a CDR."
    mend = (
        f"Give HUB_DATABASE_URL a plain role: CREATE ROLE hub_app LOGIN PASSWORD '...' IN ROLE ocpi_hub_app; "
        f"keep {powers['name']} for HUB_DATABASE_MIGRATE_URL."
    )
    if powers["superuser"]:
        yield Finding("problem", f"The hub runs as the superuser {powers['name']}.", why, mend)
    elif powers["owner"]:
        yield Finding("problem", f"The hub runs as {powers['name']}, which owns its tables.", why, mend)


def _holder_findings(holders: list[Any], sees_all: bool, role: str) -> Iterable[Finding]:
    why = "While it is open, deliveries from the change log wait and old rows are not cleared, in every database of the server."
    mends = {
        "session": "SELECT pg_terminate_backend({name}); -- in psql",
        "prepared transaction": "ROLLBACK PREPARED '{name}'; -- in psql, in that database",
        "replication slot": "SELECT pg_drop_replication_slot('{name}'); -- in psql, if nobody needs it any more",
    }
    for row in holders:
        who = f"pid {row['name']} ({row['application'] or 'no name'})" if row["kind"] == "session" else row["name"]
        since = f" for {row['seconds']} s" if row["seconds"] is not None else ""
        what = f"The {row['kind']} {who} of {row['role'] or '-'} in the database {row['database'] or '-'} holds xmin back{since}."
        yield Finding("problem", what, why, mends[row["kind"]].format(name=row["name"]))
    if not sees_all:
        yield Finding("advice", "Who holds xmin back cannot be seen in full.", f"{role} sees its own sessions only.",
                      f"GRANT pg_read_all_stats TO {role}; -- in psql, as a superuser")  # fmt: skip


def _retention_findings(missing: list[str], hours: int, gaps: Any) -> Iterable[Finding]:
    mend = "ocpi-hub serve; a running hub looks after it within minutes, and its log says what was in the way"
    for name in missing:
        why = "What is written then will be refused until a process of the hub has made it."
        yield Finding("problem", f"The partition {name} for tomorrow is missing.", why, mend)
    if hours >= RETENTION_HOURS:
        why = "Old traces, changes and bodies of CDRs are not dropped, and the partitions of coming days are not made."
        yield Finding("problem", f"Retention has not come to its end for {hours} h.", why, mend)
    if gaps:
        span = f"between {gaps['began_at']:%Y-%m-%dT%H:%M:%SZ} and {gaps['ended_at']:%Y-%m-%dT%H:%M:%SZ}"
        yield Finding("advice", f"{gaps['number']} traces were dropped {span}.",
                      "PostgreSQL was away or slower than the messages came in; the messages themselves were served.",
                      "Look at the log of that time; `ocpi-hub trace list` shows what was kept.")  # fmt: skip


def _offline(platform: Platform, clock: Clock) -> Finding:
    seen = f"{_since(clock, platform.last_seen)} ago" if platform.last_seen else "never"
    return Finding(
        "problem",
        f"{platform.name} is OFFLINE.",
        f"It was last heard of {seen}; two calls in a row to {platform.versions_url} failed.",
        "Ask the partner; the hub tries again by itself. `ocpi-hub platform list` shows its URL.",
    )


def _suspects_itself(since: datetime) -> Finding:
    return Finding(
        "problem",
        f"The hub suspects its own connection since {since:%Y-%m-%dT%H:%M:%SZ}.",
        "More than half of its partners, at least three, failed within a minute; nobody is made OFFLINE meanwhile.",
        "Look at this machine's network, name resolution and clock; it ends by itself once a partner answers.",
    )


def _refuses_us(platform: Platform | None, since: datetime) -> Finding:
    name, where = _named(platform)
    return Finding(
        "problem",
        f"{name} refuses our token since {since:%Y-%m-%dT%H:%M:%SZ}.",
        "It answers GET versions with 401: it has lost our token, or ended the registration without telling.",
        f"Ask the partner to PUT its credentials; or `ocpi-hub platform unregister --party {where}`, then invite it again.",
    )


def _not_taken_over(platform: Platform | None, since: datetime) -> Finding:
    name, where = _named(platform)
    return Finding(
        "problem",
        f"{name} has not used the token it was given at {since:%Y-%m-%dT%H:%M:%SZ}.",
        "Until it does, the token it had before opens as well.",
        "Ask the partner to call with the token of its last handshake, or to PUT its credentials again; if the former may be in "
        f"wrong hands: `ocpi-hub platform revoke-tokens --party {where}`, then invite it again.",
    )


def _named(platform: Platform | None) -> tuple[str, str]:
    """Its name, and how a command names one of its parties."""
    party = next(iter(platform.party_ids), None) if platform else None
    where = f"{party.country_code}/{party.party_id}" if party else "COUNTRY/PARTY"
    return platform.name if platform else "A platform", where


def _told_another(platform: Platform | None, told: str, public_url: str) -> Finding:
    name, _ = _named(platform)
    return Finding(
        "problem",
        f"{name} still knows this hub as {told}, not as {public_url}.",
        "A running hub sends PUT credentials until the partner takes it; the log says why it did not.",
        "Start `ocpi-hub serve`; or set HUB_PUBLIC_URL back.",
    )


def _cdr_finding(row: Any) -> Finding:
    reasons = {
        "RECEIVED": "They were stored, and the hub ended before it knew whether they were taken.",
        "IN_DOUBT": "They were forwarded, and no answer came that tells whether they were taken.",
        "UNDELIVERED": "The receiver could not be reached, or refused them.",
    }
    return Finding(
        "problem",
        f"{row['number']} CDR of {row['owner']} for {row['receiver']} {'is' if row['number'] == 1 else 'are'} "
        f"{row['state']}, the oldest since {row['oldest']:%Y-%m-%dT%H:%M:%SZ}.",
        reasons[row["state"]],
        f"The hub posts them until they are taken: `ocpi-hub cdr list --receiver {_as_typed(row['receiver'])}` says what is in "
        f"the way, `ocpi-hub cdr retry <id> --owner {_as_typed(row['owner'])}` posts one that was refused."
        if row["guaranteed"]
        else f"Ask {row['owner']} to POST them again; the hub forwards them then, never twice if they arrived.",
    )


def _delivery_findings(row: Any) -> Iterable[Finding]:
    party = _as_typed(row["party"])
    if row["paused"]:
        yield Finding(
            "problem",
            f"Nothing is delivered to {row['party']}: it is PAUSED.",
            row["last_error"] or "An operator paused it.",
            f"ocpi-hub delivery resume --party {party}",
        )
    if row["quarantined"]:
        yield Finding(
            "problem",
            f"{row['party']} does not take {row['quarantined']} objects, which are not sent again before they change.",
            f"`ocpi-hub delivery list --party {party}` says which, and what it answered.",
            f"ocpi-hub delivery retry --party {party}",
        )


def _as_typed(party: str) -> str:
    """`NL*ABC` as commands take it."""
    return party.replace("*", "/")


def _kept_for_delivery(row: Any) -> Finding:
    named = f"{shlex.quote(row['id'])} --owner {_as_typed(row['owner'])}"
    return Finding(
        "problem",
        f"The guaranteed CDR {row['id']} of {row['owner']} for {row['receiver']} is not delivered since "
        f"{row['received_at']:%Y-%m-%d}.",
        "The CDRs of its month are kept until it is, whatever HUB_CDR_YEARS says.",
        f"ocpi-hub cdr retry {named}; or, where the receiver left for good, ocpi-hub cdr give-up {named} --reason 'it left'",
    )


def _since(clock: Clock, moment: Any) -> str:
    seconds = int((clock() - moment).total_seconds())
    return f"{seconds // 3600} h" if seconds >= 7200 else f"{seconds // 60} min" if seconds >= 120 else f"{seconds} s"
