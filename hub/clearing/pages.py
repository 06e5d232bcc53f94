"""CDRs for lists (D-24): of the owner for itself, of every other owner what it sent to the viewer. Places have no gaps, but begin
behind the CDRs whose time is over: `listed` counts all there ever were, `kept` those that are left.
"""

from collections.abc import Collection

from hub.clearing.repository import OF_OWNER, OF_RECEIVER
from hub.objects.listed_repository import OWNER
from hub.objects.page_repository import Counted, Start
from hub.objects.pages import Asking, Shelf


class CdrShelves:
    """`hub.objects.pages.Shelves` over the journal."""

    def shelf(self, asking: Asking, counted: Collection[Counted]) -> Shelf:
        counter = next(iter(counted))
        source = OF_OWNER if counter.audience == OWNER else OF_RECEIVER
        thinned = counter.kept < counter.listed
        return Shelf(counter.owner, str(asking.viewer), counter.kept, source, thinned=thinned)

    def start(self, shelf: Shelf, offset: int) -> Start | None:
        return None if shelf.thinned else Start(offset)
