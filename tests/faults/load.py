"""What the CPO does all the time: locations for everybody, CDRs for the eMSP. Each sender repeats until it is told."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from ocpi_modules import json
from ocpi_modules.types import format_datetime
from tests.faults.world import CPO, EMSP, World
from tests.support import objects

OWN = {"country_code": CPO.country_code, "party_id": CPO.party_id}
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
PAUSE_SECONDS = 0.05
LOCATIONS = 12


class Load:
    """`async with Load(world):` sends until the end of the block, and leaves nothing unacknowledged behind."""

    def __init__(self, world: World, pause: float = PAUSE_SECONDS) -> None:
        self._world = world
        self._pause = pause
        self._ending = False
        self._tasks: list[asyncio.Task[None]] = []
        self._clock = 0

    async def __aenter__(self) -> "Load":
        senders = [*(self._locations(lane) for lane in range(4)), self._send_cdrs()]
        self._tasks = [asyncio.create_task(sender) for sender in senders]
        return self

    async def __aexit__(self, kind: Any, error: Any, trace: Any) -> None:
        self._ending = True
        if error is not None:
            for task in self._tasks:
                task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=error is not None)

    async def _locations(self, lane: int) -> None:
        """Pushes of a few locations, each again and again; PUT of all and PATCH of a part in turn."""
        world, number = self._world, 0
        while not self._ending:
            location_id = f"L{lane}-{number % (LOCATIONS // 4)}"
            body = json.encode(
                objects.location(**OWN, id=location_id, name=f"state {number}", last_updated=self._later())
            )
            await self._until_told("PUT", "locations", f"/NL/ABC/{location_id}", body)
            world.history.acknowledged["locations", location_id] = body
            number += 1
            await asyncio.sleep(world.chance.uniform(0, self._pause))

    async def _send_cdrs(self) -> None:
        world, number = self._world, 0
        token = objects.cdr_token(country_code=EMSP.country_code, party_id=EMSP.party_id)
        while not self._ending:
            cdr_id = f"CDR{world.seed}-{number}"
            body = json.encode(objects.cdr(**OWN, id=cdr_id, cdr_token=token, credit=None, credit_reference_id=None))
            await self._until_told("POST", "cdrs", "", body)
            world.history.cdrs[cdr_id] = body
            number += 1
            await asyncio.sleep(world.chance.uniform(0, 2 * self._pause))

    async def _until_told(self, method: str, module: str, path: str, body: bytes) -> None:
        """The same bytes until they are acknowledged, as a partner does with what must arrive."""
        to = EMSP if module == "cdrs" else None
        while await self._world.send(method, module, path, body, to) != 1000:
            await asyncio.sleep(0.1)

    def _later(self) -> str:
        self._clock += 1
        return format_datetime(BEGIN + timedelta(seconds=self._clock))
