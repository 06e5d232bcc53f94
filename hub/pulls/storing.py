"""What a page brought becomes what the hub keeps, a hundred objects and the run's progress in one transaction.

The newest `last_updated` wins, as for a push; what the owner already said changes nothing and makes no row in the change log.
What was deleted while the page was under way stays deleted: the page is older.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from hub.db.engine import Database
from hub.objects.keep import KeptObjects, Push
from hub.objects.listed_repository import lock_owners
from hub.objects.listing import EVERYBODY
from hub.objects.repository import ObjectKey
from hub.objects.together import to_replace
from hub.pulls import entries as reading
from hub.pulls import repository
from hub.pulls.entries import Entry
from hub.pulls.runs import FIRST, Run
from ocpi_modules import registry
from ocpi_modules.spec import Method

CHUNK = 100
TAKEN_OUT_AT_ONCE = 50


class LeaseLost(Exception):
    """Another process reads this list now; nothing was stored."""


class Storing:
    """Every call is one short transaction, under the lease of the run. Raises LeaseLost and DatabaseAway."""

    def __init__(self, database: Database, objects: KeptObjects) -> None:
        self._database = database
        self._objects = objects

    async def page(self, run: Run, after: Run, entries: Sequence[Entry], since: int) -> Run:
        """Keep what a page brought; the run as it stands then. `after` is where it stands but for what is counted here.

        `since`: the oldest transaction that ran when the page was asked for. After a kill the page is read again: only the
        last transaction moves on.
        """
        await self._objects.prepare()
        changed = 0
        chunks = [entries[start : start + CHUNK] for start in range(0, len(entries), CHUNK)] or [[]]
        for chunk in chunks:
            async with self._database.transaction() as connection:
                await self._hold(connection, run)
                changed += await self._keep(connection, run, chunk, since)
                if chunk is chunks[-1]:
                    refusals = [entry.refusal for entry in entries if entry.refusal]
                    after = replace(
                        after,
                        changed=run.changed + changed,
                        refused=run.refused + (len(refusals) if run.look == FIRST else 0),
                        unnamed=run.unnamed + reading.unnamed(entries),
                        said=refusals[-1] if refusals else after.said,
                    )
                    await repository.store_progress(connection, *after.key, after.progress)
        return after

    async def moved(self, after: Run) -> Run:
        """The run goes on with another look."""
        async with self._database.transaction() as connection:
            await self._hold(connection, after)
            await repository.store_progress(connection, *after.key, after.progress)
        return after

    async def taken_out(self, run: Run, behind: str) -> tuple[Run, str | None]:
        """Take out the next of what vanished, by key; the run, and the key it came to: None when there is no more.

        Looked at twice: once to find, once more under lock, so that what is pushed in between stays.
        """
        await self._objects.prepare()
        party, module, _ = run.key
        async with self._database.transaction() as connection:
            await self._hold(connection, run)
            await lock_owners(connection, [(party, module)])
            keys = await repository.vanished_after(connection, party, module, behind, TAKEN_OUT_AT_ONCE)
            if not keys:
                return run, None
            await repository.kept_for_everybody(connection, party, module, keys, lock=True)
            still = await repository.vanished_after(connection, party, module, behind, TAKEN_OUT_AT_ONCE)
            gone = 0
            for key in keys:
                if key in still:
                    version = await self._objects.remove(connection, self._key(run, key))
                    gone += version is not None
            after = replace(run, vanished=run.vanished + gone)
            await repository.store_progress(connection, *after.key, after.progress)
        return after, keys[-1]

    async def _hold(self, connection: Any, run: Run) -> None:
        if not await repository.hold(connection, *run.key):
            raise LeaseLost

    async def _keep(self, connection: Any, run: Run, entries: Sequence[Entry], since: int) -> int:
        """How many objects changed."""
        party, module, _ = run.key
        if run.whole:
            await repository.note_seen(connection, party, module, reading.seen(entries))
        good = {entry.key: entry for entry in entries if entry.key is not None and not entry.refusal}
        kept = await repository.kept_for_everybody(connection, party, module, list(good), lock=False)
        news = {key: entry for key, entry in good.items() if is_news(entry, kept.get(key))}
        if not news:
            return 0
        await lock_owners(connection, [(party, module)])  # before any object, as everybody who adds or removes does
        kept = await repository.kept_for_everybody(connection, party, module, list(news), lock=True)
        buried = any(row["deleted"] for row in kept.values())
        newer = await repository.changed_since(connection, party, module, since) if buried else set()
        pushes = []
        for key, entry in news.items():
            row = kept.get(key)
            if is_news(entry, row) and not (row and row["deleted"] and key in newer):
                pushes.append(self._push(run, key, entry))
        return await self._store(connection, pushes)

    async def _store(self, connection: Any, pushes: Sequence[Push]) -> int:
        """How many changed: those that nobody knew and those that are replaced by a statement each, the rest one by one."""
        left, changed = pushes, 0
        for written in (self._objects.add, self._objects.replace):
            wholes = [whole.replacement for whole in to_replace(left)]
            done = {wholes[place].key for place in await written(connection, wholes)} if wholes else set()
            left = [push for push in left if push.key not in done]
            changed += len(done)
        for push in left:
            changed += await self._objects.apply(connection, push) is not None
        return changed

    def _push(self, run: Run, key: str, entry: Entry) -> Push:
        """As if the owner had pushed the entry's bytes to everybody."""
        module = registry.module("2.2.1", run.module)
        return Push(self._key(run, key), module, Method.PUT, {}, entry.raw)

    def _key(self, run: Run, key: str) -> ObjectKey:
        return ObjectKey(run.party, run.module, key, EVERYBODY)


def is_news(entry: Entry, kept: Mapping[str, Any] | None) -> bool:
    """Whether the entry says more than what is kept: newer, or back again after it was deleted or had vanished."""
    if kept is None or entry.last_updated is None:
        return kept is None
    if kept["deleted"] or kept["removed"]:
        return bool(entry.last_updated >= kept["said"])
    return bool(entry.last_updated > kept["said"])
