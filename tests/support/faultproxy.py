"""A TCP proxy that does to a connection what networks do (promises section 4). One mode at a time, changed while it runs.

async with FaultProxy.running(target_port) as proxy:
    proxy.mode = Mode.BLACKHOLE
    proxy.port
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from enum import StrEnum

CHUNK = 65_536
DRIP_SECONDS = 0.2
DELAY_SECONDS = 0.3


class Mode(StrEnum):
    """What happens to what the target answers; DROP_NEW, RESET and BLACKHOLE also to what it is asked."""

    PASS = "pass"
    DELAY = "delay"
    """Every piece comes DELAY_SECONDS late."""
    DROP_NEW = "drop_new"
    """A connection is accepted and closed at once."""
    BLACKHOLE = "blackhole"
    """Everything is taken, nothing passes."""
    RESET = "reset"
    """The question passes, the answer is cut by a reset (F-18)."""
    HALF_CLOSE = "half_close"
    """The question passes; we close our side before the answer ends."""
    SLOW_DRIP = "slow_drip"
    """One byte of the answer at a time (F-19)."""
    CORRUPT = "corrupt"
    """Bits of the answer are turned over."""


class FaultProxy:
    """`reached` counts the connections that came."""

    def __init__(self, target: int) -> None:
        self.mode = Mode.PASS
        self.port = 0
        self.reached = 0
        self._target = target
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    @classmethod
    @contextlib.asynccontextmanager
    async def running(cls, target: int) -> AsyncIterator["FaultProxy"]:
        proxy = cls(target)
        server = await asyncio.start_server(proxy._accept, "127.0.0.1", 0)
        proxy.port = server.sockets[0].getsockname()[1]
        try:
            yield proxy
        finally:
            server.close()
            proxy.cut()
            await asyncio.gather(*proxy._tasks, return_exceptions=True)

    def cut(self) -> None:
        """End every connection there is."""
        for writer in self._writers:
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reached += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            if self.mode is not Mode.DROP_NEW:
                await self._serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()
            self._writers.discard(writer)
            self._tasks.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target_reader, target_writer = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers.add(target_writer)
        directions = [
            asyncio.create_task(self._ask(reader, target_writer)),
            asyncio.create_task(self._answer(target_reader, writer)),
        ]
        try:
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for direction in directions:
                direction.cancel()
            self._writers.discard(target_writer)
            target_writer.transport.abort()

    async def _ask(self, reader: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                if self.mode is not Mode.BLACKHOLE:
                    target.write(data)
                    await target.drain()

    async def _answer(self, target: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await target.read(CHUNK):
                if not await self._pass_on(data, writer):
                    return

    async def _pass_on(self, data: bytes, writer: asyncio.StreamWriter) -> bool:
        """False when this connection ends here."""
        match self.mode:
            case Mode.BLACKHOLE:
                return True
            case Mode.RESET:
                _reset(writer)
                return False
            case Mode.HALF_CLOSE:
                writer.write(data[: len(data) // 2])
                await writer.drain()
                return False
            case Mode.SLOW_DRIP:
                for byte in data:
                    writer.write(bytes((byte,)))
                    await writer.drain()
                    await asyncio.sleep(DRIP_SECONDS)
            case Mode.CORRUPT:
                writer.write(bytes(byte ^ 0x15 if number % 7 == 6 else byte for number, byte in enumerate(data)))
            case Mode.DELAY:
                await asyncio.sleep(DELAY_SECONDS)
                writer.write(data)
            case _:
                writer.write(data)
        await writer.drain()
        return True


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close so that the other side gets RST."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
