"""Partners that do not take over the token of their last handshake: the one before opens until they do (contracts section 6)."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from hub.db.engine import Database, DatabaseAway
from hub.parties import repository
from hub.parties.directory import Directory
from ocpi_modules.message import Clock

OVERDUE = timedelta(hours=24)
LOOK_SECONDS = 600.0
_log = structlog.get_logger("hub.registration")


class OverdueTokens:
    """One per process, which says it once for each token. Nothing ends by itself: that would lock the partner out."""

    def __init__(self, database: Database, directory: Directory, clock: Clock, alarm: Callable[..., None]) -> None:
        self._database = database
        self._directory = directory
        self._clock = clock
        self._alarm = alarm
        self._told: dict[UUID, datetime] = {}

    async def run(self) -> None:
        """Look for ever."""
        while True:
            try:
                await self.look()
            except DatabaseAway as away:
                _log.warning("overdue_tokens_not_read", reason=str(away))
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Raises DatabaseAway."""
        async with self._database.connection() as connection:
            rows = await repository.tokens_not_taken_over(connection, self._clock() - OVERDUE)
        overdue: dict[UUID, datetime] = {row["platform_id"]: row["issued_at"] for row in rows}
        for platform_id, since in overdue.items():
            platform = self._directory.platform(platform_id)
            if self._told.get(platform_id) != since:
                self._alarm(
                    "new token not taken over", platform=platform.name if platform else "", since=since.isoformat()
                )
        self._told = overdue
