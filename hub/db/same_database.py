"""Whether PostgreSQL still is the one a process began with (Q-04, F-51).

After a failover, or once a backup was restored in place, transaction ids, versions and revisions are handed out a second time for
something else: what the process remembers, cursors above all, means nothing there. All its connections broke on the way, so that
it is enough to ask every new one where it leads.
"""

from collections.abc import Callable
from typing import Any

_WHERE = (
    "SELECT CASE WHEN NOT pg_is_in_recovery() "
    "THEN system_identifier || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8) END, "
    "CASE current_setting('synchronous_commit') WHEN 'off' THEN set_config('synchronous_commit', 'on', false) END "
    "FROM pg_control_system()"
)
"""Cluster and timeline; the timeline of the last checkpoint would tell later. And what is acknowledged is durable, whatever the
server's default is: a commit is waited for."""


class SameDatabase:
    """Asked with each new connection of a pool. Raises OSError; `moved` is called where it leads to another database."""

    def __init__(self, moved: Callable[[], None]) -> None:
        self._moved = moved
        self._began_with: str | None = None

    async def check(self, connection: Any) -> None:
        where, _ = await connection.fetchrow(_WHERE)
        if where is None:
            raise ConnectionRefusedError("it is a standby, which takes no changes")
        self._began_with = self._began_with or where
        if where != self._began_with:
            self._moved()
            raise ConnectionRefusedError("it is another database, or another timeline, than this process began with")
