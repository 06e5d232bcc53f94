"""One attempt to bring one object to one destination, and what follows from its outcome."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from uuid import UUID

import structlog

from hub.db.engine import DatabaseAway
from hub.delivery import backoff, messages, spelling
from hub.delivery.audience import Audience
from hub.delivery.destinations import Destination, Fresh, Pending
from hub.delivery.messages import State
from hub.delivery.outcome import NotSent, Outcome, TimedOut, Unreachable
from hub.delivery.send import DoorOut, RoutedMessage
from hub.delivery.states import States
from hub.delivery.store import Store
from hub.delivery.suspicion import probe_delay
from hub.delivery.verdict import Failed, Passed, Rejected, Taken, judge
from hub.parties.platforms import Platform
from ocpi_modules.spec import Method

OUR_FAULT_SECONDS = 1.0
_log = structlog.get_logger("hub.delivery")
Alarm = Callable[..., None]


@dataclass(slots=True)
class Attempt:
    """A message on its way and the version it brings. `fresh` is the push that it repeats, if it does."""

    message: RoutedMessage
    version: int
    fresh: Fresh | None = None

    @property
    def whole(self) -> bool:
        """Whether it is the whole object."""
        return self.fresh is None or self.fresh.whole


class Sending:
    """`clock` is monotonic, in seconds; `chance` is random in [0, 1).

    `fault_is_ours` is asked when a platform cannot be reached, `answered` hears of one that can.
    """

    def __init__(
        self,
        *,
        store: Store,
        states: States,
        audience: Audience,
        door: DoorOut,
        clock: Callable[[], float],
        chance: Callable[[], float],
        alarm: Alarm,
        fault_is_ours: Callable[[UUID], bool] = lambda platform: False,
        answered: Callable[[UUID], None] = lambda platform: None,
    ) -> None:
        self._store = store
        self._states = states
        self._audience = audience
        self._door = door
        self._clock = clock
        self._chance = chance
        self._alarm = alarm
        self._fault_is_ours = fault_is_ours
        self._answered = answered

    async def deliver(self, destination: Destination, pending: Pending) -> bool:
        """Try once; whatever happens, the object is settled, noted, or waits again. Whether it was sent."""
        try:
            return await self._deliver(destination, pending)
        except DatabaseAway:
            self._give_up_for_now(destination, pending)
        except Exception:
            _log.exception("delivery failed", destination=str(destination.party), module=str(pending.key.module))
            self._give_up_for_now(destination, pending)
        finally:
            if destination.in_flight.get(pending.key) is pending:  # cancelled
                destination.give_back(pending)
        return False

    def _give_up_for_now(self, destination: Destination, pending: Pending) -> None:
        """A fault of ours counts against nobody."""
        destination.not_before = self._clock() + OUR_FAULT_SECONDS
        destination.give_back(pending)

    async def _deliver(self, destination: Destination, pending: Pending) -> bool:
        attempt, platform = None, self._audience.platform_of(destination.party)
        if platform is not None and self._audience.includes(destination.party, platform, pending.key):
            attempt = self._as_pushed(destination, pending, platform)
            if attempt is None:
                attempt = await self._as_it_is(destination, pending)
                platform = self._audience.platform_of(destination.party)  # the database was waited for
                if platform is not None and not self._audience.includes(destination.party, platform, pending.key):
                    attempt = None
        began = self._clock()
        if platform is None:
            destination.away = True
            destination.give_back(pending)
            destination.forget()
        elif attempt is None:
            await self._settle(destination, pending, None)
        elif began >= destination.lease_until:
            destination.give_back(pending)
        else:
            outcome = await self._door.send(spelling.for_platform(attempt.message, platform), platform, push=True)
            await self._follow(destination, pending, attempt, outcome, began)
            return True
        return False

    def _as_pushed(self, destination: Destination, pending: Pending, platform: Platform) -> Attempt | None:
        """The very push, while the receiver has the state before it and takes such a message."""
        fresh = pending.fresh
        if fresh is None or not destination.may_carry(fresh):
            return None
        if fresh.method is Method.PATCH and platform.switches.send_put_for_patch:
            return None
        message = messages.as_pushed(fresh, to=destination.party, hub=self._audience.hub_party)
        return Attempt(message, fresh.version, fresh)

    async def _as_it_is(self, destination: Destination, pending: Pending) -> Attempt | None:
        """The whole object, not older than what the receiver has; None when it is gone."""
        at_least = max(pending.version, destination.delivered.get(pending.key, 0))
        state: State | None = await self._states.get(pending.key, at_least)
        if state is None:
            return None
        message = messages.whole(state, to=destination.party, hub=self._audience.hub_party)
        return Attempt(message, state.version)

    async def _follow(
        self, destination: Destination, pending: Pending, attempt: Attempt, outcome: Outcome, began: float
    ) -> None:
        if not isinstance(outcome, (Unreachable, TimedOut, NotSent)):
            self._answered(destination.platform_id)
        verdict = judge(outcome, attempt.message.method)
        match verdict:
            case Taken():
                await self._worked(destination)
                await self._settle(destination, pending, attempt.version)
            case Passed():
                await self._settle(destination, pending, None)
            case Rejected() if not attempt.whole:
                destination.give_back(pending)  # next as a whole: it may lack what the change belongs to
            case Rejected():
                await self._worked(destination)
                await self._rejected(destination, pending, attempt.version, verdict)
            case Failed() if began < destination.last_failure:
                destination.give_back(pending)  # the same failure, seen by another push
            case Failed() if isinstance(outcome, Unreachable | TimedOut) and self._fault_is_ours(
                destination.platform_id
            ):
                destination.last_failure = self._clock()
                destination.not_before = destination.last_failure + probe_delay(self._chance())
                destination.give_back(pending)
                destination.forget()
            case Failed(passing=True) if pending.owed:
                await self._rejected(destination, pending, attempt.version, verdict)
            case Failed(its_own=False) if _works_otherwise(destination):
                destination.last_failure = self._clock()
                await self._rejected(destination, pending, attempt.version, verdict)
            case Failed():
                await self._failed(destination, pending, verdict)

    async def _settle(self, destination: Destination, pending: Pending, version: int | None) -> None:
        owed = pending.owed or pending.key in destination.owing
        if owed and await self._store.settle(destination, pending.key, version or pending.version):
            destination.owing.discard(pending.key)
        destination.done(pending, version)

    async def _worked(self, destination: Destination) -> None:
        destination.last_success = self._clock()
        destination.stumbled_over.clear()
        destination.concurrency.succeeded()
        if destination.failures:
            destination.failures, destination.not_before = 0, 0.0
        if destination.noted:
            destination.noted = False
            await self._store.succeeded(destination)

    async def _rejected(self, destination: Destination, pending: Pending, version: int, why: Rejected | Failed) -> None:
        """Noted beside the cursor, so that nothing waits behind it (Q-08); poison unless its receiver was not reached."""
        tried = replace(pending, version=version)
        attempts = await self._store.attempts(destination, tried) + 1
        delay = backoff.passing_delay if isinstance(why, Failed) and why.passing else backoff.object_delay
        seconds = delay(attempts, self._chance())
        if not await self._store.owe(destination, tried, attempts, seconds, why.reason):
            destination.give_back(pending)
            return
        destination.owing.add(pending.key)
        destination.done(pending, None)
        if seconds is None:
            module = str(pending.key.module)
            self._alarm("object quarantined", destination=str(destination.party), module=module, reason=why.plain)

    async def _failed(self, destination: Destination, pending: Pending, failed: Failed) -> None:
        now = destination.last_failure = self._clock()
        failures = destination.failures = destination.failures + 1
        if not failed.its_own:
            destination.stumbled(pending.key)
        if failed.timed_out:
            destination.concurrency.timed_out()
        opens = backoff.opens(failures) or failed.retry_after is not None
        destination.not_before = now + backoff.QUICK_SECONDS
        since = await self._store.seconds_failing(destination) if opens else 0.0
        delay = backoff.destination_delay(failures, since, self._chance(), failed.retry_after)
        destination.failures, destination.not_before = failures, now + delay  # also if another push worked meanwhile
        destination.give_back(pending)
        if opens:
            await self._open(destination, failures, delay, failed)

    async def _open(self, destination: Destination, failures: int, delay: float, why: Failed) -> None:
        """Nothing but probes from now on; only the cursor is kept (Q-01). `failures` as this push found them: a renewal beside it
        may forget those that another process has cleared."""
        destination.forget()
        destination.skipping = self._reads_for_itself(destination)
        destination.paused = await self._store.failed(destination, failures, delay, why.reason)
        destination.noted = True
        _log.warning("destination fails", destination=str(destination.party), reason=why.plain, seconds=delay)
        if destination.paused:
            self._alarm("destination paused", destination=str(destination.party), reason=why.plain)

    def _reads_for_itself(self, destination: Destination) -> bool:
        platform = self._audience.platform_of(destination.party)
        return platform is not None and platform.switches.resync == "pull"


def _works_otherwise(destination: Destination) -> bool:
    """Whether it took something since it last failed: then it is this object it stumbles over."""
    return not destination.failures and destination.last_success >= destination.last_failure
