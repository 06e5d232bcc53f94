"""B-7: pages of 100 Locations over HTTP, against the same bytes out of memory and against FastAPI with an ORM.

Three servers of the same kind, each a process of its own on one core; the load comes from another. Pages are counted by the CPU
seconds their server used, so that a busy machine or a load that cannot keep up changes nothing.
"""

import asyncio
import contextlib
import random
import re
from collections.abc import Iterator

from ocpi_modules import headers as names
from ocpi_modules import json
from tests.bench import store
from tests.bench.processes import Served, started
from tests.bench.rounds import Line, cpu_seconds, interleaved, pin

LOCATIONS, SECONDS, IN_FLIGHT = 10_000, 2.0, 8
TOKEN = "hubC_MSP_token"
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


def run() -> Iterator[Line]:
    with store.server() as server:
        pin(1, server.pid)
        pin(1)
        figures = asyncio.run(measure(server))
    unit = "pages per CPU second"
    yield Line("B-7 memory", figures["hub"], figures["memory"], unit, 0.18, lower_is_better=False)
    yield Line("B-7 orm", figures["hub"], figures["orm"], unit, 35, lower_is_better=False)


async def measure(server: store.EmbeddedPostgres) -> dict[str, float]:
    async with store.filled(server, LOCATIONS) as fresh, contextlib.AsyncExitStack() as stack:
        sides = {
            kind: await stack.enter_async_context(started("page_servers", kind, fresh.app_dsn))
            for kind in ("hub", "memory", "orm")
        }
        return await interleaved(
            {
                "hub": lambda: pages_a_second(sides["hub"], None),
                "memory": lambda: pages_a_second(sides["memory"], 0),
                "orm": lambda: pages_a_second(sides["orm"], None),
            },
            rounds=3,
        )


async def pages_a_second(side: Served, only: int | None) -> float:
    """`only` is the one offset a server has, None for any."""
    before = cpu_seconds(side.process.pid)
    stop = asyncio.get_running_loop().time() + SECONDS
    pages = await asyncio.gather(*(ask(side.port, stop, only, random.Random(n)) for n in range(IN_FLIGHT)))
    return sum(pages) / (cpu_seconds(side.process.pid) - before)


async def ask(port: int, stop: float, only: int | None, chance: random.Random) -> int:
    """Pages got until `stop`; each is looked at."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
    head = f"Host: x\r\nAuthorization: {names.authorization(TOKEN)}\r\nX-Request-ID: r\r\nX-Correlation-ID: c\r\n"
    head += "OCPI-from-country-code: DE\r\nOCPI-from-party-id: MSP\r\nOCPI-to-country-code: NL\r\nOCPI-to-party-id: HUB\r\n\r\n"
    pages = 0
    while asyncio.get_running_loop().time() < stop:
        offset = chance.randrange(LOCATIONS // 100 - 1) * 100 if only is None else only
        target = f"/ocpi/2.2.1/sender/locations?offset={offset}&limit=100"
        writer.write(f"GET {target} HTTP/1.1\r\n{head}".encode())
        answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200"), answer
        found = _LENGTH.search(answer)
        assert found is not None
        body = await reader.readexactly(int(found.group(1)))
        check(answer, body, offset, thoroughly=pages == 0)
        pages += 1
    writer.close()
    return pages


def check(head: bytes, body: bytes, offset: int, *, thoroughly: bool) -> None:
    assert b"x-total-count: %d\r\n" % LOCATIONS in head.lower()
    assert f'"{store.id_at(offset)}"'.encode() in body
    assert f'"{store.id_at(offset + 99)}"'.encode() in body
    if thoroughly:
        ids = [item["id"] for item in json.decode(body)["data"]]
        assert ids == [store.id_at(offset + n) for n in range(100)]
