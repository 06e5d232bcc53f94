"""The still alive check (mod_hub_client_info): GET versions at who is OFFLINE or silent (H-13, H-14, G-74).

A platform that is OFFLINE is asked soon after it went away and then ever more rarely; one that said nothing for five minutes is
asked once. HTTP 401 is a registration problem, not an absence: the platform answered. While the hub suspects itself it asks only
the two that were heard last, until one answers (Q-11).
"""

import asyncio
import random
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from hub.clientinfo.status import ClientInfoStatus
from hub.parties.directory import Directory
from hub.parties.platforms import Platform
from ocpi_modules.http import handshake
from ocpi_modules.http.client import OcpiClient
from ocpi_modules.message import Clock
from ocpi_modules.spec import Method
from ocpi_modules.status import OcpiError

LOOK_SECONDS = 1.0
SILENCE = timedelta(minutes=5)
FIRST_PAUSE = timedelta(seconds=1)
LONGEST_PAUSE = timedelta(minutes=5)
MOST_AT_ONCE = 20
PROBES = 2
PROBE_PAUSE = timedelta(seconds=5)
_log = structlog.get_logger(__name__)


class StillAlive:
    """Asks for ever; what it learns goes to ClientInfoStatus."""

    def __init__(
        self,
        directory: Directory,
        client: OcpiClient,
        status: ClientInfoStatus,
        clock: Clock,
        *,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._directory = directory
        self._client = client
        self._status = status
        self._clock = clock
        self._look_seconds = look_seconds
        self._next: dict[UUID, datetime] = {}
        self._pause: dict[UUID, timedelta] = {}
        self._asking: set[UUID] = set()
        self._next_probe: datetime | None = None

    async def run(self) -> None:
        """Look every second who is due; a slow one keeps nobody else waiting, as long as there are not too many of them."""
        async with asyncio.TaskGroup() as group:
            while True:
                due = self.probes() if self._status.suspicion.suspecting else self.due()
                for platform in due[: MOST_AT_ONCE - len(self._asking)]:
                    self._asking.add(platform.id)
                    group.create_task(self._ask_apart(platform))
                await asyncio.sleep(self._look_seconds)

    def due(self) -> list[Platform]:
        """Who is to be asked now, the longest due first."""
        now = self._clock()
        known = self._known()
        for platform in known:
            self._forget_pause_of_the_living(platform, now)
        waiting = [platform for platform in known if platform.id not in self._asking]
        silent = [
            platform
            for platform in waiting
            if not platform.connected or self._status.is_doubtful(platform) or self._is_silent(platform, now)
        ]
        due = [platform for platform in silent if now >= self._next.get(platform.id, now)]
        return sorted(due, key=lambda platform: self._next.get(platform.id, now))

    def probes(self) -> list[Platform]:
        """Every five seconds the two destinations that were heard last, whatever state they are in."""
        now = self._clock()
        if self._next_probe is not None and now < self._next_probe:
            return []
        self._next_probe = now + PROBE_PAUSE
        heard = [(at, platform) for platform in self._known() if (at := self._status.last_heard(platform))]
        latest = sorted(heard, key=lambda item: item[0], reverse=True)[:PROBES]
        return [platform for _, platform in latest if platform.id not in self._asking]

    def _known(self) -> list[Platform]:
        return [item for item in self._directory.platforms() if item.registered and item.token and item.versions_url]

    def _is_silent(self, platform: Platform, now: datetime) -> bool:
        heard = self._status.last_heard(platform)
        return heard is None or now - heard >= SILENCE

    def _forget_pause_of_the_living(self, platform: Platform, now: datetime) -> None:
        if platform.connected and not self._is_silent(platform, now):
            self._pause.pop(platform.id, None)
            self._next.pop(platform.id, None)

    async def _ask_apart(self, platform: Platform) -> None:
        try:
            await self.ask(platform)
        finally:
            self._asking.discard(platform.id)

    async def ask(self, platform: Platform) -> None:
        """One GET versions; success makes it CONNECTED, a failure counts towards OFFLINE (H-15), 401 changes no connection."""
        assert platform.token is not None
        assert platform.versions_url is not None
        pause = self._pause[platform.id] = min(self._pause.get(platform.id, FIRST_PAUSE / 2) * 2, LONGEST_PAUSE)
        token = platform.token.get_secret_value()
        try:
            await handshake.call(self._client, Method.GET, platform.versions_url, token, base64=platform.base64)
        except handshake.Unauthorized:
            self._next[platform.id] = self._clock() + pause
            self._status.refused(platform)
            return
        except OcpiError as error:
            _log.info("partner_not_alive", platform=platform.name, reason=error.message, again_in=pause.total_seconds())
            self._next[platform.id] = self._clock() + pause * random.uniform(0.8, 1.2)  # noqa: S311
            self._status.failed(platform)
            return
        self._next[platform.id] = self._clock() + pause
        self._status.admitted(platform)
