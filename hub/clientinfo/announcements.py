"""What the platforms are told of each other: one process keeps the ClientInfo objects of all viewers and has them pushed.

Two steps, both from what is stored and repeatable: the announced state of each party follows its connection, at most one change
between CONNECTED and OFFLINE in five minutes (F-24), so that it ends where the connection ends; then each viewer's object follows
the announced state and the agreement between the two (`views`). An object that changed gets a new last_updated (H-19) and is owed
to its viewer (`pushes`). The process that does this has a lease in PostgreSQL; another takes over when it dies. What a look costs
follows what happened to platforms and agreements since the one before, not how many agreements there are.

A list shows what is stored, which is what is pushed, and waits for nobody. Only who lacks something that nobody made yet waits:
for whoever writes, and with one connection for all who wait in a process.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from uuid import UUID, uuid4

import structlog

from hub.agreements.policy import Policy
from hub.agreements.turns import Turns
from hub.clientinfo import repository
from hub.clientinfo.pushes import Pushes
from hub.clientinfo.repository import Partner, Viewing
from hub.clientinfo.suspicion import SelfSuspicion
from hub.clientinfo.views import SEES, ClientInfoView
from hub.db.engine import Database, DatabaseAway
from hub.parties import announced_repository as announced
from hub.parties import repository as parties
from hub.parties.directory import Directory
from hub.parties.platforms import Platform
from ocpi_modules.message import Clock, PartyId
from ocpi_modules.paging import PageRequest

LOOK_SECONDS = 1.0
LEASE_SECONDS = 5.0
PLATFORMS_AT_ONCE = 25
PARTNERS_AT_ONCE = 1000
"""So many are gathered before others have their turn."""
WAIT_SECONDS = 5.0
"""How long a reader waits for those before it who lack something too."""
_log = structlog.get_logger(__name__)


class Announcements:
    """One per process; `run` works only while it holds the lease. `note` is a listener of the directory."""

    def __init__(
        self,
        *,
        database: Database,
        directory: Directory,
        policy: Policy,
        turns: Turns,
        suspicion: SelfSuspicion,
        pushes: Pushes,
        clock: Clock,
    ) -> None:
        self._database = database
        self._directory = directory
        self._policy = policy
        self._turns = turns
        self._suspicion = suspicion
        self._pushes = pushes
        self._clock = clock
        self._process = uuid4()
        self._changed: set[UUID] = set()
        self._news = 0
        self._has_all: dict[UUID, int] = {}
        self._making = asyncio.Lock()
        self._everything = True
        self._place = 0
        self._something_changed = asyncio.Event()
        directory.listeners.append(self.note)

    def note(self, platform: Platform) -> None:
        """A platform changed in this process's view."""
        self._changed.add(platform.id)
        self._news += 1
        self._something_changed.set()

    async def run(self) -> None:
        """Look every second, and when something changed, for ever; gives the lease back at the end."""
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    await self._look(group)
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(LOOK_SECONDS):
                            await self._something_changed.wait()
                    self._something_changed.clear()
        finally:
            with contextlib.suppress(DatabaseAway):
                async with self._database.connection() as connection:
                    await repository.resign(connection, self._process)

    async def _look(self, group: asyncio.TaskGroup) -> None:
        try:
            if await self.look():
                await self._pushes.begin(group, ended=self._something_changed.set)
        except DatabaseAway as away:
            self._everything = True
            _log.warning("client_infos_not_brought_up_to_date", reason=str(away))

    async def look(self) -> bool:
        """Bring everything up to date that may have changed; False when another process does that. Raises DatabaseAway."""
        leads = await self._leads()
        self._take_turns()
        changed, self._changed = self._changed, set()
        wanted = sorted(changed | self._next_of_all() | await self._announce()) if leads else []
        for begin in range(0, len(wanted), PLATFORMS_AT_ONCE):
            async with self._database.transaction() as connection:
                await self._bring_up_to_date(connection, wanted[begin : begin + PLATFORMS_AT_ONCE])
            if not (leads := await self._leads()):
                break
        self._everything = not leads
        return leads

    async def _leads(self) -> bool:
        """Take or prolong the lease."""
        async with self._database.connection() as connection:
            return await repository.lead(connection, self._process, LEASE_SECONDS)

    def _next_of_all(self) -> set[UUID]:
        """All when a process begins to do this or was held up; then one with each look, whatever seems to have changed."""
        every = [platform.id for platform in self._directory.platforms()]
        self._place += 1
        return set(every) if self._everything or not every else {every[self._place % len(every)]}

    async def page(self, viewer: Platform, page: PageRequest) -> tuple[list[ClientInfoView], int]:
        """One page of a viewer's list and its total; what it missed is pushed again. Raises DatabaseAway.

        Objects that nobody made yet are made: a newcomer reads the whole list at once.
        """
        await self._complete(viewer)
        async with self._database.connection() as connection:
            await repository.try_again(connection, viewer.id, self._clock())
            rows, total = await repository.listed(connection, viewer.id, page)
        return [ClientInfoView.of(row) for row in rows], total

    async def _complete(self, viewer: Platform) -> None:
        """Make what a viewer lacks; asked for once, until a platform or an agreement changes in this process's view."""
        self._take_turns()
        news = self._news
        if self._has_all.get(viewer.id) == news:
            return
        async with self._database.connection() as connection:
            lacks = await repository.lacks(connection, await self._viewing([viewer.id]), viewer.id)
        if lacks:
            await self._make(viewer, news)
        self._has_all[viewer.id] = news

    async def _make(self, viewer: Platform, news: int) -> None:
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._making.acquire()
        except TimeoutError:
            raise DatabaseAway("too many wait for what their lists lack") from None
        try:
            if self._has_all.get(viewer.id) != news:
                async with self._database.transaction() as connection:
                    await self._bring_up_to_date(connection, [viewer.id], only_new=True)
                self._has_all[viewer.id] = news
        finally:
            self._making.release()

    async def _announce(self) -> set[UUID]:
        """Let the announced states follow; the platforms whose parties changed."""
        offline_too = not self._suspicion.suspecting
        async with self._database.transaction() as connection:
            changed = await announced.announce(connection, None, self._clock(), offline_too=offline_too)
            if changed:
                await parties.touch(connection, *changed)
        return set(changed)

    async def _bring_up_to_date(self, connection: Any, platforms: Sequence[UUID], *, only_new: bool = False) -> None:
        await repository.one_after_the_other(connection)
        viewing = await self._viewing(platforms)
        await repository.bring_up_to_date(connection, viewing, self._clock(), only_new=only_new)

    async def _viewing(self, platforms: Sequence[UUID]) -> Viewing:
        if self._policy.open:
            return Viewing(platforms, SEES, None)
        partners = []
        for partner in self._partners(platforms):
            partners.append(partner)
            if len(partners) % PARTNERS_AT_ONCE == 0:
                await asyncio.sleep(0)
        return Viewing(platforms, SEES, partners)

    def _partners(self, platforms: Sequence[UUID]) -> Iterator[Partner]:
        """(viewer, party) for which an agreement holds now, of and for these platforms."""
        for platform in filter(None, map(self._directory.platform, platforms)):
            for own in {party.id for party in platform.parties}:
                for other in tuple(self._policy.partners_of(own)):
                    partner = self._directory.known_platform_of(other)
                    if partner is not None and own in platform.party_ids:
                        yield platform.id, *other
                    if partner is not None and other in partner.party_ids:
                        yield partner.id, *own

    def _take_turns(self) -> None:
        """Note whose agreements changed, began or ended."""
        turned = self._turns.take(self._clock())
        if not self._policy.open:
            self._changed |= self._platforms_of(party for pair in turned for party in pair)
            self._news += bool(turned)

    def _platforms_of(self, parties: Iterable[PartyId]) -> set[UUID]:
        return {platform.id for platform in map(self._directory.known_platform_of, parties) if platform is not None}
