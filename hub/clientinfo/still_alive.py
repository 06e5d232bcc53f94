"""The still alive check (mod_hub_client_info): GET versions at who is OFFLINE or silent (H-13, H-14, G-74).

A platform that is OFFLINE is asked soon after it went away and then ever more rarely; one that said nothing for five minutes is
asked once. HTTP 401 is a registration problem, not an absence: the platform answered.
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
_log = structlog.get_logger(__name__)


class StillAlive:
    """Asks for ever; what it learns goes to ClientInfoStatus."""

    def __init__(self, directory: Directory, client: OcpiClient, status: ClientInfoStatus, clock: Clock) -> None:
        self._directory = directory
        self._client = client
        self._status = status
        self._clock = clock
        self._next: dict[UUID, datetime] = {}
        self._pause: dict[UUID, timedelta] = {}

    async def run(self) -> None:
        while True:
            due = [platform for platform in self._directory.platforms() if self._is_due(platform)]
            await asyncio.gather(*(self.ask(platform) for platform in due[:MOST_AT_ONCE]))
            await asyncio.sleep(LOOK_SECONDS)

    def _is_due(self, platform: Platform) -> bool:
        if not platform.registered or platform.token is None or platform.versions_url is None:
            return False
        now = self._clock()
        if platform.connected:
            self._pause.pop(platform.id, None)
            heard = self._status.last_heard(platform)
            if heard is not None and now - heard < SILENCE:
                self._next.pop(platform.id, None)
                return False
        return now >= self._next.get(platform.id, now)

    async def ask(self, platform: Platform) -> None:
        """One GET versions; success makes it CONNECTED, no connection counts as a failure."""
        assert platform.token is not None
        assert platform.versions_url is not None
        pause = min(self._pause.get(platform.id, FIRST_PAUSE) * 2, LONGEST_PAUSE)
        self._pause[platform.id] = pause
        self._next[platform.id] = self._clock() + pause * random.uniform(0.8, 1.2)  # noqa: S311
        token = platform.token.get_secret_value()
        try:
            await handshake.call(self._client, Method.GET, platform.versions_url, token, base64=platform.base64)
        except handshake.Unauthorized:
            _log.warning("partner_refuses_our_token", platform=platform.name, way_out="renew the registration")
        except OcpiError as error:
            _log.info("partner_not_alive", platform=platform.name, reason=error.message)
            self._status.failed(platform)
            return
        self._status.seen(platform)
