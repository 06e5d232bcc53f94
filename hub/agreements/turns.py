"""Which agreements changed, began or ended since one last asked: the cost follows what happened, not how many there are."""

import heapq
from collections.abc import Collection
from datetime import datetime

from hub.agreements.policy import AgreementBook, Pair

MOST_STALE = 1000
"""So many instants of terms that were changed since may wait for their time, and as many again as there are agreements."""


class Turns:
    """One for each who asks. What it names may be as it was; what it does not name is."""

    def __init__(self, book: AgreementBook) -> None:
        self._book = book
        self._changed: set[Pair] = set()
        self._ahead: list[tuple[datetime, Pair]] = []
        book.listeners.append(self._note)

    def take(self, now: datetime) -> set[Pair]:
        """The two parties of each, once. Never waits."""
        changed, self._changed = self._changed, set()
        while self._ahead and self._ahead[0][0] <= now:
            changed.add(heapq.heappop(self._ahead)[1])
        return changed

    def _note(self, changed: Collection[Pair]) -> None:
        self._changed.update(changed)
        for instant in self._instants(changed):
            heapq.heappush(self._ahead, instant)
        if len(self._ahead) > MOST_STALE + 4 * len(self._book.all()):
            self._ahead = self._instants(self._book.all())
            heapq.heapify(self._ahead)

    def _instants(self, pairs: Collection[Pair]) -> list[tuple[datetime, Pair]]:
        given = [(pair, terms) for pair in pairs if (terms := self._book.all().get(pair))]
        return [(at, pair) for pair, terms in given for at in (terms.valid_from, terms.valid_until) if at is not None]
