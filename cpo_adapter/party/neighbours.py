"""The parties behind the hub, from its HubClientInfo: crawled after joining and now and then, pushed in between (H-26)."""

from typing import Any

import structlog

from cpo_adapter.party.link import HubLink, NotReached
from cpo_adapter.party.publish import Publisher
from cpo_adapter.storage import client_info_repository
from cpo_adapter.storage import outbox_repository as outbox
from cpo_adapter.storage.engine import Database
from ocpi_modules.headers import TOTAL_COUNT
from ocpi_modules.hubclientinfo.schemas import ClientInfo
from ocpi_modules.message import Clock, PartyId
from ocpi_modules.spec import InterfaceRole, Method, ModuleID
from ocpi_modules.status import InvalidParameters
from ocpi_modules.validation import read

log = structlog.get_logger(__name__)

PAGE = 100
MOST_PAGES = 100


class Neighbours:
    """Knows whom to push to."""

    def __init__(self, database: Database, link: HubLink, publisher: Publisher, clock: Clock) -> None:
        self._database = database
        self._link = link
        self._publisher = publisher
        self._clock = clock

    async def refresh(self) -> None:
        """Read the hub's whole list. Raises NotReached, DatabaseAway."""
        offset = 0
        for _ in range(MOST_PAGES):
            listed, total = await self._page(offset)
            for entry in listed:
                await self._keep_if_readable(entry)
            offset += len(listed)
            if not listed or offset >= total:
                break
        await self._publisher.offer()

    async def heard(self, document: Any) -> None:
        """A pushed ClientInfo. Raises InvalidParameters, DatabaseAway."""
        await self._keep(read(ClientInfo, document))
        await self._publisher.offer()

    async def _page(self, offset: int) -> tuple[list[Any], int]:
        suffix = f"?offset={offset}&limit={PAGE}"
        reply = await self._link.send(Method.GET, ModuleID.hubclientinfo, InterfaceRole.SENDER, suffix, to=None)
        if not reply.succeeded or reply.answer is None or not isinstance(reply.answer.data, list):
            raise NotReached(f"The hub's list of parties cannot be read: {reply.reason}.")
        total = reply.headers.get(TOTAL_COUNT.lower(), "")
        return reply.answer.data, int(total) if total.isdecimal() else 0

    async def _keep_if_readable(self, entry: Any) -> None:
        try:
            await self._keep(read(ClientInfo, entry))
        except InvalidParameters as error:
            log.warning("client_info_left_out", reason=error.message)

    async def _keep(self, info: ClientInfo) -> None:
        party = PartyId.of(info.country_code, info.party_id)
        if party == self._link.party:
            return
        async with self._database.transaction() as connection:
            known = await client_info_repository.client_info(connection, *party, str(info.role))
            await client_info_repository.put_client_info(
                connection, *party, str(info.role), str(info.status), info.last_updated
            )
            if known is None or info.status != "CONNECTED" or known["status"] == "CONNECTED":
                return
            if known["status"] == "OFFLINE":
                await outbox.try_now(connection, str(party), self._clock())
            else:
                await outbox.forget_sent(connection, str(party), self._clock())
