"""Telling partners our new public URL: PUT credentials at those who were told another one (contracts section 6, C-29, C-32).

Looked up once at the start, so that an old process which still runs beside a new one does not put its own URL back. Each try is
claimed in the database before it is made, which lets one process of several make it, and the next one only after a pause that
doubles, whichever process makes it and however often they are started again.
"""

import asyncio
from uuid import UUID

import structlog

from hub.db.engine import Database, DatabaseAway
from hub.parties import repository
from hub.parties.directory import Directory
from hub.registration.handshake import Registration
from ocpi_modules.status import OcpiError

LOOK_SECONDS = 5.0
FIRST_PAUSE_SECONDS = 60
"""More than one whole renewal may last, so that no other process begins meanwhile."""

_log = structlog.get_logger(__name__)


class Renewals:
    """`run` returns when every platform knows our URL."""

    def __init__(
        self,
        database: Database,
        directory: Directory,
        registration: Registration,
        public_url: str,
        *,
        look_seconds: float = LOOK_SECONDS,
        first_pause_seconds: float = FIRST_PAUSE_SECONDS,
    ) -> None:
        self._database = database
        self._directory = directory
        self._registration = registration
        self._public_url = public_url
        self._look_seconds = look_seconds
        self._first_pause_seconds = first_pause_seconds
        self._begun: set[UUID] = set()

    async def run(self) -> None:
        """Raises DatabaseAway when it cannot begin; whoever runs it begins again."""
        async with self._database.connection() as connection:
            rows = await repository.platforms_told_another_url(connection, self._public_url)
        told: dict[UUID, str] = {row["platform_id"]: row["told_url"] for row in rows}
        while told:
            for platform_id, url in list(told.items()):
                if await self._is_settled(platform_id, url):
                    del told[platform_id]
            if told:
                await asyncio.sleep(self._look_seconds)

    async def _is_settled(self, platform_id: UUID, told: str) -> bool:
        """Renew when it is time; True when nothing is left to do, or when a newer process tells another URL."""
        try:
            async with self._database.transaction() as connection:
                urls = await repository.told_urls(connection, platform_id)
                superseded = platform_id in self._begun and urls is not None and urls["renewal_url"] != self._public_url
                if urls is None or urls["told_url"] != told or superseded:
                    return True
                attempt = await repository.claim_renewal(
                    connection, platform_id, told, self._public_url, self._first_pause_seconds
                )
        except DatabaseAway as away:
            _log.warning("renewal_put_off", reason=str(away))
            return False
        self._begun.add(platform_id)
        return attempt is not None and await self._renew(platform_id, attempt)

    async def _renew(self, platform_id: UUID, attempt: int) -> bool:
        platform = self._directory.platform(platform_id)
        name = platform.name if platform else str(platform_id)
        try:
            await self._registration.renew(platform_id)
        except (OcpiError, DatabaseAway) as error:
            reason = error.message if isinstance(error, OcpiError) else str(error)
            _log.error("partner_does_not_take_our_new_url", platform=name, attempt=attempt, reason=reason)
            return False
        _log.info("partner_took_our_new_url", platform=name, url=self._public_url, attempt=attempt)
        return True
