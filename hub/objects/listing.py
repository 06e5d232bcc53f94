"""Which copy an audience finds in a list, the exact counters and the page map: kept inside the transaction that keeps an object.

A viewer finds its own copy of an object, else the one for everybody (`*`). The copies of one object share a created_seq, so a
list keeps its order whichever is found. Listed are the `*` copies and, where there is none, those for single parties; what one
viewer may see is therefore `listed` of `*` plus `listed` of its own. Adding and removing is one at a time for each owner and
module.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from hub.objects import listed_repository as repository
from hub.objects.listed_repository import OWNER, PAGE_MAP_STEP, CountChange, Counter, Listed, PageBegin
from hub.objects.repository import ObjectKey

EVERYBODY = "*"


async def appeared(connection: Any, key: ObjectKey) -> None:
    """A copy is there that was not. The owner must be locked."""
    hidden = []
    if key.audience == EVERYBODY:
        hidden = await repository.list_copies_of_parties(connection, key, listed=False)
    shown = await repository.list_copy(connection, key)
    await _count(connection, key, 1, shown=shown, hidden=hidden)


async def appeared_together(connection: Any, added: Sequence[tuple[ObjectKey, int]]) -> None:
    """Objects that nobody knew, each with one copy: (key, created_seq), in the order of the latter. The owners must be locked.

    As they come behind all others, they move no page.
    """
    entries: dict[Counter, list[int]] = {}
    for key, created_seq in added:
        owner, module, _, audience = key.columns
        entries.setdefault(Counter(owner, module, audience), []).append(created_seq)
        entries.setdefault(Counter(owner, module, OWNER), []).append(created_seq)
    changes = [CountChange(counter, len(seqs), len(seqs)) for counter, seqs in entries.items()]
    totals = await repository.count_objects(connection, changes)
    pages = [page for counter, seqs in entries.items() for page in _pages_begun(counter, seqs, totals[counter])]
    if pages:
        await repository.begin_pages(connection, pages)


def _pages_begun(counter: Counter, seqs: Sequence[int], total: int) -> Iterator[PageBegin]:
    """By the last of `total` entries; what is counted for its owner only is in no list."""
    for place, seq in enumerate(seqs, total - len(seqs)):
        page, nth = divmod(place, PAGE_MAP_STEP)
        if page and not nth and counter.audience != OWNER:
            yield PageBegin(counter, page, seq)


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
    owner, module, _, audience = key.columns
    listed = {entry.audience: 1 for entry in shown} | {entry.audience: -1 for entry in hidden}
    moved = {other: (0, by) for other, by in listed.items()} | {audience: (difference, listed.get(audience, 0))}
    if not await repository.has_other_copies(connection, key):
        moved[OWNER] = (difference, difference)
    changes = [CountChange(Counter(owner, module, whose), *by) for whose, by in moved.items()]
    totals = await repository.count_objects(connection, changes)
    for entry in hidden:
        await _shorten(connection, owner, module, entry, totals[Counter(owner, module, entry.audience)])
    for entry in shown:
        await _lengthen(connection, owner, module, entry, totals[Counter(owner, module, entry.audience)])


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
