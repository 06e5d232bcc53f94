"""Reads the change log for all destinations of a process, each place once however many stand there.

Destinations that are up to date share one position and one query. Those that are behind are read up to where the foremost came,
so that they join it. What a window shows is what is dirty; nothing of the log is remembered beyond it. Whoever is behind, or has
enough to do, reads what is revoked ahead of that, up to the end of the log.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence

from hub.delivery.destinations import Destination
from hub.delivery.store import Store
from hub.objects.changelog import Position

LEAST_CHANGES, MOST_CHANGES, MOST_IN_ALL = 2_000, 20_000, 200_000
Lost = Callable[[Destination], Awaitable[None]]


async def read_on(store: Store, destinations: Sequence[Destination], lost: Lost) -> bool:
    """Give each destination its next window; True when there is more to read. Raises DatabaseAway.

    `lost` takes those that stand before the beginning of the log. The fewer there are, the more each gets at once.
    """
    more_revoked = await _read_ahead(store, [one for one in destinations if one.behind])
    places: dict[Position, list[Destination]] = defaultdict(list)
    hungry = [one for one in destinations if one.hungry and one.forewarned]
    most = max(LEAST_CHANGES, min(MOST_CHANGES, MOST_IN_ALL // max(len(hungry), 1)))
    for destination in hungry:
        if destination.walking is not None:
            await _walk_on(store, destination)
        else:
            places[destination.read].append(destination)
    more, foremost = False, None
    for place in sorted(places, reverse=True):
        window = await store.changes(place, foremost, most)
        foremost = foremost or window.end
        more = more or window.full or window.gap
        for destination in places[place]:
            if destination.read != place or destination.walking is not None:
                continue
            if window.gap:
                await lost(destination)
            else:
                destination.fed(window)
                destination.live = not more
    return more or more_revoked


async def _read_ahead(store: Store, destinations: Sequence[Destination]) -> bool:
    """Give each what is revoked in the next stretch of the log; True when there is more to read."""
    places: dict[Position, list[Destination]] = defaultdict(list)
    for destination in destinations:
        places[destination.reads_ahead_from].append(destination)
    more = False
    for place, there in places.items():
        window = await store.revoked(place)
        for destination in there:
            destination.warned(place, window)
            more = more or (destination.behind and not destination.forewarned)
    return more


async def _walk_on(store: Store, destination: Destination) -> None:
    """The next stretch of all objects, for one whose place in the log means nothing any more."""
    place = destination.walking
    if place is None:
        return
    objects, end = await store.walk(place)
    if destination.walking == place:
        destination.walked(objects, end)
