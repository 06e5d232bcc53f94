"""Who is CONNECTED and who is OFFLINE: the connection of each platform, which changes at once (contracts section 5).

Two failed calls in a row make a platform OFFLINE, any request from it or success to it CONNECTED again (H-14, H-15); the state
is the platform's, the ClientInfo objects are its parties' (H-16) and follow damped (`announcements`). HTTP 401 at the still alive
check is a problem of the registration and changes no connection. The callbacks never wait: they note, and `run` stores.
"""

import asyncio
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID, uuid4

import structlog

from hub.clientinfo import repository as client_infos
from hub.clientinfo.suspicion import SelfSuspicion
from hub.db.engine import Database, DatabaseAway
from hub.parties import announced_repository as announced
from hub.parties import repository as parties
from hub.parties.directory import Directory
from hub.parties.platforms import Connection, Platform
from ocpi_modules.message import Clock

FAILURES_UNTIL_OFFLINE = 2
WRITE_SECONDS = 5.0
RETRY_SECONDS = 1.0

_log = structlog.get_logger(__name__)


class Alarm(Protocol):
    """Something a person should look at."""

    def __call__(self, event: str, **fields: Any) -> None: ...


class ClientInfoStatus:
    """The connection states of this process's view. `run` must run in the background for anything to be stored."""

    def __init__(self, database: Database, directory: Directory, clock: Clock, alarm: Alarm = _log.error) -> None:
        self.suspicion = SelfSuspicion(clock, lambda: [item.id for item in directory.platforms() if item.connected])
        self._database = database
        self._directory = directory
        self._clock = clock
        self._alarm = alarm
        self._process = uuid4()
        self._failures: dict[UUID, int] = {}
        self._seen: dict[UUID, datetime] = {}
        self._heard: dict[UUID, datetime] = {}
        self._changes: dict[UUID, Connection] = {}
        self._refusals: dict[UUID, datetime | None] = {}
        self._suspicion_stored = False
        self._something_changed = asyncio.Event()

    # Callbacks

    def seen(self, platform: Platform) -> None:
        """A request came from the platform."""
        self._alive(platform)
        self.suspicion.heard(platform.id)

    def answered(self, platform: Platform) -> None:
        """A call to the platform was answered."""
        self._alive(platform)
        self.suspicion.answered()

    def admitted(self, platform: Platform) -> None:
        """The platform answered the still alive check as it should: it takes our token."""
        self.answered(platform)
        self._refusals[platform.id] = None

    def refused(self, platform: Platform) -> None:
        """It answered the still alive check with 401: it is there, and the registration is not in order."""
        self._failures.pop(platform.id, None)
        self.suspicion.answered()
        self._refusals[platform.id] = self._clock()
        self._something_changed.set()

    def failed(self, platform: Platform) -> None:
        """A call found no connection (not: a timeout of an answer, H-15). The second in a row makes it OFFLINE."""
        failures = self._failures[platform.id] = self._failures.get(platform.id, 0) + 1
        if not platform.connected:
            return
        self.suspicion.failed(platform.id)
        if self.suspicion.suspecting:
            self._changes = {key: state for key, state in self._changes.items() if state is Connection.CONNECTED}
            self._something_changed.set()
        elif failures >= FAILURES_UNTIL_OFFLINE:
            self._change(platform.id, Connection.OFFLINE)

    def last_heard(self, platform: Platform) -> datetime | None:
        """When the platform last called or answered, as far as this process knows."""
        heard = self._heard.get(platform.id)
        return max((at for at in (heard, platform.last_seen) if at), default=None)

    def is_doubtful(self, platform: Platform) -> bool:
        """CONNECTED still, though it failed often enough: it was not believed while the hub suspected itself."""
        return platform.connected and self._failures.get(platform.id, 0) >= FAILURES_UNTIL_OFFLINE

    # In the background

    async def run(self) -> None:
        """Store for ever."""
        while True:
            try:
                async with asyncio.timeout(WRITE_SECONDS):
                    await self._something_changed.wait()
            except TimeoutError:
                pass
            self._something_changed.clear()
            await self.store()

    async def store(self) -> None:
        """Write what was noted; what cannot be written now stays noted."""
        changes, self._changes = self._changes, {}
        seen, self._seen = self._seen, {}
        refusals, self._refusals = self._refusals, {}
        try:
            if seen:
                async with self._database.transaction() as connection:
                    await parties.set_last_seen(connection, sorted(seen.items()))
                seen = {}
            for platform_id in list(changes):
                await self._store_connection(platform_id, changes[platform_id])
                del changes[platform_id]
            for platform_id in list(refusals):
                await self._store_refusal(platform_id, refusals[platform_id])
                del refusals[platform_id]
            await self._store_suspicion()
        except DatabaseAway as away:
            self._changes = changes | self._changes
            self._seen = seen | self._seen
            self._refusals = refusals | self._refusals
            _log.warning("connection_states_not_stored", reason=str(away))
            await asyncio.sleep(RETRY_SECONDS)

    async def _store_connection(self, platform_id: UUID, state: Connection) -> None:
        async with self._database.transaction() as connection:
            changed = await parties.set_connection(connection, platform_id, state)
            if changed:
                await parties.touch(connection, platform_id)
                if state is Connection.CONNECTED:
                    await client_infos.try_again(connection, platform_id, self._clock())
        await self._directory.refresh()
        if changed:
            _log.info("connection_changed", platform=str(platform_id), state=state)

    async def _store_refusal(self, platform_id: UUID, since: datetime | None) -> None:
        async with self._database.transaction() as connection:
            changed = await announced.set_token_refused(connection, platform_id, since)
        platform = self._directory.platform(platform_id)
        if changed and since and platform:
            self._alarm("partner refuses our token", platform=platform.name, way_out="register anew")

    async def _store_suspicion(self) -> None:
        since = self.suspicion.since
        if since is None and not self._suspicion_stored:
            return
        async with self._database.transaction() as connection:
            if since is None:
                await client_infos.drop_suspicion(connection, self._process)
            else:
                await client_infos.put_suspicion(connection, self._process, since)
        self._suspicion_stored = since is not None

    # Notes

    def _alive(self, platform: Platform) -> None:
        self._failures.pop(platform.id, None)
        self._heard[platform.id] = self._seen[platform.id] = self._clock()
        if platform.registered and platform.connection is not Connection.CONNECTED:
            self._change(platform.id, Connection.CONNECTED)
        elif self._changes.get(platform.id) is Connection.OFFLINE:
            del self._changes[platform.id]

    def _change(self, platform_id: UUID, state: Connection) -> None:
        self._changes[platform_id] = state
        self._something_changed.set()
