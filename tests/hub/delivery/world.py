"""A hub whose delivery runs, and any number of further receivers."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from ocpi_modules import json
from ocpi_modules.message import PartyId
from tests.hub.network import Network, Partner, Seen, network, register
from tests.support import objects
from tests.support.postgres import FreshDatabase
from tests.support.raw_http import raw_server

PATIENCE = 40.0
"""Seconds until a thing that must happen is given up; a process of its own needs a while to start on a busy machine."""
LOCATIONS = "/receiver/locations/NL/CPO"


class World:
    """`net` and receivers added to it; all of them are plain sockets that keep every byte."""

    def __init__(self, net: Network, stack: AsyncExitStack) -> None:
        self.net = net
        self._stack = stack

    async def join(self, party_id: str, role: str = "EMSP", *also: tuple[str, str]) -> Partner:
        """Another registered platform, with more parties where `also` names them."""
        partner = Partner(PartyId("DE", party_id), role)
        partner.port = await self._stack.enter_async_context(raw_server(partner.behave))
        parties = [(partner.party, role), *((PartyId("DE", name), its_role) for name, its_role in also)]
        await register(self.net.database, self.net.keys, partner, parties_of=parties)
        await self.net.directory.refresh()
        return partner

    @asynccontextmanager
    async def delivering(self) -> AsyncIterator[None]:
        """The hub's own worker, until the end of the block."""
        async with running(self.net.delivery.run):
            await until(lambda: bool(self.net.delivery.destinations))
            yield

    async def put(self, id: str = "L1", **fields: Any) -> bytes:
        """The CPO broadcasts a Location; the bytes it sent."""
        body = location(id=id, **fields)
        answer = await self.net.call(self.net.cpo, "PUT", f"{LOCATIONS}/{id}", body)
        assert answer.status_code == 1000, answer.message
        return body

    async def patch(self, path: str, **fields: Any) -> bytes:
        body = json.encode(fields)
        answer = await self.net.call(self.net.cpo, "PATCH", f"{LOCATIONS}/{path}", body)
        assert answer.status_code == 1000, answer.message
        return body

    async def set_connection(self, partner: Partner, state: str) -> None:
        async with self.net.database.transaction() as connection:
            await connection.execute(
                "UPDATE platform SET connection = $2, revision = (SELECT max(revision) + 1 FROM platform) WHERE platform_id = $1",
                partner.platform_id,
                state,
            )
        await self.net.directory.refresh()


@asynccontextmanager
async def world(fresh: FreshDatabase, **options: Any) -> AsyncIterator[World]:
    async with network(fresh, **options) as net, AsyncExitStack() as stack:
        yield World(net, stack)


@asynccontextmanager
async def running(loop: Callable[[], Any]) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(loop())
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def location(id: str = "L1", **fields: Any) -> bytes:
    own = {"country_code": "NL", "party_id": "CPO", "id": id, "last_updated": "2026-03-01T12:00:00Z"}
    return json.encode(objects.location(**own | fields))


def pushed(partner: Partner) -> list[Seen]:
    """What was pushed to a partner's Receiver interfaces, in the order it arrived."""
    return [seen for seen in partner.seen if "/receiver/" in seen.target]


def states(partner: Partner) -> dict[str, bytes]:
    """What a partner would hold now: the last PUT of each URL, without those deleted since."""
    held: dict[str, bytes] = {}
    for seen in pushed(partner):
        if seen.method == "PUT":
            held[seen.target] = seen.body
        elif seen.method == "DELETE":
            held.pop(seen.target, None)
    return held


async def until(condition: Callable[[], Any], seconds: float = PATIENCE) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)
