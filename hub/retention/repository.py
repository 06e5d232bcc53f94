"""SQL of the job and of partitions; each function is one statement."""

from datetime import datetime
from typing import Any
from uuid import UUID


async def take(connection: Any, name: str, worker: UUID, seconds: float) -> bool:
    """Lease a job that is due; False when it is not, or another worker has it."""
    return bool(
        await connection.fetchval(
            "UPDATE job SET holder = $2, lease_until = clock_timestamp() + $3 * interval '1 second' WHERE name = $1 "
            "AND due_at <= clock_timestamp() AND (holder IS NULL OR lease_until < clock_timestamp()) RETURNING true",
            name,
            worker,
            seconds,
        )
    )


async def renew(connection: Any, name: str, worker: UUID, seconds: float) -> bool:
    """Keep the lease; False when it was lost."""
    return bool(
        await connection.fetchval(
            "UPDATE job SET lease_until = clock_timestamp() + $3 * interval '1 second' "
            "WHERE name = $1 AND holder = $2 RETURNING true",
            name,
            worker,
            seconds,
        )
    )


async def end(connection: Any, name: str, worker: UUID, seconds: float, *, done: bool) -> None:
    """Give the lease back; the job is due again in `seconds`. `done`: it was done to its end."""
    await connection.execute(
        "UPDATE job SET holder = NULL, lease_until = NULL, due_at = clock_timestamp() + $3 * interval '1 second', "
        "ran_at = CASE WHEN $4 THEN clock_timestamp() ELSE ran_at END WHERE name = $1 AND holder = $2",
        name,
        worker,
        seconds,
        done,
    )


async def never_wait_for_locks(connection: Any, milliseconds: int) -> None:
    """For the rest of the transaction: LockNotAvailableError instead; who waits for a table keeps all others waiting."""
    await connection.execute("SELECT set_config('lock_timeout', $1, true)", str(milliseconds))


async def drop_oldest_partition(connection: Any, table: str, before: datetime, seconds: float) -> str | None:
    """The name of the partition that was dropped, None when there is none so old. Raises LockNotAvailableError."""
    name: str | None = await connection.fetchval("SELECT drop_oldest_partition($1, $2)", table, before, timeout=seconds)
    return name
