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
WINDOW_REVOKED = 500


class Position(NamedTuple):
    """A place in the log; everything at or before it was read."""

    xid: int
    seq: int


class Change(NamedTuple):
    """An object that is at `version` or later, and where the log says so. `revoked`: a Token that is not valid any more."""

    position: Position
    key: ObjectKey
    version: int
    revoked: bool = False


@dataclass(frozen=True)
class Window:
    """The changes after a position, oldest first. `end` is how far was read; `full`: there is more behind it.

    `ahead` are revoked Tokens behind the end, which must not wait for it. `gap`: the log does not reach back to the position.
    """

    changes: tuple[Change, ...]
    end: Position
    full: bool
    ahead: tuple[Change, ...] = ()
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
        shown = changes[-1].position
        rows = await repository.revoked_between(connection, shown, last, WINDOW_REVOKED)
        return Window(tuple(changes), shown, full=True, ahead=tuple(map(_change, rows)))
    far = None if near else _position(await repository.nth_row(connection, after, last, WALKED_ROWS))
    if far is not None and far < last:
        return Window(tuple(changes), far, full=True)
    return Window(tuple(changes), last if upto is None else max(last, upto), full=False)


async def _between(connection: Any, after: Position, last: Position, most: int, *, near: bool) -> list[Any]:
    if near:
        return await repository.newest_between(connection, after, last, most)
    return await repository.current_between(connection, after, last, most, WALKED_ROWS)


async def end_of_log(connection: Any) -> Position:
    """A position before everything that may still be committed, and after all that was."""
    return Position(int(await repository.oldest_running(connection)), 0)


async def floor(connection: Any) -> Position:
    """The oldest position from which the log can be read on without missing a change; (0, 0) while nothing was dropped (Q-01).

    A reader whose position is below it cannot be up to date: it walks through all objects instead.
    """
    row = await repository.floor(connection)
    return Position(int(row["xid"]), row["seq"]) if row else Position(0, 0)


def _position(row: Any) -> Position | None:
    return Position(int(row["xid"]), row["seq"]) if row is not None else None


def _change(row: Any) -> Change:
    xid, seq, owner, module, key_folded, audience, version, revoked = row
    key = ObjectKey(*_owner_and_module(owner, module), key_folded, audience)
    return Change(Position(int(xid), seq), key, version, bool(revoked))


@lru_cache(maxsize=1024)
def _owner_and_module(owner: str, module: str) -> tuple[PartyId, ModuleID]:
    return PartyId.read(owner), ModuleID(module)
