"""One run through a party's list: page by page, stored as it comes, ended with a sentence (U-10, U-51, X-44 to X-46).

What is not on any page of a whole list is not valid any more (X-44, L-16, T-04); of a list of changes nothing follows from it
(X-45). Lists move while they are read, so that an object may slip from one page to another: what seems to have vanished is looked
for once more from the first page on, and only what was missing twice, and nobody touched since the run began, is taken out.
Tokens are never taken out: `valid` is their owner's word.
"""

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from hub.db.engine import Database
from hub.delivery.outcome import Delivered, Garbled, Outcome
from hub.delivery.send import DoorOut, RoutedMessage
from hub.delivery.verdict import Failed, Rejected, judge
from hub.objects import changelog
from hub.parties.directory import Directory
from hub.parties.platforms import Platform
from hub.pulls import repository
from hub.pulls.entries import Entry, read
from hub.pulls.pages import LIMIT, Asked, Way, following, here, missing
from hub.pulls.runs import FIRST, SECOND, TAKING_OUT, Run
from hub.pulls.schedule import forbidden
from hub.pulls.storing import Storing
from ocpi_modules import json, registry
from ocpi_modules.http.crawl import MAXIMUM_PAGES
from ocpi_modules.message import Clock
from ocpi_modules.spec import InterfaceRole, Method, ModuleID

TRIES = 5
FIRST_PAUSE_SECONDS = 30.0
LONGEST_PAUSE_SECONDS = 3600.0
AWAY_SECONDS = 60.0
TURN = timedelta(minutes=5)
"""So long a run keeps its place; then it goes on behind those that wait."""
LONGEST = timedelta(hours=12)
"""A run that has not come to its end then is over: neither a slow partner nor one that waits is read for ever."""
FEW = 20
"""So many objects may vanish in any run; of more, at most half, unless an operator asked for the run."""

_log = structlog.get_logger("hub.pulls")


@dataclass(frozen=True)
class Finished:
    """The run came to the end of the list."""

    run: Run
    said: str


@dataclass(frozen=True)
class Broken:
    """The run is over without having come to the end; nothing is taken out."""

    said: str


@dataclass(frozen=True)
class PutOff:
    """The run waits so many seconds and goes on with the same page."""

    seconds: float
    failures: int
    said: str


Stop = Finished | Broken | PutOff


class Crawl:
    """Raises LeaseLost and DatabaseAway; the run then stands where it was last stored."""

    def __init__(
        self, *, database: Database, directory: Directory, door: DoorOut, storing: Storing, clock: Clock
    ) -> None:
        self._database = database
        self._directory = directory
        self._door = door
        self._storing = storing
        self._clock = clock

    async def go_on(self, run: Run) -> None:
        """From where the run stands to its end, to where it has to wait, or to where its turn or its time is over."""
        way, step = Way(), self._take_out if run.look == TAKING_OUT else self._next_page
        began = self._clock()
        while True:
            after = _out_of_time(run, began, self._clock()) or await step(run, way)
            if not isinstance(after, Run):
                return await self._stop(run, after)
            if after.look != run.look:
                way, step = Way(), self._take_out if after.look == TAKING_OUT else self._next_page
            run = after

    async def _next_page(self, run: Run, way: Way) -> Run | Stop:
        platform = self._directory.known_platform_of(run.party)
        reason = forbidden(platform, run.party, run.module)
        if platform is None or reason is not None:
            return Broken(str(reason))
        if not platform.connected:
            return PutOff(AWAY_SECONDS, run.failures, f"{run.party} is not connected.")
        async with self._database.connection() as connection:
            since = await changelog.end_of_log(connection)
        endpoint = str(platform.endpoint(run.module, InterfaceRole.SENDER))
        limit = platform.switches.at_most(LIMIT)
        url = here(run.next_url, endpoint, run.received, run.date_from, limit)
        asked = Asked(endpoint, url, run.date_from, limit)
        outcome = await self._ask(run, platform, asked)
        if isinstance(outcome, Delivered):
            return await self._read(run, asked, outcome, way, since.xid)
        return _stumbled(run, outcome)

    async def _ask(self, run: Run, platform: Platform, asked: Asked) -> Outcome:
        message = RoutedMessage(
            method=Method.GET,
            module=run.module,
            interface=InterfaceRole.SENDER,
            to=run.party,
            sender=self._directory.hub_party,
            url=asked.url,
        )
        return await self._door.send(message, platform)

    async def _read(self, run: Run, asked: Asked, page: Delivered, way: Way, since: int) -> Run | Stop:
        documents = [] if page.answer.data is None else page.answer.data
        if not isinstance(documents, list):
            return Broken("The `data` of a page is not an array.")
        data = json.members(page.body)["data"] if documents else b"[]"
        if way.repeats(asked.url, bytes(data), len(documents)):
            return Broken("A page came twice: the pages lead round in a circle.")
        entries = await self._entries(run, json.entries(data), documents)
        received = run.received + len(entries)
        step = following(asked, page.headers, count=len(entries), received=received)
        if step.flag and step.flag != run.flag:
            _log.warning("pages_differ", party=str(run.party), module=str(run.module), how=step.flag)
        after = replace(
            run,
            next_url=step.url,
            received=received,
            pages=run.pages + 1,
            objects=run.objects + (len(entries) if run.look == FIRST else 0),
            failures=0,
            said="" if run.failures else run.said,
            flag=step.flag or run.flag,
        )
        after = await self._storing.page(run, after, entries, since)
        if step.url is None:
            return await self._end_of_look(after, missing(page.headers, received))
        if after.pages >= MAXIMUM_PAGES * after.look:
            return Broken(f"The list has more than {MAXIMUM_PAGES} pages.")
        return after

    async def _entries(self, run: Run, raws: list[bytes], documents: list[Any]) -> list[Entry]:
        module, entries = registry.module("2.2.1", run.module), []
        for raw, document in zip(raws, documents, strict=True):
            entries.append(read(module, run.party, raw, document, self._clock()))
            if len(entries) % 10 == 0:
                await asyncio.sleep(0)  # a page may be large, and others are waiting
        return entries

    async def _end_of_look(self, run: Run, lacking: int) -> Run | Stop:
        if lacking:
            return Broken(f"X-Total-Count names {lacking} more objects than the pages brought.")
        if not run.whole:
            return Finished(run, run.said)
        if run.unnamed:
            return Finished(run, f"{run.said} Nobody can tell which object that is; so nothing was taken out.")
        async with self._database.connection() as connection:
            gone = await repository.count_vanished(connection, str(run.party), str(run.module))
            kept = await repository.count_kept(connection, str(run.party), str(run.module))
        if not gone:
            return Finished(run, run.said)
        if run.module is ModuleID.tokens:
            said = f"{gone} tokens kept here are not in its list; they stay as they are, `valid` is their owner's word."
            return Finished(await self._storing.moved(replace(run, vanished=gone)), said)
        if run.look == FIRST:
            return await self._storing.moved(replace(run, look=SECOND, next_url=None, received=0))
        if gone > FEW and 2 * gone > kept and not run.by_hand:
            said = f"{gone} of {kept} objects are not in its list; that many are taken out by `pull start --full` only."
            return Finished(run, said)
        return await self._storing.moved(replace(run, look=TAKING_OUT))

    async def _take_out(self, run: Run, way: Way) -> Stop:
        key: str | None = ""
        while key is not None:
            run, key = await self._storing.taken_out(run, key)
        return Finished(run, run.said)

    async def _stop(self, run: Run, stop: Stop) -> None:
        """Store how the run ended, or until when it waits."""
        who = {"party": str(run.party), "module": str(run.module)}
        async with self._database.transaction() as connection:
            match stop:
                case Finished(ended, said):
                    if run.whole and await repository.hold(connection, *run.key):
                        await repository.forget_seen(connection, *run.key[:2])
                    await repository.end(connection, *run.key, self._clock(), said=said, proven=run.whole)
                    _log.info("pulled", **who, objects=ended.objects, changed=ended.changed, vanished=ended.vanished)
                case Broken(said):
                    await repository.fail(connection, *run.key, self._clock(), said)
                    _log.warning("pull_failed", **who, reason=said)
                case PutOff(seconds, failures, said):
                    await repository.put_off(connection, *run.key, seconds, failures, said)
                    _log.info("pull_put_off", **who, seconds=seconds, reason=said)


def _out_of_time(run: Run, began: datetime, now: datetime) -> Stop | None:
    """`began`: when the run got its place."""
    if now - run.began_at >= LONGEST:
        hours = LONGEST.total_seconds() / 3600
        said = f"It was not through after {hours:g} hours: {run.objects} objects on {run.pages} pages had come"
        return Broken(
            f"{said}; they are kept, nothing was taken out, and the next run begins anew. {run.said}".rstrip()
        )
    if now - began >= TURN:
        return PutOff(0.0, run.failures, run.said)
    return None


def _stumbled(run: Run, outcome: Outcome) -> Stop:
    """Come back later to the same page, unless the answer was a plain no or the party has failed too often."""
    match judge(outcome, Method.GET):
        case Rejected(reason):
            return Broken(reason)
        case Failed(reason) if run.failures + 1 >= TRIES or _unreadable(outcome):
            return Broken(reason)
        case Failed(reason, retry_after=retry_after):
            pause = FIRST_PAUSE_SECONDS * 2**run.failures if retry_after is None else max(1.0, retry_after)
            return PutOff(min(pause, LONGEST_PAUSE_SECONDS), run.failures + 1, reason)
        case _:
            return Broken(f"{run.party} does not offer the SENDER interface of {run.module}.")


def _unreadable(outcome: Outcome) -> bool:
    """An answer too large or not HTTP at all: it will not be another one in a minute (F-21)."""
    return isinstance(outcome, Garbled) and outcome.http_status == 0
