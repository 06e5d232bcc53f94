"""What partners do all the time: Locations and Tariffs for everybody, CDRs for the eMSP, Tokens for the CPO.

Each sender repeats until it is told. A few objects are changed again and again; others are pushed once and must be there in the
end, so that nothing lost early in a long run is covered by what comes later.
"""

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

from hub.clearing.canonical import content_hash
from ocpi_modules import json
from ocpi_modules.types import format_datetime
from tests.faults.states import Document, pushed, state
from tests.faults.world import CPO, EMSP, World, eventually
from tests.support import objects
from tests.support.party import Party

OWN = {"country_code": CPO.country_code, "party_id": CPO.party_id}
THEIRS = {"country_code": EMSP.country_code, "party_id": EMSP.party_id}
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
PAUSE_SECONDS = 0.05
LANES = 4
CHANGED_AGAIN = 3
"""Objects of each lane that are changed again and again."""


class Load:
    """`async with Load(world):` sends until the end of the block, and leaves nothing unacknowledged behind."""

    def __init__(self, world: World, pause: float = PAUSE_SECONDS) -> None:
        self._world = world
        self._pause = pause
        self._ending = False
        self._tasks: list[asyncio.Task[None]] = []
        self._now = world.documents

    async def __aenter__(self) -> "Load":
        senders = [
            *(self._locations(lane) for lane in range(LANES)),
            self._tariffs(),
            self._tokens(),
            self._send_cdrs(),
        ]
        self._tasks = [asyncio.create_task(sender) for sender in senders]
        return self

    async def __aexit__(self, kind: Any, error: Any, trace: Any) -> None:
        self._ending = True
        if error is not None:
            for task in self._tasks:
                task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=error is not None)

    async def warm(self, changes: int = 40) -> None:
        """Until so many changes were acknowledged: connections are open, caches filled."""
        await eventually(lambda: self._world.history.number >= changes, what="the first changes")

    async def _locations(self, lane: int) -> None:
        """PUT of all, PATCH of a part, PATCH of an EVSE's status, its removal, in any order; and Locations pushed once."""
        chance = self._world.chance
        while not self._ending:
            number = self._world.ticks
            id = f"L{lane}-{chance.randrange(CHANGED_AGAIN)}"
            before = self._now.get(("locations", id))
            evses = [evse for evse in (before or {}).get("evses", []) if evse["status"] != "REMOVED"]
            kind = chance.choices(("PUT", "once", "PATCH", "status", "REMOVED"), (4, 1, 3, 3, 1))[0]
            if kind == "once":
                await self._put_location(f"L{lane}-once-{number}", number)
            elif kind == "PUT" or not evses:
                await self._put_location(id, number)
            elif kind == "PATCH":
                await self._push(self._world.cpo, "PATCH", "locations", id, {"name": f"changed {number}"})
            else:
                status = "REMOVED" if kind == "REMOVED" else chance.choice(("AVAILABLE", "CHARGING", "BLOCKED"))
                await self._push(self._world.cpo, "PATCH", "locations", id, {"status": status}, evses[0]["uid"])
            await self._wait()

    async def _put_location(self, id: str, number: int) -> None:
        long_ago = format_datetime(BEGIN)
        evse = objects.evse(last_updated=long_ago, connectors=[objects.connector(last_updated=long_ago)])
        document = objects.location(**OWN, id=id, name=f"state {number}", evses=[evse])
        await self._push(self._world.cpo, "PUT", "locations", id, document)

    async def _tariffs(self) -> None:
        """PUT and DELETE."""
        while not self._ending:
            id = f"T{self._world.chance.randrange(CHANGED_AGAIN)}"
            if self._now.get(("tariffs", id)) is not None and self._world.chance.random() < 0.4:
                await self._delete(id)
            else:
                document = objects.tariff(**OWN, id=id, min_price=objects.price(excl_vat=self._world.ticks))
                await self._push(self._world.cpo, "PUT", "tariffs", id, document)
            await self._wait()

    async def _tokens(self) -> None:
        """New Tokens of the eMSP, of which many are revoked soon after."""
        while not self._ending:
            personal = self._world.personal()
            document = objects.token(**THEIRS, **personal)
            await self._push(self._world.emsp, "PUT", "tokens", personal["uid"], document)
            await self._wait()
            if self._world.chance.random() < 0.6:
                await self._push(self._world.emsp, "PATCH", "tokens", personal["uid"], {"valid": False})
                await self._wait()

    async def _push(
        self, partner: Party, method: str, module: str, id: str, document: Document, child: str = ""
    ) -> None:
        given = document | {"last_updated": self._later()}
        body = json.encode(given)
        whole = method == "PUT" and not child
        await self._until_told(partner, method, module, self._path(partner, id, child), body)
        after = pushed(self._now.get((module, id)), method, child, json.decode(body))
        if "once" not in id:
            self._now[module, id] = after
        self._world.history.acknowledged((module, id), state(after, body if whole else None))

    async def _delete(self, id: str) -> None:
        await self._until_told(self._world.cpo, "DELETE", "tariffs", self._path(self._world.cpo, id), b"")
        self._now["tariffs", id] = None
        self._world.history.acknowledged(("tariffs", id), None)

    async def _send_cdrs(self) -> None:
        world = self._world
        while not self._ending:
            cdr_id = f"CDR{world.seed}-{world.ticks}"
            token = objects.cdr_token(**THEIRS, **world.personal("uid", "contract_id"))
            document = objects.cdr(**OWN, id=cdr_id, cdr_token=token, credit=None, credit_reference_id=None)
            body = json.encode(document)
            await self._until_told(world.cpo, "POST", "cdrs", "", body)
            world.history.cdrs[cdr_id] = hashlib.sha256(body).digest(), content_hash(json.decode(body))
            await self._wait(2)

    async def _until_told(self, partner: Party, method: str, module: str, path: str, body: bytes) -> None:
        """The same bytes until they are acknowledged, as a partner does with what must arrive."""
        to = EMSP if module == "cdrs" else None
        while await self._world.send(partner, method, module, path, body, to) != 1000:
            await asyncio.sleep(0.1)

    @staticmethod
    def _path(partner: Party, id: str, child: str = "") -> str:
        return f"/{partner.id.country_code}/{partner.id.party_id}/{id}" + (f"/{child}" if child else "")

    async def _wait(self, times: float = 1) -> None:
        await asyncio.sleep(self._world.chance.uniform(0, times * self._pause))

    def _later(self) -> str:
        self._world.ticks += 1
        return format_datetime(BEGIN + timedelta(seconds=self._world.ticks))
