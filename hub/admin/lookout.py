"""What an operator is to hear of without asking: receivers that lag behind, and who holds deliveries up for all (N-4).

Deliveries read the change log up to the oldest transaction that still writes anywhere in the server, so that one that does not
end stops them all; `doctor` names both too, when it is asked.
"""

import asyncio
from collections.abc import Callable, Collection, Hashable, Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog

from hub.admin import repository
from hub.db.engine import Database, DatabaseAway
from ocpi_modules.message import Clock

LAG = timedelta(minutes=15)
HELD_BACK = timedelta(minutes=5)
AGAIN = timedelta(hours=6)
"""Between two alarms of what lasts: four a day, so that none is forgotten and none floods a log."""
LOOK_SECONDS = 60.0
LAGGING, HELD = "receiver lags behind", "xmin held back"
Tell = Callable[..., None]
Fields = dict[str, Any]
_UNSEEN = "`ocpi-hub doctor` says who, or GRANT pg_read_all_stats to the hub's role"
_log = structlog.get_logger("hub.admin")


class Lookout:
    """One per process, which tells each occurrence when it begins, every AGAIN while it lasts, and once that it is over.

    A receiver has lagged enough to be told of after LAG, and is told to be back after half of that.
    """

    def __init__(self, database: Database, clock: Clock, alarm: Tell, over: Tell) -> None:
        self._database = database
        self._clock = clock
        self._alarm = alarm
        self._over = over
        self._told: dict[str, dict[Hashable, tuple[Fields, datetime]]] = {LAGGING: {}, HELD: {}}
        self._oldest: tuple[str, datetime] | None = None

    async def run(self) -> None:
        """Look for ever."""
        while True:
            try:
                await self.look()
            except DatabaseAway as away:
                _log.warning("lookout_cannot_look", reason=str(away))
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Raises DatabaseAway."""
        async with self._database.connection() as connection:
            holders = await repository.snapshot_holders(connection, int(HELD_BACK.total_seconds()))
            oldest, later = await repository.running_transactions(connection)
            lagging = await repository.lagging_receivers(connection, LAG.total_seconds() / 2)
        unseen = self._unseen(oldest, later)
        held: dict[Hashable, Fields] = {
            (row["kind"], row["name"], row["database"]): _holder(row) for row in holders
        } or unseen
        self._tell(HELD, held, held)
        found = {row["party"]: {"receiver": row["party"], "since": row["since"].isoformat()} for row in lagging}
        self._tell(LAGGING, found, {row["party"] for row in lagging if row["seconds"] >= LAG.total_seconds()})

    def _unseen(self, oldest: str, later: bool) -> dict[Hashable, Fields]:
        """A transaction of somebody else's, that the role of the hub may not see, is known by its not ending."""
        now = self._clock()
        if self._oldest is None or self._oldest[0] != oldest or not later:
            self._oldest = oldest, now
        since = self._oldest[1]
        return {oldest: {"since": since.isoformat(), "who": _UNSEEN}} if now - since >= HELD_BACK else {}

    def _tell(self, what: str, found: Mapping[Hashable, Fields], bad: Collection[Hashable]) -> None:
        """`found` is what there is, `bad` of it what is to be told; what was told ends when it is not found any more."""
        told, now = self._told[what], self._clock()
        for key, fields in found.items():
            if key in bad and (key not in told or now - told[key][1] >= AGAIN):
                told[key] = fields, now
                self._alarm(what, **fields)
        for key in [key for key in told if key not in found]:
            fields, _ = told.pop(key)
            self._over(f"{what} no more", **fields)


def _holder(row: Any) -> Fields:
    which = "pid" if row["kind"] == "session" else row["kind"].replace(" ", "_")
    return {which: row["name"], "database": row["database"], "role": row["role"], "application": row["application"]}
