"""Our public objects, Locations and Tariffs, as they are now, wanted by every connected party that hears them (L-20, R-41)."""

from copy import deepcopy
from typing import Any

from cpo_adapter.config import Site
from cpo_adapter.storage import outbox_repository as outbox
from cpo_adapter.storage.engine import Database
from ocpi_modules import json
from ocpi_modules.message import Clock
from ocpi_modules.types import format_datetime

AUDIENCE = ("EMSP", "NSP")
Document = dict[str, Any]


class Publisher:
    """Keeps the documents of `site` in the database. The last_updated of what did not change stays (L-36)."""

    def __init__(self, database: Database, site: Site, clock: Clock) -> None:
        self._database = database
        self._site = site
        self._clock = clock

    async def publish(self, statuses: dict[tuple[str, str], str]) -> bool:
        """Bring the documents up to date with the file and the EVSE statuses by (location id, EVSE uid); True when
        anything changed. Raises DatabaseAway."""
        changed = False
        for tariff in self._site.tariffs.values():
            changed |= await self._keep("tariffs", tariff)
        for location in self._site.locations.values():
            changed |= await self._keep("locations", _with_statuses(location, statuses))
        if changed:
            await self.offer()
        return changed

    async def offer(self) -> None:
        """Let every connected party want what is public. Raises DatabaseAway."""
        async with self._database.connection() as connection:
            await outbox.want_public(connection, AUDIENCE, self._clock())

    async def _keep(self, module: str, document: Document) -> bool:
        now = self._clock()
        key = document["id"].casefold()
        async with self._database.connection() as connection:
            row = await outbox.document(connection, module, key)
            fresh = _dated(document, json.decode(row["body"]) if row else None, format_datetime(now))
            if fresh is None:
                return False
            await outbox.put_document(connection, module, key, json.encode(fresh), "", now)
        return True


def _with_statuses(location: Document, statuses: dict[tuple[str, str], str]) -> Document:
    fresh = deepcopy(location)
    for evse in fresh["evses"]:
        evse["status"] = statuses.get((location["id"], evse["uid"]), evse["status"])
    return fresh


def _dated(document: Document, kept: Document | None, now: str) -> Document | None:
    """The document with its last_updated, and those of its EVSEs and Connectors; None when it is the kept one."""
    if kept is None:
        return _stamped(document, {}, now)
    fresh = _stamped(document, kept, now)
    return None if fresh == kept else fresh


def _stamped(document: Document, kept: Document, now: str) -> Document:
    fresh = dict(document)
    for name, id in (("evses", "uid"), ("connectors", "id")):
        if name in document:
            known = {child[id]: child for child in kept.get(name, [])}
            fresh[name] = [_stamped(child, known.get(child[id], {}), now) for child in document[name]]
    same = {**fresh, "last_updated": kept.get("last_updated")} == kept
    fresh["last_updated"] = kept["last_updated"] if same else now
    return fresh
