"""Who is CONNECTED, who is OFFLINE, and telling the others (mod_hub_client_info, Push model).

Two failed calls in a row make a platform OFFLINE, any request from it or success to it CONNECTED again (H-14, H-15); the state
is the platform's, the ClientInfo objects are its parties' (H-16). The callbacks never wait: they note, and `run` stores and
pushes. A push is the latest state of one object to one platform, tried once (H-11, H-21): who misses it reads the list.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import structlog

from hub.clientinfo.views import ClientInfoView, sees, visible_to
from hub.db.engine import Database, DatabaseAway
from hub.parties import repository
from hub.parties.directory import Directory
from hub.parties.platforms import Connection, Platform
from ocpi_modules import envelope, json
from ocpi_modules.http.client import OcpiClient, OutgoingRequest, join_url, ocpi_headers
from ocpi_modules.http.failures import SendFailed
from ocpi_modules.message import Clock
from ocpi_modules.spec import InterfaceRole, Method, ModuleID, Role

FAILURES_UNTIL_OFFLINE = 2
PUSH_SECONDS = 10.0
WRITE_SECONDS = 5.0
RETRY_SECONDS = 1.0
MOST_WAITING = 20_000
SENDERS = 8

_log = structlog.get_logger(__name__)
_PushKey = tuple[UUID, str, str, Role]


class ClientInfoStatus:
    """The connection states of this process's view. `run` must run in the background for anything to be stored or pushed."""

    def __init__(self, database: Database, directory: Directory, client: OcpiClient, clock: Clock) -> None:
        self._database = database
        self._directory = directory
        self._client = client
        self._clock = clock
        self._failures: dict[UUID, int] = {}
        self._seen: dict[UUID, datetime] = {}
        self._heard: dict[UUID, datetime] = {}
        self._changes: dict[UUID, Connection] = {}
        self._pushes: OrderedDict[_PushKey, ClientInfoView] = OrderedDict()
        self._something_changed = asyncio.Event()
        self._something_to_push = asyncio.Event()

    # Callbacks

    def seen(self, platform: Platform) -> None:
        """A request came from the platform, or a call to it succeeded."""
        self._failures.pop(platform.id, None)
        self._heard[platform.id] = self._seen[platform.id] = self._clock()
        if platform.registered and platform.connection is not Connection.CONNECTED:
            self._change(platform.id, Connection.CONNECTED)
        elif self._changes.get(platform.id) is Connection.OFFLINE:
            del self._changes[platform.id]

    def last_heard(self, platform: Platform) -> datetime | None:
        """When the platform last called or answered, as far as this process knows."""
        heard = self._heard.get(platform.id)
        return max((at for at in (heard, platform.last_seen) if at), default=None)

    def failed(self, platform: Platform) -> None:
        """A call found no connection (not: a timeout of an answer, H-15). The second in a row makes it OFFLINE."""
        failures = self._failures[platform.id] = self._failures.get(platform.id, 0) + 1
        if failures >= FAILURES_UNTIL_OFFLINE and platform.connected:
            self._change(platform.id, Connection.OFFLINE)

    def announced(self, platform_id: UUID, rows: Sequence[Mapping[str, Any]]) -> None:
        """ClientInfo objects of a platform changed and are committed: push them to whom they concern (H-04, H-22)."""
        views = [
            ClientInfoView(
                row["country_code"], row["party_id"], Role(row["role"]), row["announced"], row["announced_at"]
            )
            for row in rows
        ]
        for viewer in self._directory.platforms():
            if viewer.id != platform_id:
                self._push([view for view in views if sees(viewer.roles, view.role)], viewer)
        newcomer = self._directory.platform(platform_id)
        if newcomer is not None and any(view.status == Connection.CONNECTED for view in views):
            self._push(visible_to(newcomer, self._directory.platforms()), newcomer)

    @property
    def waiting(self) -> int:
        """Pushes not tried yet."""
        return len(self._pushes)

    # In the background

    async def run(self) -> None:
        """Store and push for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._store_changes())
            for _ in range(SENDERS):
                group.create_task(self._send_pushes())

    async def _store_changes(self) -> None:
        while True:
            try:
                async with asyncio.timeout(WRITE_SECONDS):
                    await self._something_changed.wait()
            except TimeoutError:
                pass
            self._something_changed.clear()
            await self.store()

    async def store(self) -> None:
        """Write noted changes and last-seen times; what cannot be written now stays noted."""
        changes, self._changes = self._changes, {}
        seen, self._seen = self._seen, {}
        try:
            if seen:
                async with self._database.transaction() as connection:
                    await repository.set_last_seen(connection, sorted(seen.items()))
                seen = {}
            for platform_id in list(changes):
                await self._store_one(platform_id, changes[platform_id])
                del changes[platform_id]
        except DatabaseAway as away:
            self._changes = changes | self._changes
            self._seen = seen | self._seen
            _log.warning("connection_states_not_stored", reason=str(away))
            await asyncio.sleep(RETRY_SECONDS)

    async def _store_one(self, platform_id: UUID, state: Connection) -> None:
        rows: list[repository.Row] = []
        async with self._database.transaction() as connection:
            if await repository.set_connection(connection, platform_id, state):
                rows = await repository.announce(connection, platform_id, self._clock())
                await repository.touch(connection, platform_id)
        await self._directory.refresh()
        if rows:
            _log.info("connection_changed", platform=str(platform_id), state=state)
            self.announced(platform_id, rows)

    async def _send_pushes(self) -> None:
        while True:
            await self._something_to_push.wait()
            if not self._pushes:
                self._something_to_push.clear()
                continue
            (platform_id, *_), view = self._pushes.popitem(last=False)
            platform = self._directory.platform(platform_id)
            if platform is not None:
                await self._put(platform, view)

    async def _put(self, platform: Platform, view: ClientInfoView) -> None:
        url = platform.endpoint(ModuleID.hubclientinfo, InterfaceRole.RECEIVER)
        if url is None or platform.token is None or not platform.connected:
            return
        headers = ocpi_headers(
            platform.token.get_secret_value(),
            request_id=str(uuid4()),
            correlation_id=str(uuid4()),
            base64_encoded=platform.base64,
        )
        target = platform.switches.shaped(join_url(url, f"{view.country_code}/{view.party_id}"))
        request = OutgoingRequest(Method.PUT, target, headers, json.encode(view.document))
        try:
            answer = await self._client.send(request, PUSH_SECONDS)
        except SendFailed as failure:
            _log.warning("clientinfo_not_pushed", platform=platform.name, reason=failure.message)
            self.failed(platform)
            return
        content = envelope.read(answer.body)
        if content is None or not content.succeeded:
            _log.warning("clientinfo_refused", platform=platform.name, http_status=answer.http_status)

    # Notes

    def _change(self, platform_id: UUID, state: Connection) -> None:
        self._changes[platform_id] = state
        self._something_changed.set()

    def _push(self, views: Sequence[ClientInfoView], viewer: Platform) -> None:
        if not viewer.connected or viewer.endpoint(ModuleID.hubclientinfo, InterfaceRole.RECEIVER) is None:
            return
        for view in views:
            key = (viewer.id, view.country_code, view.party_id, view.role)
            self._pushes.pop(key, None)
            self._pushes[key] = view
            if len(self._pushes) > MOST_WAITING:
                self._pushes.popitem(last=False)
        if views:
            self._something_to_push.set()
