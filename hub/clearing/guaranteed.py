"""Posts the CDRs whose delivery the hub owns until their receivers take them (promises section 2, `guaranteed`).

What is due stands in the database. Every process takes some of it for as long as an attempt may last: after a kill another goes
on. A receiver that fails rests in the memory of each process; a CDR that is refused three times waits for its CPO or an operator.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

import structlog

from hub.clearing import guaranteed_repository as repository
from hub.clearing.answers import location_of
from hub.clearing.guaranteed_repository import Due
from hub.db.engine import Database, DatabaseAway
from hub.delivery import backoff
from hub.delivery.outcome import Garbled, Outcome, Refused
from hub.delivery.send import DoorOut, RoutedMessage
from hub.delivery.verdict import Failed, Passed, Rejected, Taken, judge, reason_of
from hub.parties.platforms import Platform
from ocpi_modules import json
from ocpi_modules.message import Clock, PartyId
from ocpi_modules.spec import InterfaceRole, Method, ModuleID

POLL_SECONDS = 1
CLAIM = timedelta(seconds=60)
"""Beyond what a receiver may take, of a session and of its CDR (`push_timeout`): who claimed it is dead, or has told."""
AT_ONCE = 16
MOST_EACH = 4
"""Attempts under way to one receiver, so that one that answers slowly holds nobody else up (Q-10)."""
_log = structlog.get_logger("hub.clearing")


class Receivers(Protocol):
    """The directory, as far as it is in memory."""

    def platforms(self) -> Iterable[Platform]: ...


class Journal(Protocol):
    """Where the outcome of an attempt is recorded."""

    async def record(
        self, owner: PartyId, id_folded: str, receiver: PartyId, outcome: Outcome, location: str | None
    ) -> None: ...


class Sessions(Protocol):
    """What their receivers still lack of sessions."""

    async def before_cdr(self, cdr: Mapping[str, Any], owner: PartyId, receiver: PartyId) -> None: ...


@dataclass
class Rest:
    """A receiver that fails: since when, and until when it is left alone."""

    since: datetime
    until: datetime
    failures: int = 0


class GuaranteedDelivery:
    """One per process. `run` delivers until it is cancelled."""

    def __init__(
        self,
        *,
        database: Database,
        receivers: Receivers,
        door: DoorOut,
        journal: Journal,
        sessions: Sessions,
        alarm: Callable[..., None],
        clock: Clock,
        chance: random.Random | None = None,
    ) -> None:
        self._database = database
        self._receivers = receivers
        self._door = door
        self._journal = journal
        self._sessions = sessions
        self._alarm = alarm
        self._clock = clock
        self._chance = chance or random.Random()  # noqa: S311 (spreads retries)
        self._resting: dict[str, Rest] = {}
        self._woken = asyncio.Event()
        self._under_way: dict[asyncio.Task[None], str] = {}

    # Callbacks: they never wait

    def wake(self) -> None:
        """A CDR was journalled."""
        self._woken.set()

    def heard(self, platform: Platform) -> None:
        """A platform called: what it is owed may be tried at once (Q-01)."""
        if self._resting:
            for party in platform.party_ids:
                self._resting.pop(str(party), None)

    async def run(self) -> None:
        """Deliver for ever."""
        try:
            while True:
                try:
                    begun = await self.begin()
                except DatabaseAway as away:
                    begun = False
                    _log.warning("cdrs_not_delivered", reason=str(away))
                if not begun:
                    await self._rest()
        finally:
            for task in self._under_way:
                task.cancel()

    async def round(self) -> bool:
        """Begin what is due and wait for what becomes of it; False when there was nothing. Raises DatabaseAway."""
        await asyncio.gather(*self._under_way)
        begun = await self.begin()
        await asyncio.gather(*self._under_way)
        return begun

    async def begin(self) -> bool:
        """Take as much of what is due as there is room for; False when there was nothing or no room. Raises DatabaseAway."""
        room = AT_ONCE - len(self._under_way)
        platforms = self._within_reach() if room > 0 else {}
        if not platforms:
            return False
        longest = max(platform.switches.push_timeout or 0 for platform in platforms.values())
        claim = CLAIM + 2 * timedelta(seconds=longest)
        async with self._database.transaction() as connection:
            due = await repository.claim_due(connection, list(platforms), claim, room, MOST_EACH)
        for one in due:
            task = asyncio.create_task(self._attempt(one, platforms[one.receiver]))
            self._under_way[task] = one.receiver
            task.add_done_callback(self._ended)
        return bool(due)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._under_way[task]
        self._woken.set()

    async def _rest(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(POLL_SECONDS):
                await self._woken.wait()
        self._woken.clear()

    def _within_reach(self) -> dict[str, Platform]:
        now = self._clock()
        return {
            str(party): platform
            for platform in self._receivers.platforms()
            if platform.connected
            for party in platform.party_ids
            if (str(party) not in self._resting or now >= self._resting[str(party)].until)
            and str(party) not in self._under_way.values()
        }

    async def _attempt(self, due: Due, platform: Platform) -> None:
        try:
            await self._deliver(due, platform)
        except Exception:
            _log.exception("cdr not delivered", owner=due.owner, receiver=due.receiver)

    async def _deliver(self, due: Due, platform: Platform) -> None:
        """Whatever happens, the claim ends some time and the CDR is due again."""
        owner, receiver = PartyId.read(due.owner), PartyId.read(due.receiver)
        await self._sessions.before_cdr(json.decode(due.body), owner, receiver)
        outcome = await self._door.send(_message(due, owner, receiver), platform, push=True)
        endpoint = platform.endpoint(ModuleID.cdrs, InterfaceRole.RECEIVER) or ""
        await self._journal.record(owner, due.id_folded, receiver, outcome, location_of(outcome, endpoint))
        match judge(outcome, Method.POST):
            case Taken():
                self._resting.pop(due.receiver, None)
            case Rejected() as rejected if not _is_absent(outcome):
                await self._refused(due, rejected.plain)
            case Failed() as failed:
                await self._failed(due, failed)
            case Rejected() | Passed():
                await self._failed(due, Failed(reason_of(outcome)))

    async def _refused(self, due: Due, reason: str) -> None:
        refusals = due.refusals + 1
        seconds = backoff.object_delay(refusals, self._chance.random())
        await self._put_off(due, None if seconds is None else timedelta(seconds=seconds), refusals)
        if seconds is None:
            self._alarm("cdr refused", owner=due.owner, id=due.id_folded, receiver=due.receiver, reason=reason)

    async def _failed(self, due: Due, failed: Failed) -> None:
        now = self._clock()
        rest = self._resting.setdefault(due.receiver, Rest(now, now))
        if now >= rest.until:  # not the same failure, seen by another CDR
            rest.failures += 1
            failing = (now - rest.since).total_seconds()
            seconds = backoff.destination_delay(rest.failures, failing, self._chance.random(), failed.retry_after)
            rest.until = now + timedelta(seconds=seconds)
        await self._put_off(due, timedelta(), due.refusals)

    async def _put_off(self, due: Due, wait: timedelta | None, refusals: int) -> None:
        try:
            async with self._database.transaction() as connection:
                await repository.put_off(connection, due, wait, refusals)
        except DatabaseAway:
            _log.warning("cdr_claim_runs_out", owner=due.owner, seconds=CLAIM.total_seconds())


def _is_absent(outcome: Outcome) -> bool:
    """The whole interface is not there, as while a receiver is renewed: no word about this CDR."""
    return isinstance(outcome, Refused | Garbled) and outcome.http_status in (404, 405)


def _message(due: Due, owner: PartyId, receiver: PartyId) -> RoutedMessage:
    """The CPO's own bytes, FROM = the CPO (R-11)."""
    return RoutedMessage(
        method=Method.POST,
        module=ModuleID.cdrs,
        interface=InterfaceRole.RECEIVER,
        to=receiver,
        sender=owner,
        body=due.body,
        correlation_id=due.correlation_id,
    )
