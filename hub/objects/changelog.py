"""The change log as its readers see it: which object became which version, in an order that no commit can slip behind.

A position is the pair (xid, seq), read only below the oldest transaction that still runs: sequence values are handed out before
the commit, so a cursor on `seq` alone loses rows (N-4). The position says only that an object is dirty; what it is now stands in
the object itself. A window therefore leaves out every row that a later one of the same object has overtaken: up to the end of the
log by grouping, while that is near; where it is far, or the window ends before it, by a look at the object of each row.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from hub.objects import changelog_repository as repository
from hub.objects.repository import ObjectKey
from ocpi_modules.message import PartyId
from ocpi_modules.spec import ModuleID

GROUPED_ROWS = 400_000
GROUPED_TIMES = 40
"""Most rows for each change of a window that are grouped; with more it is cheaper to look at objects until there are enough."""
WALKED_ROWS = 100_000
"""Looked at for one window, however few of them are shown."""
WINDOW_CHANGES = 2_000
TOKEN_ROWS = 5_000
"""Of Tokens, looked at in one step for those that are revoked."""


class Position(NamedTuple):
    """A place in the log; everything at or before it was read."""

    xid: int
    seq: int


BEGINNING = Position(0, 0)


class Change(NamedTuple):
    """An object that is at `version` or later, and where the log says so. `revoked`: a Token that is not valid any more."""

    position: Position
    key: ObjectKey
    version: int
    revoked: bool = False


@dataclass(frozen=True)
class Window:
    """The changes after a position, oldest first. `end` is how far was read; `full`: there is more behind it.

    `gap`: the log does not reach back to the position.
    """

    changes: tuple[Change, ...]
    end: Position
    full: bool
    gap: bool = False


async def read(connection: Any, after: Position, upto: Position | None = None, most: int = WINDOW_CHANGES) -> Window:
    """The next window of changes for everybody (audience `*`), at most `most` of them. Wants a transaction of its own.

    How far it goes is settled first: a row overtaken between the two statements stands again behind the end.
    """
    last = _position(await repository.last_row(connection, after, upto))
    if last is None:
        return Window((), upto or after, full=False)
    await repository.allow_memory(connection)
    near = upto is None and last.seq - after.seq <= min(GROUPED_ROWS, GROUPED_TIMES * most)  # of seq there are not less
    changes = [_change(row) for row in await _between(connection, after, last, most, near=near)]
    if len(changes) >= most:
        return Window(tuple(changes), changes[-1].position, full=True)
    far = None if near else _position(await repository.nth_row(connection, after, last, WALKED_ROWS))
    if far is not None and far < last:
        return Window(tuple(changes), far, full=True)
    return Window(tuple(changes), last if upto is None else max(last, upto), full=False)


async def _between(connection: Any, after: Position, last: Position, most: int, *, near: bool) -> list[Any]:
    if near:
        return await repository.newest_between(connection, after, last, most)
    return await repository.current_between(connection, after, last, most, WALKED_ROWS)


async def read_revoked(connection: Any, after: Position) -> Window:
    """The Tokens of the next stretch of the log that are revoked now: what no other change may keep waiting.

    A stretch is `TOKEN_ROWS` changes of Tokens, found by an index, or all there are up to the end of the log.
    Wants a transaction of its own.
    """
    await repository.read_in_order(connection)
    end = await repository.end_of_tokens(connection, after, TOKEN_ROWS)
    place = Position(int(end["xid"]), end["seq"])
    return Window(
        tuple(map(_change, await repository.revoked_between(connection, after, place))), max(place, after), end["full"]
    )


async def end_of_log(connection: Any) -> Position:
    """A position before everything that may still be committed, and after all that was."""
    return Position(int(await repository.oldest_running(connection)), 0)


async def floor(connection: Any) -> Position:
    """The oldest position from which the log can be read on without missing a change; (0, 0) while nothing was dropped (Q-01).

    A reader whose position is below it cannot be up to date: it walks through all objects instead.
    """
    row = await repository.floor(connection)
    return Position(int(row["xid"]), row["seq"]) if row else BEGINNING


def _position(row: Any) -> Position | None:
    return Position(int(row["xid"]), row["seq"]) if row is not None else None


def _change(row: Any) -> Change:
    xid, seq, owner, module, key_folded, audience, version, revoked = row
    key = ObjectKey(*_owner_and_module(owner, module), key_folded, audience)
    return Change(Position(int(xid), seq), key, version, bool(revoked))


@lru_cache(maxsize=1024)
def _owner_and_module(owner: str, module: str) -> tuple[PartyId, ModuleID]:
    return PartyId.read(owner), ModuleID(module)
