"""SQL of what is owed because it may go to its receiver from now on; each function is one statement."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from ocpi_modules.spec import ModuleID


async def owe_all_of(connection: Any, party: str, owner: str, reason: str, seconds: float) -> None:
    """Note what `owner` pushed to everybody and an agreement lets through to `party`, tombstones too; Locations are due last.

    A debt of this version stays as it is; nothing for a party without a cursor.
    """
    await connection.execute(
        "INSERT INTO undelivered "
        "(party, owner, module, key_folded, audience, version, attempts, next_attempt_at, last_error, revoked) "
        "SELECT destination.party, kept.owner, kept.module, kept.key_folded, kept.audience, kept.version, 0, "
        "clock_timestamp() - CASE kept.module WHEN 'locations' THEN interval '0' ELSE interval '1 hour' END, $3, kept.revoked "
        "FROM destination JOIN agreement ON (cpo, emsp) IN (($1, $2), ($2, $1)) "
        "JOIN kept_object AS kept ON kept.owner = $2 AND kept.audience = '*' "
        "AND (agreement.modules = '{}' OR kept.module = ANY(agreement.modules)) WHERE destination.party = $1 "
        "ON CONFLICT (party, owner, module, key_folded, audience) DO UPDATE SET version = excluded.version, attempts = 0, "
        "next_attempt_at = excluded.next_attempt_at, last_error = excluded.last_error, revoked = excluded.revoked, "
        "changed_at = clock_timestamp() WHERE undelivered.version < excluded.version",
        party,
        owner,
        reason,
        timeout=seconds,
    )


async def note_gains(
    connection: Any, platform_id: UUID, roles: Iterable[tuple[str, str]], modules: Iterable[str]
) -> None:
    """Before a registered platform is stored anew: note its parties that hear more from now on.

    `roles` are (party, role), `modules` those it has a Receiver for; a role or a module that was not there before counts. Who
    registers reads what there is by itself.
    """
    given = list(roles)
    await connection.execute(
        "INSERT INTO receiver_beginning (party, begins_at) SELECT DISTINCT given.party, clock_timestamp() "
        "FROM platform, unnest($2::text[], $3::text[]) AS given (party, role) "
        "WHERE platform.platform_id = $1 AND platform.state = 'REGISTERED' AND (NOT EXISTS (SELECT FROM party AS own "
        "WHERE own.platform_id = $1 AND own.country_code || '*' || own.party_id = given.party AND own.role = given.role "
        "AND own.state = 'REGISTERED') OR EXISTS (SELECT FROM unnest($4::text[]) AS gained WHERE gained = ANY($5::text[]) "
        "AND NOT EXISTS (SELECT FROM endpoint WHERE platform_id = $1 AND interface = 'RECEIVER' AND module = gained))) "
        "ON CONFLICT (party) DO UPDATE SET begins_at = excluded.begins_at",
        platform_id,
        [party for party, _ in given],
        [role for _, role in given],
        list(modules),
        [ModuleID.locations, ModuleID.tariffs, ModuleID.tokens],
    )


async def note_policy(connection: Any, *, open_to_all: bool) -> None:
    """Note every receiver once the default policy is open where it was not, and no worker with the former lives any more.

    What it was before the first word about it is not known: then nothing is noted.
    """
    await connection.execute(
        "WITH changed AS (UPDATE default_policy AS own SET open = $1 FROM default_policy AS before "
        "WHERE own.open IS DISTINCT FROM $1 "
        "AND (NOT $1 OR NOT EXISTS (SELECT FROM delivery_worker AS other WHERE NOT other.open)) RETURNING before.open AS former) "
        "INSERT INTO receiver_beginning (party, begins_at) "
        "SELECT party, clock_timestamp() FROM destination, changed WHERE $1 AND NOT former "
        "ON CONFLICT (party) DO UPDATE SET begins_at = excluded.begins_at",
        open_to_all,
    )


async def take_receiver(connection: Any, seconds: float) -> str | None:
    """A party noted at least `seconds` ago, which nobody else takes while this transaction lasts."""
    party: str | None = await connection.fetchval(
        "DELETE FROM receiver_beginning WHERE party IN (SELECT party FROM receiver_beginning "
        "WHERE begins_at <= clock_timestamp() - $1 * interval '1 second' ORDER BY begins_at LIMIT 1 FOR UPDATE SKIP LOCKED) "
        "RETURNING party",
        seconds,
    )
    return party


async def walk(connection: Any, party: str) -> None:
    """Let a party be walked through every object, unless its platform reads for itself what it missed (`resync = pull`).

    Its lease lasts as it would, but under another epoch: its holder moves the cursor no more, and the next one walks (Q-12).
    """
    await connection.execute(
        "UPDATE destination AS own SET epoch = epoch + 1, "
        "system_identifier = (SELECT system_identifier FROM pg_control_system()), "
        "cursor_xid = pg_snapshot_xmin(pg_current_snapshot()), cursor_seq = 0, ahead = NULL, walk_after = '{}' "
        "FROM platform WHERE own.party = $1 AND platform.platform_id = own.platform_id "
        "AND platform.switches ->> 'resync' IS DISTINCT FROM 'pull'",
        party,
    )
