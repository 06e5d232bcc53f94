"""CDRs for lists (D-24): of the owner for itself, of every other owner what it sent to the viewer. Places have no gaps."""

from collections.abc import Collection
from typing import Any

from hub.clearing.repository import OF_OWNER, OF_RECEIVER
from hub.objects import page_repository
from hub.objects.listed_repository import OWNER
from hub.objects.page_repository import Chunk, Counted
from hub.objects.pages import Asking, Shelf


class CdrShelves:
    """`hub.objects.pages.Shelves` over the journal."""

    def shelf(self, asking: Asking, counted: Collection[Counted]) -> Shelf:
        counter = next(iter(counted))
        source = OF_OWNER if counter.audience == OWNER else OF_RECEIVER
        return Shelf(counter.owner, str(asking.viewer), counter.listed, source)

    async def chunk_at(self, connection: Any, shelf: Shelf, module: str, offset: int, limit: int) -> Chunk:
        place = (shelf.owner, module, shelf.audience)
        return await page_repository.chunk_after(connection, shelf.source, place, offset, 0, limit)
