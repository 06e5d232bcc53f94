"""SQL of pulls; each function is one statement.

What a run stores names the epoch of its lease: what a process that lost it writes touches nothing (Q-12). Leases and waits are on
the database's own clock (Q-06), the schedule on the clock of the hub.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

_RUN = (
    "party, module, epoch, state, whole, by_hand, began_at, date_from, look, next_url, received, pages, objects, changed, "
    "vanished, refused, unnamed, failures, said, flag"
)
_FREE = (
    "(holder IS NULL OR lease_until < clock_timestamp()) AND (not_before IS NULL OR not_before <= clock_timestamp())"
)
_OPEN = "(wanted_at IS NOT NULL OR state = 'RUNNING')"
_HERE = "(SELECT system_identifier FROM pg_control_system())"


async def know(connection: Any, parties: Sequence[str], modules: Sequence[str], now: datetime) -> None:
    """A row for each of these lists that has none."""
    await connection.execute(
        "INSERT INTO pull (party, module, known_since) SELECT party, module, $3 "
        "FROM unnest($1::text[], $2::text[]) AS given (party, module) ORDER BY party, module ON CONFLICT DO NOTHING",
        list(parties),
        list(modules),
        now,
    )


async def note_pushes(connection: Any, parties: Sequence[str], modules: Sequence[str], now: datetime) -> None:
    """These parties push these modules."""
    await connection.execute(
        "INSERT INTO pull AS own (party, module, known_since, pushed_at) SELECT party, module, $3, $3 "
        "FROM unnest($1::text[], $2::text[]) AS given (party, module) ORDER BY party, module "
        "ON CONFLICT (party, module) DO UPDATE SET pushed_at = greatest(own.pushed_at, excluded.pushed_at)",
        list(parties),
        list(modules),
        now,
    )


async def standings(connection: Any) -> list[Any]:
    """Every list as the schedule looks at it, but those that are wanted or read now."""
    return list(
        await connection.fetch(
            "SELECT party, module, known_since, began_at, pushed_at, succeeded_at, whole_at FROM pull "  # noqa: S608
            f"WHERE NOT {_OPEN} ORDER BY party, module"
        )
    )


async def want(
    connection: Any,
    parties: Sequence[str],
    modules: Sequence[str],
    now: datetime,
    *,
    whole: bool = False,
    by_hand: bool = False,
) -> None:
    """Let these lists be read soon. What an operator asked for is not taken back by the schedule."""
    await connection.execute(
        "INSERT INTO pull AS own (party, module, known_since, wanted_at, wanted_whole, wanted_by_hand) "
        "SELECT party, module, $3, $3, $4, $5 FROM unnest($1::text[], $2::text[]) AS given (party, module) "
        "ORDER BY party, module ON CONFLICT (party, module) DO UPDATE SET wanted_at = coalesce(own.wanted_at, $3), "
        "wanted_whole = own.wanted_whole OR $4, wanted_by_hand = own.wanted_by_hand OR $5, not_before = NULL",
        list(parties),
        list(modules),
        now,
        whole,
        by_hand,
    )


async def open_lists(connection: Any) -> list[tuple[str, str]]:
    """(party, module) of what may be begun or gone on with by whoever comes first.

    What an operator asked for stands first, once; who had a turn and goes on stands behind those that wait since before it.
    """
    rows = await connection.fetch(
        f"SELECT party, module FROM pull WHERE {_OPEN} AND {_FREE} "  # noqa: S608
        "ORDER BY NOT (wanted_by_hand OR by_hand) OR not_before IS NOT NULL, "
        "CASE WHEN state = 'RUNNING' THEN coalesce(not_before, began_at) ELSE wanted_at END, party, module LIMIT 1000"
    )
    return [(row["party"], row["module"]) for row in rows]


async def take(connection: Any, holder: UUID, party: str, module: str, seconds: float) -> Any:
    """Lease a list that is still free: the run as it stands, and what the next one would be; None when another was quicker.

    `goes_on`: a run is under way that another process left.
    """
    return await connection.fetchrow(
        "UPDATE pull SET holder = $1, epoch = epoch + 1, lease_until = clock_timestamp() + $4 * interval '1 second' "  # noqa: S608
        f"WHERE (party, module) = ($2, $3) AND {_OPEN} AND {_FREE} "
        f"RETURNING {_RUN}, wanted_whole, wanted_by_hand, succeeded_at, whole_at, "
        f"state = 'RUNNING' AND system_identifier = {_HERE} AS goes_on",
        holder,
        party,
        module,
        seconds,
    )


async def begin(
    connection: Any,
    party: str,
    module: str,
    epoch: int,
    now: datetime,
    *,
    whole: bool,
    by_hand: bool,
    date_from: datetime | None,
) -> Any:
    """A new run at the first page; None when the lease is lost."""
    return await connection.fetchrow(
        "UPDATE pull SET state = 'RUNNING', whole = $5, by_hand = $6, began_at = $4, ended_at = NULL, date_from = $7, "  # noqa: S608
        "wanted_at = NULL, wanted_whole = false, wanted_by_hand = false, not_before = NULL, failures = 0, "
        f"begin_xid = pg_snapshot_xmin(pg_current_snapshot()), system_identifier = {_HERE}, look = 1, next_url = NULL, "
        "received = 0, pages = 0, objects = 0, changed = 0, vanished = 0, refused = 0, unnamed = 0, said = '', flag = '' "
        f"WHERE (party, module, epoch) = ($1, $2, $3) RETURNING {_RUN}",
        party,
        module,
        epoch,
        now,
        whole,
        by_hand,
        date_from,
    )


async def renew(connection: Any, lists: Sequence[tuple[str, str, int]], seconds: float) -> set[tuple[str, str, int]]:
    """Prolong leases (party, module, epoch); what is not returned was lost."""
    rows = await connection.fetch(
        "UPDATE pull AS own SET lease_until = clock_timestamp() + $4 * interval '1 second' "
        "FROM unnest($1::text[], $2::text[], $3::bigint[]) AS given (party, module, epoch) "
        "WHERE (own.party, own.module, own.epoch) = (given.party, given.module, given.epoch) "
        "RETURNING own.party, own.module, own.epoch",
        *map(list, zip(*lists, strict=True)),
        seconds,
    )
    return {(row["party"], row["module"], row["epoch"]) for row in rows}


async def release(connection: Any, party: str, module: str, epoch: int) -> None:
    """Give a lease back."""
    await connection.execute(
        "UPDATE pull SET holder = NULL, lease_until = NULL WHERE (party, module, epoch) = ($1, $2, $3)",
        party,
        module,
        epoch,
    )


async def hold(connection: Any, party: str, module: str, epoch: int) -> bool:
    """Keep the lease until the transaction ends; False when it is lost."""
    return bool(
        await connection.fetchval(
            "SELECT true FROM pull WHERE (party, module, epoch) = ($1, $2, $3) FOR UPDATE", party, module, epoch
        )
    )


async def store_progress(connection: Any, party: str, module: str, epoch: int, progress: Sequence[Any]) -> None:
    """What a run has come to, in the order of `hub.pulls.runs.PROGRESS`."""
    await connection.execute(
        "UPDATE pull SET (look, next_url, received, pages, objects, changed, vanished, refused, unnamed, failures, said, flag) "
        "= ($4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) WHERE (party, module, epoch) = ($1, $2, $3)",
        party,
        module,
        epoch,
        *progress,
    )


async def put_off(
    connection: Any, party: str, module: str, epoch: int, seconds: float, failures: int, said: str
) -> None:
    """The run goes on with the same page later; the lease is given back."""
    await connection.execute(
        "UPDATE pull SET not_before = clock_timestamp() + $4 * interval '1 second', failures = $5, said = $6, holder = NULL, "
        "lease_until = NULL WHERE (party, module, epoch) = ($1, $2, $3)",
        party,
        module,
        epoch,
        seconds,
        failures,
        said,
    )


async def end(connection: Any, party: str, module: str, epoch: int, now: datetime, *, said: str, proven: bool) -> None:
    """The run is over and well; `proven`: the whole list was read, so that the next ones may go on from it."""
    await connection.execute(
        "UPDATE pull SET state = 'DONE', ended_at = $4, said = $5, next_url = NULL, failures = 0, holder = NULL, "
        "lease_until = NULL, succeeded_at = began_at, whole_at = CASE WHEN $6 THEN began_at ELSE whole_at END "
        "WHERE (party, module, epoch) = ($1, $2, $3)",
        party,
        module,
        epoch,
        now,
        said,
        proven,
    )


async def fail(connection: Any, party: str, module: str, epoch: int, now: datetime, said: str) -> None:
    """The run is over without having come to the end of the list."""
    await connection.execute(
        "UPDATE pull SET state = 'FAILED', ended_at = $4, said = $5, holder = NULL, lease_until = NULL "
        "WHERE (party, module, epoch) = ($1, $2, $3)",
        party,
        module,
        epoch,
        now,
        said,
    )


async def forget_seen(connection: Any, party: str, module: str) -> None:
    await connection.execute("DELETE FROM pull_seen WHERE party = $1 AND module = $2", party, module)


async def note_seen(connection: Any, party: str, module: str, keys: Collection[str]) -> None:
    """These objects stand in the list."""
    await connection.execute(
        "INSERT INTO pull_seen (party, module, key_folded) SELECT DISTINCT $1, $2, key FROM unnest($3::text[]) AS key "
        "ON CONFLICT DO NOTHING",
        party,
        module,
        list(keys),
    )


async def kept_for_everybody(
    connection: Any, owner: str, module: str, keys: Collection[str], *, lock: bool
) -> dict[str, Any]:
    """What the hub keeps of these objects: deleted, said (the owner's last word on their time), removed (marked by the hub)."""
    rows = await connection.fetch(
        "SELECT key_folded, deleted, coalesce(owner_last_updated, last_updated) AS said, "  # noqa: S608
        "owner_last_updated IS NOT NULL AS removed FROM kept_object WHERE owner = $1 AND module = $2 "
        f"AND key_folded = ANY($3::text[]) AND audience = '*' ORDER BY key_folded {'FOR UPDATE' if lock else ''}",
        owner,
        module,
        list(keys),
    )
    return {row["key_folded"]: row for row in rows}


async def changed_since(connection: Any, owner: str, module: str, xid: int) -> set[str]:
    """Keys of objects that anybody changed in a transaction that may have ended after this one."""
    rows = await connection.fetch(
        "SELECT DISTINCT key_folded FROM change_log WHERE xid >= $3::text::xid8 AND owner = $1 AND module = $2",
        owner,
        module,
        str(xid),
    )
    return {row["key_folded"] for row in rows}


_VANISHED = (
    "FROM kept_object AS kept WHERE kept.owner = $1 AND kept.module = $2 AND kept.audience = '*' AND NOT kept.deleted "
    "AND kept.owner_last_updated IS NULL "
    "AND NOT EXISTS (SELECT FROM pull_seen AS seen WHERE (seen.party, seen.module, seen.key_folded) = ($1, $2, kept.key_folded)) "
    "AND kept.key_folded NOT IN (SELECT log.key_folded FROM change_log AS log WHERE log.owner = $1 AND log.module = $2 "
    "AND log.xid >= (SELECT begin_xid FROM pull WHERE (party, module) = ($1, $2)))"
)
"""What was kept before the run began, was not touched since, and stood on none of its pages."""


async def count_vanished(connection: Any, party: str, module: str) -> int:
    return int(await connection.fetchval(f"SELECT count(*) {_VANISHED}", party, module))


async def vanished_after(connection: Any, party: str, module: str, key: str, limit: int) -> list[str]:
    """The next keys of what vanished."""
    rows = await connection.fetch(
        f"SELECT kept.key_folded {_VANISHED} AND kept.key_folded > $3 ORDER BY kept.key_folded LIMIT $4",
        party,
        module,
        key,
        limit,
    )
    return [row["key_folded"] for row in rows]


async def count_kept(connection: Any, owner: str, module: str) -> int:
    """How many objects of an owner are kept for everybody and not marked as vanished."""
    return int(
        await connection.fetchval(
            "SELECT count(*) FROM kept_object WHERE owner = $1 AND module = $2 AND audience = '*' AND NOT deleted "
            "AND owner_last_updated IS NULL",
            owner,
            module,
        )
    )


async def all_lists(connection: Any) -> list[Any]:
    """Every list as an operator looks at it."""
    return list(
        await connection.fetch(
            "SELECT party, module, state, wanted_at IS NOT NULL AS wanted, whole, look, began_at, ended_at, date_from, pages, "
            "objects, changed, vanished, refused, said, flag, pushed_at, succeeded_at, whole_at FROM pull ORDER BY party, module"
        )
    )
