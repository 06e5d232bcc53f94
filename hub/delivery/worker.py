"""Delivers what was stored for everybody. Three loops: keep the leases, read the log, and pass on what this process just stored.

The log is the truth; a fresh change told by this process only goes out sooner (contracts section 7). Only the holder of a lease
sends and moves a cursor, and only under its own epoch. Waking up is a courtesy: polling alone is correct.
"""

import asyncio
import contextlib
import random
import time
from collections import deque
from collections.abc import Callable, Iterable
from uuid import UUID, uuid4

import structlog

from hub.db.engine import DatabaseAway
from hub.delivery import backoff
from hub.delivery.audience import Audience
from hub.delivery.carriers import Carriers
from hub.delivery.catch_up import read_on
from hub.delivery.destinations import Destination, Fresh, Pending
from hub.delivery.messages import State
from hub.delivery.pace import Pace
from hub.delivery.send import DoorOut
from hub.delivery.sending import Alarm, Sending
from hub.delivery.sharing import winner
from hub.delivery.states import States
from hub.delivery.store import Lease, Store
from hub.delivery.suspicion import Suspicion
from hub.parties.platforms import Platform
from ocpi_modules.message import PartyId
from ocpi_modules.spec import Method

BEATS_A_LEASE = 5
SENDING_PART = 0.8
"""Of a lease; what is sent later might arrive after what the next holder sends."""
PAUSE_SECONDS = 1.0
POLL_SECONDS = 0.25
ABSENT_SECONDS = 3600.0
"""Between two looks at who is gone for days; before the first one a hub that was down itself has asked everybody."""
MOST_IN_FLIGHT = 1_000
MOST_FRESH = 10_000
MANY = 10
STOP_SECONDS = 5.0
_log = structlog.get_logger("hub.delivery")


class DeliveryWorker:
    """One per process. `run` delivers until it is cancelled; then it gives its leases back.

    Once `moved` says that the database is another, what is under way at the end is broken off: nothing it leads to can be stored.
    """

    def __init__(
        self,
        *,
        store: Store,
        audience: Audience,
        door: DoorOut,
        alarm: Alarm,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
        moved: Callable[[], bool] = lambda: False,
    ) -> None:
        self.id: UUID = uuid4()
        self.destinations: dict[PartyId, Destination] = {}
        self._store = store
        self._audience = audience
        self._states = States(store, clock=clock)
        self._lease_seconds = store.lease_seconds
        self._suspicion = Suspicion(clock)
        self._alarm = alarm
        self._clock = clock
        self._chance = chance
        self._moved = moved
        self._look_for_absent = clock() + ABSENT_SECONDS
        self._sending = Sending(
            store=store,
            states=self._states,
            audience=audience,
            door=door,
            clock=clock,
            chance=chance,
            alarm=alarm,
            fault_is_ours=lambda platform: self._suspicion.failed(platform, self._platforms()),
            answered=self._suspicion.answered,
        )
        self._pace = Pace(audience, clock, lambda *turn: asyncio.get_running_loop().call_later(*turn))
        self._carriers = Carriers(self._deliver, self._finished, MOST_IN_FLIGHT)
        self._fresh: deque[Fresh] = deque(maxlen=MOST_FRESH)
        self._told = asyncio.Event()
        self._heard: set[UUID] = set()
        self._waking: list[float] = []
        self._more_to_read = asyncio.Event()

    # Callbacks: they never wait

    def told(self, fresh: Fresh) -> None:
        """This process committed a change; what does not fit here comes out of the log."""
        self._fresh.append(fresh)
        self._told.set()

    def heard(self, platform: Platform) -> None:
        """A platform called: what it is owed may be tried at once (Q-01)."""
        self._heard.add(platform.id)

    def wake(self) -> None:
        """Another process stored something: look into the log now."""
        self._more_to_read.set()

    # The loops

    async def run(self) -> None:
        """Deliver for ever."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._keep_leases())
                group.create_task(self._read_log())
                group.create_task(self._pass_on())
        finally:
            await self._stop()

    async def _keep_leases(self) -> None:
        while True:
            try:
                await self.beat()
            except DatabaseAway as away:
                _log.warning("leases_not_renewed", reason=str(away))
            await asyncio.sleep(self._lease_seconds / BEATS_A_LEASE)

    async def _read_log(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._more_to_read.wait()
            self._more_to_read.clear()
            try:
                await self._catch_up()
            except DatabaseAway as away:
                _log.warning("change_log_not_read", reason=str(away))
                await asyncio.sleep(PAUSE_SECONDS)

    async def _pass_on(self) -> None:
        while True:
            await self._told.wait()
            self._told.clear()
            while self._fresh:
                fresh = self._fresh.popleft()
                if fresh.method is Method.PUT and fresh.whole:
                    self._states.put(State(fresh.key, fresh.version, fresh.body, correlation_id=fresh.correlation_id))
                pending = Pending(fresh.key, fresh.version, fresh, urgent=fresh.revoked)
                for destination in self.destinations.values():
                    destination.told(pending)
            self._pump_all()

    # What they do

    async def beat(self) -> None:
        """Clear the back-off of who called, renew leases and store cursors, take what is ours to take. Raises DatabaseAway."""
        heard, self._heard = self._heard, set()
        if heard:
            try:
                await self._store.clear_backoff(heard)
            except DatabaseAway:
                self._heard |= heard
                raise
        await self._renew()
        await self._share(await self._store.beat(self.id))
        await self._collect_debts(self.destinations.values())
        await self._pause_absent()
        self._more_to_read.set()

    async def _renew(self) -> None:
        held = list(self.destinations.values())
        if not held:
            return
        began, woken = self._clock(), []
        standings = await self._store.renew(held)
        for destination in held:
            standing = standings.get(destination.party)
            if standing is None:
                self._lose(destination)
                continue
            destination.lease_until = self._sending_ends(began)
            if standing.paused and not destination.paused:
                destination.forget()
            destination.paused = standing.paused
            if standing.failures and not destination.noted:
                destination.noted = True  # stored after all, or before it worked
            if destination.noted and destination.failures and not standing.failures:
                destination.failures, destination.not_before = 0, 0.0
                woken.append(destination)
        self._spread(woken)

    async def _share(self, workers: list[UUID]) -> None:
        for destination in list(self.destinations.values()):
            destination.leaving = winner(str(destination.party), workers) != self.id
            if destination.leaving and destination.idle:
                del self.destinations[destination.party]
                await self._store.release([destination])
        mine = [party for party in await self._store.free() if winner(party, workers) == self.id]
        if not mine:
            return
        began = self._clock()
        leases = await self._store.take(self.id, mine)
        for lease in leases:
            await self._begin(lease, began, len(leases))

    async def _begin(self, lease: Lease, began: float, how_many: int) -> None:
        destination = lease.destination
        destination.lease_until = self._sending_ends(began)
        if not lease.same_cluster and not await self._restart(destination, walk=True):
            return
        destination.owing = await self._store.owing(destination)
        destination.not_before = began + (backoff.spread(how_many, self._chance()) if how_many > MANY else 0.0)
        if lease.wait_seconds is not None:
            destination.not_before = max(destination.not_before, began + lease.wait_seconds)
        former = self.destinations.get(destination.party)
        if former is not None:
            self._lose(former)
        self.destinations[destination.party] = destination

    async def _restart(self, destination: Destination, *, walk: bool) -> bool:
        """Go on at the end of the log, with or without a walk through all objects; False: the lease is lost."""
        end = await self._store.restart(destination, walk=walk)
        if end is None:
            return False
        destination.cursor = destination.ahead = end
        destination.walk = () if walk else None
        destination.skipping = False
        destination.forget()
        return True

    async def _lost_its_place(self, destination: Destination) -> None:
        """The log was dropped up to behind its cursor (Q-01)."""
        platform = self._audience.platform_of(destination.party)
        pull = platform is not None and platform.switches.resync == "pull"
        _log.warning("destination needs everything", destination=str(destination.party), reads_for_itself=pull)
        await self._restart(destination, walk=not pull)

    def _sending_ends(self, began: float) -> float:
        return began + SENDING_PART * self._lease_seconds

    def _platforms(self) -> int:
        return len({one.platform_id for one in self.destinations.values() if not one.away})

    def _lose(self, destination: Destination) -> None:
        """Another worker may have it: what is under way is broken off."""
        destination.lease_until = 0.0
        if self.destinations.get(destination.party) is destination:
            del self.destinations[destination.party]
        self._carriers.break_off(destination)

    async def _collect_debts(self, of: Iterable[Destination]) -> None:
        """What is due beside the cursor; to those that have enough to do only what is revoked."""
        ready = {one.party: not one.busy for one in of if self._may_get(one)}
        for party, pending in await self._store.owed(ready) if ready else ():
            destination = self.destinations.get(party)
            if destination is not None:
                destination.owing.add(pending.key)
                destination.want(pending)

    async def _pause_absent(self) -> None:
        """Who is OFFLINE is never tried and so never fails: after five days it is paused all the same (Q-01)."""
        if self._clock() < self._look_for_absent:
            return
        away = [one for one in self.destinations.values() if one.away and not one.paused]
        reason = "Its platform is OFFLINE and was not heard of for days."
        for party in await self._store.pause_absent(away, reason) if away else ():
            if (destination := self.destinations.get(party)) is not None:
                destination.paused = True
            self._alarm("destination paused", destination=str(party), reason=reason)
        self._look_for_absent = self._clock() + ABSENT_SECONDS

    async def _catch_up(self) -> None:
        await self._notice_who_is_away()
        await self._collect_debts([one for one in self.destinations.values() if not one.forewarned])
        ready = [destination for destination in self.destinations.values() if self._may_get(destination)]
        if await read_on(self._store, ready, self._lost_its_place):
            self._more_to_read.set()
        self._pump_all()

    async def _notice_who_is_away(self) -> None:
        """Who is OFFLINE is not sent to; its cursor stays. On return it catches up, or reads for itself (`resync = pull`)."""
        back = []
        for destination in list(self.destinations.values()):
            platform = self._audience.platform_of(destination.party)
            if platform is None:
                if not destination.away:
                    destination.forget()
                destination.away = True
            elif destination.away or (destination.skipping and self._clock() >= destination.not_before):
                if platform.switches.resync == "pull" and not await self._restart(destination, walk=False):
                    continue
                if destination.away:
                    back.append(destination)
                destination.away = destination.skipping = False
        self._spread(back)

    def _spread(self, woken: list[Destination]) -> None:
        """Many that wake at once, or before those have begun that woke a moment ago, begin one after the other (Q-11, F-25)."""
        now = self._clock()
        self._waking = [begins for begins in self._waking if begins > now]
        many = len(self._waking) + len(woken)
        for destination in woken if many > MANY else ():
            begins = now + backoff.spread(many, self._chance())
            destination.not_before = max(destination.not_before, begins)
            self._waking.append(begins)

    def _may_get(self, destination: Destination) -> bool:
        closed = destination.paused or destination.leaving or destination.away
        return not closed and self._clock() >= destination.not_before

    # Sending

    def _pump_all(self) -> None:
        for destination in self.destinations.values():
            self._pump(destination)

    def _pump(self, destination: Destination) -> None:
        while destination.waiting and self._carriers.free and not destination.away:
            pending = self._pace.take(destination, self._pump)
            if pending is None:
                return
            self._carriers.give(destination, pending)

    async def _deliver(self, destination: Destination, pending: Pending) -> None:
        """Deliver, and then what waits for the same destination; what was not sent ends it."""
        following: Pending | None = pending
        while following is not None and await self._sending.deliver(destination, following):
            if (
                not destination.waiting
                or destination.away
                or self.destinations.get(destination.party) is not destination
            ):
                return
            following = self._pace.take(destination, self._pump)
            if destination.waiting:
                self._pump(destination)

    def _finished(self, destination: Destination) -> None:
        if self.destinations.get(destination.party) is not destination:
            return
        self._pump(destination)
        if not destination.live and not destination.in_flight and destination.hungry:
            self._more_to_read.set()

    async def _stop(self) -> None:
        """Let what is under way end, then store the cursors and give everything back (Q-02)."""
        for destination in self.destinations.values():
            destination.leaving = True
        await self._carriers.stop(0 if self._moved() else STOP_SECONDS)
        with contextlib.suppress(DatabaseAway):
            if self.destinations:
                await self._store.release(list(self.destinations.values()))
            await self._store.leave(self.id)
