"""Our public objects, Locations and Tariffs, as they are now, wanted by every connected party that hears them (L-20, R-41)."""

import asyncio
from collections.abc import Callable, Mapping
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
EvseStatuses = Mapping[tuple[str, str], str]


class Publisher:
    """Keeps the documents of `site` in the database. The last_updated of what did not change stays (L-36)."""

    def __init__(self, database: Database, site: Site, clock: Clock) -> None:
        self._database = database
        self._site = site
        self._clock = clock
        self._published: dict[tuple[str, str], Document] = {}
        self._one_at_a_time = asyncio.Lock()

    async def publish(self, statuses: Callable[[], EvseStatuses]) -> bool:
        """Bring the documents up to date with the file and the EVSE statuses by (location id, EVSE uid); True when
        anything changed. Raises DatabaseAway."""
        async with self._one_at_a_time:
            now = statuses()
            current = [("tariffs", tariff) for tariff in self._site.tariffs.values()]
            current += [("locations", location) for location in self._site.locations.values()]
            changed = False
            for module, document in current:
                if module == "tariffs" or self._status_changed(document, now):
                    changed |= await self._keep(module, _with_statuses(document, now))
        return changed

    async def offer(self) -> None:
        """Let every connected party want everything that is public. Raises DatabaseAway."""
        async with self._database.connection() as connection:
            await outbox.want_public(connection, AUDIENCE, self._clock(), None, None)

    def _status_changed(self, location: Document, statuses: EvseStatuses) -> bool:
        published = self._published.get(("locations", location["id"].casefold()))
        return published is None or any(
            evse["status"] != statuses.get((location["id"], evse["uid"]), evse["status"]) for evse in published["evses"]
        )

    async def _keep(self, module: str, document: Document) -> bool:
        key, now = document["id"].casefold(), self._clock()
        kept = self._published.get((module, key))
        if kept is not None and module == "tariffs":
            return False
        async with self._database.transaction() as connection:
            if kept is None:
                row = await outbox.document(connection, module, key)
                kept = json.decode(row["body"]) if row else None
            fresh = _stamped(document, kept or {}, format_datetime(now))
            if fresh != kept:
                await outbox.put_document(connection, module, key, json.encode(fresh), "", now)
                await outbox.want_public(connection, AUDIENCE, now, module, key)
        self._published[module, key] = fresh
        return fresh != kept


def _with_statuses(location: Document, statuses: EvseStatuses) -> Document:
    fresh = deepcopy(location)
    for evse in fresh.get("evses", []):
        evse["status"] = statuses.get((location["id"], evse["uid"]), evse["status"])
    return fresh


def _stamped(document: Document, kept: Document, now: str) -> Document:
    fresh = dict(document)
    for name, id in (("evses", "uid"), ("connectors", "id")):
        if name in document:
            known = {child[id]: child for child in kept.get(name, [])}
            fresh[name] = [_stamped(child, known.get(child[id], {}), now) for child in document[name]]
    same = {**fresh, "last_updated": kept.get("last_updated")} == kept
    fresh["last_updated"] = kept["last_updated"] if same else now
    return fresh
