"""Whether PostgreSQL still is the one a process began with (Q-04, F-51).

After a failover, or once a backup was restored in place, transaction ids, versions and revisions are handed out a second time for
something else: what the process remembers, cursors above all, means nothing there. All its connections broke on the way, so that
it is enough to ask every new one where it leads.
"""

from collections.abc import Callable
from typing import Any

import asyncpg

_DURABLE = "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
"""What is acknowledged is durable, whatever the server's default is: a commit is waited for."""
_CLUSTER = "SELECT system_identifier::text FROM pg_control_system()"
_TIMELINE = (
    "SELECT CASE WHEN pg_is_in_recovery() THEN 'standby' ELSE left(pg_walfile_name(pg_current_wal_lsn()), 8) END"
)
"""That of the last checkpoint would tell later."""


class SameDatabase:
    """Asked with each new connection of a pool. Raises OSError; `moved` is called where it leads to another database."""

    def __init__(self, moved: Callable[[], None]) -> None:
        self._moved = moved
        self._began_with: str | None = None

    async def check(self, connection: Any) -> None:
        try:
            await self._look_at(connection)
        except BaseException:
            connection.terminate()  # asyncpg waits for its end, and forgets when it is cancelled meanwhile
            raise

    async def _look_at(self, connection: Any) -> None:
        await connection.execute(_DURABLE)
        timeline = await _timeline(connection)
        if timeline == "standby":
            raise ConnectionRefusedError("it is a standby, which takes no changes")
        where = f"{await connection.fetchval(_CLUSTER)}/{timeline}"
        self._began_with = self._began_with or where
        if where != self._began_with:
            self._moved()
            raise ConnectionRefusedError("it is another database, or another timeline, than this process began with")


async def _timeline(connection: Any) -> str:
    """Empty where nobody may ask for it, as in some hosted databases: then only another cluster is noticed."""
    try:
        return str(await connection.fetchval(_TIMELINE))
    except (asyncpg.InsufficientPrivilegeError, asyncpg.FeatureNotSupportedError):
        return ""
