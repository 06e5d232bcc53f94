"""What the platforms are told of each other: one process keeps the ClientInfo objects of all viewers and has them pushed.

Two steps, both from what is stored and repeatable: the announced state of each party follows its connection, at most one change
between CONNECTED and OFFLINE in five minutes (F-24), so that it ends where the connection ends; then each viewer's object follows
the announced state and the agreement between the two (`views`). An object that changed gets a new last_updated (H-19) and is owed
to its viewer (`pushes`). The process that does this has a lease in PostgreSQL; another takes over when it dies.
"""

import asyncio
import contextlib
import time
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID, uuid4

import structlog

from hub.agreements.policy import Policy
from hub.clientinfo import repository
from hub.clientinfo.pushes import Pushes
from hub.clientinfo.repository import Partner
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
EVERYTHING_SECONDS = 60.0
"""How often all objects are looked at, whatever seems to have changed."""
PLATFORMS_AT_ONCE = 25
_Pairs = frozenset[tuple[PartyId, PartyId]]
_log = structlog.get_logger(__name__)


class Announcements:
    """One per process; `run` works only while it holds the lease. `note` is a listener of the directory."""

    def __init__(
        self,
        *,
        database: Database,
        directory: Directory,
        policy: Policy,
        suspicion: SelfSuspicion,
        pushes: Pushes,
        clock: Clock,
    ) -> None:
        self._database = database
        self._directory = directory
        self._policy = policy
        self._suspicion = suspicion
        self._pushes = pushes
        self._clock = clock
        self._process = uuid4()
        self._changed: set[UUID] = set()
        self._pairs: _Pairs = frozenset()
        self._everything_at: float | None = None
        self._something_changed = asyncio.Event()
        directory.listeners.append(self.note)

    def note(self, platform: Platform) -> None:
        """A platform changed in this process's view."""
        self._changed.add(platform.id)
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
            self._everything_at = None
            _log.warning("client_infos_not_brought_up_to_date", reason=str(away))

    async def look(self) -> bool:
        """Bring everything up to date that may have changed; False when another process does that. Raises DatabaseAway."""
        async with self._database.connection() as connection:
            leads = await repository.lead(connection, self._process, LEASE_SECONDS)
        changed, self._changed = self._changed, set()
        if not leads:
            self._everything_at = None
            return False
        pairs = frozenset[tuple[PartyId, PartyId]]() if self._policy.open else frozenset(self._policy.partners())
        changed |= self._platforms_of(pairs ^ self._pairs) | await self._announce()
        everything = self._everything_at is None or time.monotonic() - self._everything_at >= EVERYTHING_SECONDS
        wanted = sorted(changed.union(item.id for item in self._directory.platforms()) if everything else changed)
        for begin in range(0, len(wanted), PLATFORMS_AT_ONCE):
            async with self._database.transaction() as connection:
                await self._bring_up_to_date(connection, wanted[begin : begin + PLATFORMS_AT_ONCE])
        self._pairs = pairs
        self._everything_at = time.monotonic() if everything else self._everything_at
        return True

    async def page(self, viewer: Platform, page: PageRequest) -> tuple[list[ClientInfoView], int]:
        """One page of a viewer's list and its total; what it missed is pushed again. Raises DatabaseAway.

        Objects that nobody made yet are made: a newcomer reads the whole list at once.
        """
        async with self._database.transaction() as connection:
            await self._bring_up_to_date(connection, [viewer.id], only_new=True)
            await repository.try_again(connection, viewer.id, self._clock())
            total = await repository.count(connection, viewer.id, page)
            rows = await repository.listed(connection, viewer.id, page)
        return [ClientInfoView.of(row) for row in rows], total

    async def _announce(self) -> set[UUID]:
        """Let the announced states follow; the platforms whose parties changed."""
        offline_too = not self._suspicion.suspecting
        async with self._database.transaction() as connection:
            changed = await announced.announce(connection, None, self._clock(), offline_too=offline_too)
            for platform_id in changed:
                await parties.touch(connection, platform_id)
        return set(changed)

    async def _bring_up_to_date(self, connection: Any, platforms: Sequence[UUID], *, only_new: bool = False) -> None:
        await repository.one_after_the_other(connection)
        await repository.join_by_hash(connection)
        partners = None if self._policy.open else list(self._partners(frozenset(platforms)))
        await repository.bring_up_to_date(
            connection, self._clock(), sees=SEES, partners=partners, platforms=platforms, only_new=only_new
        )

    def _partners(self, platforms: frozenset[UUID]) -> Iterable[Partner]:
        """(viewer, party) for which an agreement holds now, of and for these platforms."""
        for own, other in self._policy.partners():
            viewer = self._directory.known_platform_of(own)
            seen = self._directory.known_platform_of(other)
            if viewer and seen and own in viewer.party_ids and platforms & {viewer.id, seen.id}:
                yield viewer.id, *other

    def _platforms_of(self, pairs: Iterable[tuple[PartyId, PartyId]]) -> set[UUID]:
        found = (self._directory.known_platform_of(own) for own, _ in pairs)
        return {platform.id for platform in found if platform is not None}
