"""One page of everybody's objects that a viewer may see, in the order (owner, created_seq), with an exact total.

The owners the viewer may see stand one after the other, as shelves whose lengths are the exact counters. A Link carries the key
of the last object shown, and the next page goes on behind it: at any depth an index look-up, and whatever is written meanwhile,
no object is missed or shown twice. A bare offset is counted along the shelves and, inside one, found by the page map; objects
that come in meanwhile push others back, never forward, so that it may show one twice but misses none. Where objects were taken
out, the total shrank, and the reader goes back by as many (X-37).
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, NamedTuple, Protocol

from hub.db.engine import Database
from hub.objects import page_repository as repository
from hub.objects.listed_repository import OWNER
from hub.objects.listing import EVERYBODY
from hub.objects.page_repository import (
    BEGINNING,
    END,
    OF_THE_VIEWER,
    ONE_AUDIENCE,
    OWN_ELSE_EVERYBODYS,
    Chunk,
    Counted,
    Source,
    Span,
    Spot,
    Start,
)
from ocpi_modules.message import PartyId
from ocpi_modules.paging import PageRequest
from ocpi_modules.spec import ModuleID

FOR_ONE_PARTY = frozenset({ModuleID.sessions, ModuleID.cdrs})
"""Modules of which there is never a copy for everybody (R-44, R-66)."""
_FEW = 20
"""Below one in so many, what changed is found by its date instead of by walking along the list."""
_VIEWERS_REMEMBERED = 256
_SHELVES_REMEMBERED = 100


class Key(NamedTuple):
    """The place of an object in a list."""

    owner: str
    seq: int


@dataclass(slots=True)
class Asking:
    """Who asks for which page. `sees` is asked for every other owner, `others` and `own` whether it may ask for these at all.

    `after` is the key a Link carried; it takes the place of the offset.
    """

    module: ModuleID
    viewer: PartyId
    page: PageRequest
    sees: Callable[[PartyId], bool]
    others: bool
    own: bool
    after: Key | None = None


@dataclass(slots=True)
class Found:
    """`next` is None on the last page."""

    bodies: bytes
    """Joined by commas."""
    count: int
    total: int
    next: Key | None


class Shelf(NamedTuple):
    """What the viewer finds of one owner: `total` objects."""

    owner: str
    audience: str
    total: int
    source: Source
    few: bool = False
    thinned: bool = False
    """Its first objects are not kept any more."""


class Shelves(Protocol):
    """Where the objects of a module lie."""

    def shelf(self, asking: Asking, counted: Collection[Counted]) -> Shelf:
        """The shelf of one owner from its counters."""
        ...

    def start(self, shelf: Shelf, offset: int) -> Start | None:
        """Where an offset inside the shelf lies; None when the database must be asked."""
        ...


class ObjectShelves:
    """Locations, sessions, tariffs, tokens."""

    def shelf(self, asking: Asking, counted: Collection[Counted]) -> Shelf:
        by_audience = {counter.audience: counter for counter in counted}
        owner = next(iter(counted)).owner
        viewer = str(asking.viewer)
        if OWNER in by_audience:
            return Shelf(owner, viewer, by_audience[OWNER].listed, OF_THE_VIEWER)
        everybodys, own = by_audience.get(EVERYBODY), by_audience.get(viewer)
        if everybodys is None or not everybodys.listed:
            return Shelf(owner, viewer, own.listed if own else 0, ONE_AUDIENCE)
        if own is None or not own.kept:
            return Shelf(owner, EVERYBODY, everybodys.listed, ONE_AUDIENCE)
        return Shelf(owner, viewer, everybodys.listed + own.listed, OWN_ELSE_EVERYBODYS)

    def start(self, shelf: Shelf, offset: int) -> Start | None:
        if shelf.source is ONE_AUDIENCE:
            return Start.by_the_map(offset)
        return None if shelf.source is OWN_ELSE_EVERYBODYS else Start(-1, offset)


@dataclass(slots=True)
class _Last:
    """What was there when a viewer last asked: what was counted, the shelves that makes with their owners (None: the viewer
    itself), and those of them it was shown."""

    counted: list[Counted]
    offered: list[tuple[PartyId | None, Shelf]]
    shown: list[Shelf]


class Pages:
    """Reads pages; `shelves` where a module's objects do not lie among the kept copies (CDRs).

    Counters and objects come with one statement, which must name the shelf before the counters are known. So the shelves a
    viewer was shown last are remembered, as a guess where its next page lies. What came is taken only where the counters that
    came with it say the same; otherwise it is read again. Nothing of what is answered is remembered, nor who may see what.
    """

    def __init__(self, database: Database, shelves: Shelves | None = None) -> None:
        self._database = database
        self._shelves = shelves or ObjectShelves()
        self._remembered: dict[tuple[Any, ...], _Last] = {}

    async def read(self, asking: Asking) -> Found:
        """Raises DatabaseAway."""
        span = _span(asking.page)
        guess = None if span else self._guess(asking)
        async with self._database.connection() as connection:
            counted, guessed = await self._counters(connection, asking, guess)
            shelves = self._visible(asking, counted)
            if span:
                shelves = await self._changed(connection, asking, shelves, span)
            chunks, more = await self._chunks(connection, asking, shelves, span, (guess, guessed))
        chunks = [chunk for chunk in chunks if chunk.count]
        following = Key(chunks[-1].owner, chunks[-1].last_seq) if more and chunks else None
        bodies = b",".join([chunk.bodies for chunk in chunks])
        total = sum([shelf.total for shelf in shelves])
        return Found(bodies, sum([chunk.count for chunk in chunks]), total, following)

    def _guess(self, asking: Asking) -> Spot | None:
        last = self._remembered.get(_who(asking))
        shelves, offset, seq = _entered(last.shown if last else (), asking)
        return self._spot(asking, shelves[0], offset, seq) if shelves else None

    def _spot(self, asking: Asking, shelf: Shelf, offset: int, seq: int) -> Spot | None:
        start = self._shelves.start(shelf, offset) if offset or not seq else Start(seq)
        return Spot(shelf.source, (shelf.owner, asking.module, shelf.audience), start) if start else None

    async def _counters(
        self, connection: Any, asking: Asking, guess: Spot | None
    ) -> tuple[list[Counted], Chunk | None]:
        viewer = str(asking.viewer)
        audiences = (viewer, viewer) if asking.module in FOR_ONE_PARTY else (EVERYBODY, viewer)
        seen, own = audiences if asking.others else ("", ""), viewer if asking.own else ""
        if guess is None:
            return await repository.counters(connection, asking.module, seen, own), None
        return await repository.counters_and_chunk(connection, seen, own, guess, asking.page.limit)

    def _visible(self, asking: Asking, counted: list[Counted]) -> list[Shelf]:
        """The shelves of the owners the viewer may see now, by owner."""
        who = _who(asking)
        last = self._remembered.pop(who, None)
        offered = last.offered if last and last.counted == counted else self._offered(asking, counted)
        shelves = [shelf for owner, shelf in offered if owner is None or asking.sees(owner)]
        if len(offered) <= _SHELVES_REMEMBERED:
            self._remembered[who] = _Last(counted, offered, shelves)
        if len(self._remembered) > _VIEWERS_REMEMBERED:
            del self._remembered[next(iter(self._remembered))]
        return shelves

    def _offered(self, asking: Asking, counted: Collection[Counted]) -> list[tuple[PartyId | None, Shelf]]:
        viewer = str(asking.viewer)
        by_owner: dict[str, list[Counted]] = {}
        for counter in counted:
            if (counter.audience == OWNER) == (counter.owner == viewer):
                by_owner.setdefault(counter.owner, []).append(counter)
        shelves = [self._shelves.shelf(asking, by_owner[owner]) for owner in sorted(by_owner)]
        return [
            (None if shelf.owner == viewer else PartyId.read(shelf.owner), shelf) for shelf in shelves if shelf.total
        ]

    async def _changed(self, connection: Any, asking: Asking, shelves: list[Shelf], span: Span) -> list[Shelf]:
        """The same shelves with only what changed within the span."""
        simple = [(shelf.owner, shelf.audience) for shelf in shelves if shelf.source is ONE_AUDIENCE]
        totals = await repository.counts_changed(connection, asking.module, simple, span) if simple else {}
        for shelf in shelves:
            if shelf.owner not in totals:
                place = (shelf.owner, asking.module, shelf.audience)
                totals[shelf.owner] = await repository.count_changed(connection, shelf.source, place, span)
        return [
            shelf._replace(total=totals[shelf.owner], few=totals[shelf.owner] * _FEW < shelf.total)
            for shelf in shelves
            if totals[shelf.owner]
        ]

    async def _chunks(
        self,
        connection: Any,
        asking: Asking,
        shelves: Sequence[Shelf],
        span: Span | None,
        known: tuple[Spot | None, Chunk | None],
    ) -> tuple[list[Chunk], bool]:
        """The page, and whether there is another one; `known` is what was read already, as long as a whole page, and where."""
        guess, guessed = known
        missing, more = asking.page.limit, False
        chunks: list[Chunk] = []
        shelves, offset, seq = _entered(shelves, asking)
        while shelves and missing > 0:
            spot = None if span else self._spot(asking, shelves[0], offset, seq)
            right = guessed if spot == guess else None
            several = [] if span or offset or seq or right else _several(shelves, missing)
            if right:
                found = [right]
            elif several:
                places = [(shelf.owner, shelf.audience) for shelf in several]
                found = await repository.first_chunks(connection, asking.module, places, missing)
            elif span:
                found = [await self._of_span(connection, asking, shelves[0], span, (offset, seq), missing)]
            else:
                spot = spot or await self._asked(connection, asking, shelves[0], offset)
                found = [await repository.chunk(connection, spot, missing)]
            chunks += found
            missing -= sum([chunk.count for chunk in found])
            guessed = None
            more = any(chunk.more for chunk in found)
            shelves, offset, seq = shelves[len(several) or 1 :], 0, 0
        return chunks, more or bool(shelves)

    async def _of_span(
        self, connection: Any, asking: Asking, shelf: Shelf, span: Span, start: tuple[int, int], limit: int
    ) -> Chunk:
        offset, seq = start
        place = (shelf.owner, asking.module, shelf.audience)
        return await repository.changed_chunk(connection, shelf.source, place, span, seq, offset, limit, few=shelf.few)

    async def _asked(self, connection: Any, asking: Asking, shelf: Shelf, offset: int) -> Spot:
        place = (shelf.owner, asking.module, shelf.audience)
        if shelf.thinned:
            gone = await repository.seq_before(connection, shelf.source, place)
            return Spot(shelf.source, place, Start(gone + offset))
        seq, known = await repository.nearest_known(connection, place, offset)
        return Spot(shelf.source, place, Start(seq - 1, offset - known))


def _who(asking: Asking) -> tuple[Any, ...]:
    return asking.module, asking.viewer, asking.others, asking.own


def _span(page: PageRequest) -> Span | None:
    if page.date_from is None and page.date_to is None:
        return None
    return Span(page.date_from or BEGINNING, page.date_to or END)


def _entered(shelves: Sequence[Shelf], asking: Asking) -> tuple[Sequence[Shelf], int, int]:
    """The shelves from where the page begins, the offset inside the first, or the seq it begins behind."""
    if asking.after is not None:
        owner, seq = asking.after
        left = [shelf for shelf in shelves if shelf.owner >= owner]
        return left, 0, seq if left and left[0].owner == owner else 0
    offset = asking.page.offset
    for position, shelf in enumerate(shelves):
        if offset < shelf.total:
            return shelves[position:], offset, 0
        offset -= shelf.total
    return [], 0, 0


def _several(shelves: Sequence[Shelf], wanted: int) -> list[Shelf]:
    """As many of the next shelves as are needed, where one statement can read them; none when the first is enough."""
    chosen: list[Shelf] = []
    for shelf in takewhile(lambda shelf: shelf.source is ONE_AUDIENCE, shelves):
        chosen.append(shelf)
        wanted -= shelf.total
        if wanted <= 0:
            break
    return chosen if len(chosen) > 1 else []
