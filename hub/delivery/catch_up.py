"""Reads the change log for all destinations of a process, each place once however many stand there.

Destinations that are up to date share one position and one query. Those that are behind are read up to where the foremost came,
so that they join it. What a window shows is what is dirty; nothing of the log is remembered beyond it.
"""

from collections import defaultdict
from collections.abc import Iterable

from hub.delivery.destinations import Destination
from hub.delivery.store import Store
from hub.objects.changelog import Position


async def read_on(store: Store, destinations: Iterable[Destination]) -> bool:
    """Give each destination its next window; True when there is more to read. Raises DatabaseAway."""
    places: dict[Position, list[Destination]] = defaultdict(list)
    for destination in destinations:
        if destination.walking is not None:
            await _walk_on(store, destination)
        else:
            places[destination.read].append(destination)
    more, foremost = False, None
    for place in sorted(places, reverse=True):
        window = await store.changes(place, foremost)
        foremost = foremost or window.end
        more = more or window.full
        for destination in places[place]:
            if destination.read == place and destination.walking is None:
                destination.fed(window)
    return more


async def _walk_on(store: Store, destination: Destination) -> None:
    """The next stretch of all objects, for one whose place in the log means nothing any more."""
    place = destination.walking
    if place is None:
        return
    objects, end = await store.walk(place)
    if destination.walking == place:
        destination.walked(objects, end)
