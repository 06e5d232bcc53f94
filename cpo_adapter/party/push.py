"""Everything that is to be known elsewhere, pushed until it is acknowledged (S-10 to S-13, L-20, D-15, Q-06 to Q-08).

A row of `push` holds the state a receiver is to have (`wanted`) and the one it acknowledged (`sent`). Whatever is between
them goes out: a PUT, a PATCH where that says it all, for a CDR the POST of the same bytes. Before a PATCH leaves, `sent` is
forgotten, so that a doubt of any kind, also a kill, is answered by a whole PUT.
"""

import asyncio
import random
from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from urllib.parse import quote

import structlog

from cpo_adapter.charging.session import Replace, session_changes
from cpo_adapter.party.link import HubLink, NotReached, Reply
from cpo_adapter.party.location_changes import location_changes
from cpo_adapter.storage import outbox_repository as outbox
from cpo_adapter.storage.engine import Database, DatabaseAway, Row
from ocpi_modules import json
from ocpi_modules.message import Clock, PartyId
from ocpi_modules.spec import InterfaceRole, Method, ModuleID

log = structlog.get_logger(__name__)

SECONDS = 15.0
MOST_RECEIVERS = 16
LONGEST_PAUSE = 60.0
ORDER = {"tariffs": 0, "locations": 1, "sessions": 2, "cdrs": 3}


class Pusher:
    """`session_pace` is the least time between two changes of one session, unless they matter at once."""

    def __init__(self, database: Database, link: HubLink, clock: Clock, session_pace: timedelta) -> None:
        self._database = database
        self._link = link
        self._clock = clock
        self._session_pace = session_pace
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self.due = asyncio.Event()

    async def push_due(self) -> None:
        """Begin to push what is due now, in order for each receiver; a slow one holds up nobody else. Raises DatabaseAway."""
        if await self._link.joined() is None:
            return
        async with self._database.connection() as connection:
            rows = await outbox.due_pushes(connection, self._clock())
        of_receiver: dict[str, list[Row]] = defaultdict(list)
        for row in sorted(rows, key=lambda row: ORDER[row["module"]]):
            of_receiver[row["receiver"]].append(row)
        for receiver, due in of_receiver.items():
            if receiver not in self._under_way and len(self._under_way) < MOST_RECEIVERS:
                task = asyncio.create_task(self._push_in_order(due))
                self._under_way[receiver] = task
                task.add_done_callback(partial(self._ended, receiver))

    async def close(self) -> None:
        """Cut what is under way; it goes out again after the next start."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, receiver: str, _: asyncio.Task[None]) -> None:
        del self._under_way[receiver]
        self.due.set()

    async def _push_in_order(self, rows: Sequence[Row]) -> None:
        """Until something could not be delivered: then the receiver has a pause."""
        try:
            for row in rows:
                if not await self._push(row):
                    break
        except DatabaseAway as error:
            log.warning("push_not_noted", receiver=rows[0]["receiver"], reason=str(error))
            await asyncio.sleep(1)
        except Exception:
            log.exception("push_crashed", receiver=rows[0]["receiver"])
            await asyncio.sleep(1)

    async def _push(self, row: Row) -> bool:
        """False when the receiver could not be reached, so that the rest of its rows may wait."""
        for method, suffix, body in self._steps(row):
            if method is Method.PATCH:
                async with self._database.connection() as connection:
                    await outbox.push_begun(connection, *_key(row))
            try:
                reply = await self._link.send(
                    method,
                    ModuleID(row["module"]),
                    InterfaceRole.RECEIVER,
                    suffix,
                    to=PartyId.read(row["receiver"]),
                    body=body,
                    seconds=SECONDS,
                )
            except NotReached as error:
                await self._failed(row, str(error), away=True)
                return False
            if not reply.succeeded:
                return await self._refused(row, method, reply)
        pace = self._session_pace if row["module"] == "sessions" else timedelta(0)
        async with self._database.connection() as connection:
            await outbox.pushed(connection, *_key(row), row["wanted"], self._clock() + pace)
        return True

    def _steps(self, row: Row) -> list[tuple[Method, str, bytes]]:
        """The requests that bring the receiver from `sent` to `wanted`."""
        if row["module"] == "cdrs":
            return [(Method.POST, "", row["wanted"])]
        wanted = json.decode(row["wanted"])
        suffix = f"/{wanted['country_code']}/{wanted['party_id']}/{quote(wanted['id'], safe='')}"
        whole = [(Method.PUT, suffix, bytes(row["wanted"]))]
        if row["sent"] is None or row["module"] == "tariffs":
            return whole
        sent = json.decode(row["sent"])
        if row["module"] == "locations":
            changed = location_changes(sent, wanted)
            return (
                whole
                if changed is None
                else [(Method.PATCH, f"{suffix}/{quote(uid, safe='')}", json.encode(patch)) for uid, patch in changed]
            )
        change = session_changes(sent, wanted)
        if change is None:
            return []
        return whole if isinstance(change, Replace) else [(Method.PATCH, suffix, json.encode(change.body))]

    async def _refused(self, row: Row, method: Method, reply: Reply) -> bool:
        """A refused PATCH is tried as PUT; what the receiver calls wrong is held for a person; all else is tried again."""
        wrong = 2000 <= reply.status_code < 3000 and reply.http_status not in (401, 429)
        if method is Method.PATCH and (wrong or reply.http_status == 404):
            await self._failed(row, reply.reason, at_once=True)
        else:
            await self._failed(row, reply.reason, held=wrong, away=not wrong)
        return wrong

    async def _failed(
        self, row: Row, reason: str, *, held: bool = False, at_once: bool = False, away: bool = False
    ) -> None:
        seconds = min(LONGEST_PAUSE, 0.5 * 2 ** min(row["attempts"], 10)) * random.uniform(0.8, 1.2)  # noqa: S311
        next_at = self._clock() + timedelta(seconds=0 if at_once else seconds)
        async with self._database.transaction() as connection:
            await outbox.push_failed(connection, *_key(row), next_at, reason if held else None)
            if away:
                await outbox.postpone_pushes(connection, row["receiver"], next_at)
        log.warning(
            "push_held" if held else "push_failed",
            receiver=row["receiver"],
            module=row["module"],
            object_key=row["object_key"],
            attempts=row["attempts"] + 1,
            reason=reason,
        )


def _key(row: Row) -> tuple[str, str, str]:
    return row["receiver"], row["module"], row["object_key"]
