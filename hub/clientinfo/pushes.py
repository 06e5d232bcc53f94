"""The push of ClientInfo objects (mod_hub_client_info, Push model): the latest state of one object to one platform at a time.

Only to platforms that are CONNECTED and offer the Receiver interface, one PUT an object (H-04, H-17, H-21), no routing headers
(H-01). What could not be told stays owed as the latest state, and is tried again ever more rarely, and at once when the platform
is CONNECTED again or reads the list (H-11, H-23). What it refuses stays owed too; only 405 says that it wants none.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid4

import structlog

from hub.clientinfo import repository
from hub.clientinfo.status import ClientInfoStatus
from hub.clientinfo.views import ClientInfoView
from hub.db.engine import Database, DatabaseAway
from hub.delivery.outcome import classify
from hub.delivery.verdict import Failed, Passed, Rejected, Taken, judge
from hub.parties.directory import Directory
from hub.parties.platforms import Platform
from ocpi_modules import json
from ocpi_modules.http.client import IncomingAnswer, OcpiClient, OutgoingRequest, join_url, ocpi_headers
from ocpi_modules.http.failures import SendFailed
from ocpi_modules.message import Clock
from ocpi_modules.spec import InterfaceRole, Method, ModuleID

PUSH_SECONDS = 10.0
BATCH = 10
CLAIM = timedelta(seconds=3 * BATCH * PUSH_SECONDS)
MOST_VIEWERS = 20
FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=1)
NOT_OFFERED = 405
_log = structlog.get_logger(__name__)


class Pushes:
    """Viewers are told beside each other, the objects of one viewer one after the other."""

    def __init__(
        self, database: Database, directory: Directory, client: OcpiClient, status: ClientInfoStatus, clock: Clock
    ) -> None:
        self._database = database
        self._directory = directory
        self._client = client
        self._status = status
        self._clock = clock
        self._telling: set[UUID] = set()

    async def begin(self, group: asyncio.TaskGroup, ended: Callable[[], None]) -> None:
        """Begin to tell those whom something is owed; `ended` is called after each. Raises DatabaseAway."""
        ready = {item.id: item for item in self._directory.platforms() if _url(item) and item.id not in self._telling}
        free = MOST_VIEWERS - len(self._telling)
        if not ready or free <= 0:
            return
        async with self._database.connection() as connection:
            owed = await repository.viewers_owed(connection, list(ready), self._clock())
        for viewer in owed[:free]:
            self._telling.add(viewer)
            group.create_task(self._tell_apart(ready[viewer], ended))

    async def _tell_apart(self, viewer: Platform, ended: Callable[[], None]) -> None:
        try:
            while await self.tell(viewer):
                pass
        except DatabaseAway as away:
            _log.warning("clientinfo_pushes_not_noted", platform=viewer.name, reason=str(away))
        finally:
            self._telling.discard(viewer.id)
            ended()

    async def tell(self, viewer: Platform) -> bool:
        """Push some of what is owed to a viewer; whether there may be more to push now. Raises DatabaseAway."""
        now = self._clock()
        async with self._database.connection() as connection:
            rows = await repository.claim(connection, viewer.id, now, now + CLAIM, BATCH)
        views = [ClientInfoView.of(row) for row in sorted(rows, key=lambda row: row["last_updated"])]
        told: list[ClientInfoView] = []
        owed: list[ClientInfoView] = []
        end = _Put(taken=True)
        for place, view in enumerate(views):
            end = await self._put(viewer, view)
            (told if end.taken else owed).append(view)
            if end.stops:
                owed += views[place + 1 :]
                break
        if told:
            await self._settle(viewer, told, timedelta(0), taken=True)
        if owed:
            pause = min(FIRST_PAUSE * 2 ** min(max(row["attempts"] for row in rows) - 1, 10), LONGEST_PAUSE)
            await self._settle(viewer, owed, min(max(pause, end.pause), LONGEST_PAUSE), taken=False)
        return bool(views) and not end.stops

    async def _settle(
        self, viewer: Platform, views: Sequence[ClientInfoView], pause: timedelta, *, taken: bool
    ) -> None:
        states = [(view.key, view.last_updated) for view in views]
        async with self._database.connection() as connection:
            await repository.settle(connection, viewer.id, states, self._clock() + pause, taken=taken)

    async def _put(self, platform: Platform, view: ClientInfoView) -> "_Put":
        """One attempt."""
        current = self._directory.platform(platform.id)
        url = _url(current) if current else None
        if current is None or url is None or current.token is None:
            return _Put(stops=True)
        headers = ocpi_headers(
            current.token.get_secret_value(),
            request_id=str(uuid4()),
            correlation_id=str(uuid4()),
            base64_encoded=current.base64,
        )
        target = current.switches.shaped(join_url(url, f"{view.country_code}/{view.party_id}"))
        request = OutgoingRequest(Method.PUT, target, headers, json.encode(view.document))
        try:
            answer = await self._client.send(request, PUSH_SECONDS)
        except SendFailed as failure:
            _log.warning("clientinfo_not_pushed", platform=current.name, reason=failure.message)
            self._status.failed(current)
            return _Put(stops=True)
        self._status.answered(current)
        put = _read(answer)
        if not put.taken or answer.http_status == NOT_OFFERED:
            _log.warning("clientinfo_refused", platform=current.name, http_status=answer.http_status)
        return put


@dataclass(frozen=True)
class _Put:
    """`taken`: the platform has it, or does not want it. `stops`: the next object would fare no better."""

    taken: bool = False
    stops: bool = False
    pause: timedelta = timedelta(0)
    """How long the platform asks to be left alone."""


def _read(answer: IncomingAnswer) -> _Put:
    """A refusal of an object keeps no other back; one of the hub, or of everything, does."""
    if answer.http_status == NOT_OFFERED:
        return _Put(taken=True)
    match judge(classify(answer), Method.PUT):
        case Taken():
            return _Put(taken=True)
        case Rejected():
            return _Put()
        case Failed(retry_after=seconds):
            return _Put(stops=True, pause=timedelta(seconds=seconds or 0))
        case Passed():
            return _Put(stops=True)


def _url(platform: Platform) -> str | None:
    """Where the platform takes pushes now."""
    if not platform.connected or platform.token is None:
        return None
    return platform.endpoint(ModuleID.hubclientinfo, InterfaceRole.RECEIVER)
