"""A hub that dies at a chosen step: before or after each transaction, each reading and each call to a partner."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any, cast

from hub.db.engine import Database
from hub.parties.directory import Directory
from ocpi_modules.http.client import OcpiClient, OutgoingRequest
from ocpi_modules.http.connection import IncomingAnswer
from tests.hub.support import HUB, KEYS, SmallHub


class Killed(BaseException):
    """The process ends here: nothing that catches errors may catch it."""


class Death:
    """Dies at the step number `at`, counted from 0."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.steps = 0

    def step(self) -> None:
        """One more point at which a kill may hit; dead is dead."""
        self.steps += 1
        if self.steps > self.at:
            raise Killed


class DyingDatabase:
    def __init__(self, database: Database, death: Death) -> None:
        self._database, self._death = database, death

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        self._death.step()
        async with self._database.transaction() as connection:
            yield connection
            self._death.step()
        self._death.step()

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        self._death.step()
        async with self._database.connection() as connection:
            yield connection


class DyingClient:
    def __init__(self, client: OcpiClient, death: Death) -> None:
        self._client, self._death = client, death

    async def send(self, request: OutgoingRequest, deadline: float = 30.0) -> IncomingAnswer:
        self._death.step()
        answer = await self._client.send(request, deadline)
        self._death.step()
        return answer


def doomed(hub: SmallHub, at: int) -> SmallHub:
    """A second process of the same hub, with its own memory, that dies at this step."""
    death = Death(at)
    database = cast(Database, DyingDatabase(hub.database, death))
    client = cast(OcpiClient, DyingClient(hub.client, death))
    dying = SmallHub(database, Directory(database, KEYS, HUB, hub.clock), client, hub.clock)
    dying.wire(hub.url)
    return dying
