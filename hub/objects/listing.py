"""Which copy an audience finds in a list, the exact counters and the page map: kept inside the transaction that keeps an object.

A viewer finds its own copy of an object, else the one for everybody (`*`). The copies of one object share a created_seq, so a
list keeps its order whichever is found. Listed are the `*` copies and, where there is none, those for single parties; what one
viewer may see is therefore `listed` of `*` plus `listed` of its own. Adding and removing is one at a time for each owner and
module.
"""

from collections.abc import Iterable
from typing import Any

from hub.objects import listed_repository as repository
from hub.objects.listed_repository import OWNER, PAGE_MAP_STEP, CountChange, Listed
from hub.objects.repository import ObjectKey

EVERYBODY = "*"


async def appeared(connection: Any, key: ObjectKey) -> None:
    """A copy is there that was not. The owner must be locked."""
    hidden = []
    if key.audience == EVERYBODY:
        hidden = await repository.list_copies_of_parties(connection, key, listed=False)
    shown = await repository.list_copy(connection, key)
    await _count(connection, key, 1, shown=shown, hidden=hidden)


async def vanished(connection: Any, key: ObjectKey) -> None:
    """A copy was there and is buried. The owner must be locked."""
    hidden = await repository.unlist_copy(connection, key)
    shown = []
    if key.audience == EVERYBODY:
        shown = await repository.list_copies_of_parties(connection, key, listed=True)
    await _count(connection, key, -1, shown=shown, hidden=hidden)


async def _count(
    connection: Any, key: ObjectKey, difference: int, *, shown: Iterable[Listed], hidden: Iterable[Listed]
) -> None:
    listed = {entry.audience: 1 for entry in shown} | {entry.audience: -1 for entry in hidden}
    changes = [CountChange(audience, 0, by) for audience, by in listed.items() if audience != key.audience]
    changes.append(CountChange(key.audience, difference, listed.get(key.audience, 0)))
    if not await repository.has_other_copies(connection, key):
        changes.append(CountChange(OWNER, difference, difference))
    owner, module = str(key.owner), str(key.module)
    totals = await repository.count_objects(connection, owner, module, changes)
    for entry in hidden:
        await _shorten(connection, owner, module, entry, totals[entry.audience])
    for entry in shown:
        await _lengthen(connection, owner, module, entry, totals[entry.audience])


async def _lengthen(connection: Any, owner: str, module: str, entry: Listed, total: int) -> None:
    """The page map after `entry` was listed; `total` counts it."""
    if total <= PAGE_MAP_STEP:
        return
    await repository.move_pages_back(connection, owner, module, entry)
    page, first = divmod(total - 1, PAGE_MAP_STEP)
    if first == 0:
        await repository.begin_page(connection, owner, module, entry.audience, page)


async def _shorten(connection: Any, owner: str, module: str, entry: Listed, total: int) -> None:
    """The page map after `entry` was taken out; `total` does not count it."""
    if total < PAGE_MAP_STEP:
        return
    page, behind = divmod(total, PAGE_MAP_STEP)
    if behind == 0:
        await repository.end_page(connection, owner, module, entry.audience, page)
    await repository.move_pages_on(connection, owner, module, entry)
