"""A TCP proxy that does to a connection what networks do (promises section 4). One mode at a time, changed while it runs.

async with FaultProxy.running(target_port) as proxy:
    await proxy.change(Mode.BLACKHOLE)
    proxy.port

The target is a port of this machine or the path of a Unix socket. With `proxy.certificate` it speaks TLS to whoever asks.
"""

import asyncio
import contextlib
import functools
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

CHUNK = 65_536
DRIP_SECONDS = 0.2
DELAY_SECONDS = 0.3
BYTES_A_SECOND = 20_000
BYTES_BEFORE_BLACKHOLE = 40
WAITING = 4
"""So many connections fill the queue of a socket that nobody accepts from; Linux drops the next SYN."""


class Mode(StrEnum):
    """What happens to what the target answers; DROP_NEW, RESET and BLACKHOLE also to what it is asked."""

    PASS = "pass"
    DELAY = "delay"
    """Every piece comes DELAY_SECONDS late."""
    BANDWIDTH = "bandwidth"
    """BYTES_A_SECOND."""
    REFUSE = "refuse"
    """Nobody listens on the port (F-15)."""
    DROP_SYN = "drop_syn"
    """A connection is never made, and nobody says no (F-16)."""
    DROP_NEW = "drop_new"
    """A connection is accepted and closed at once."""
    BLACKHOLE = "blackhole"
    """Everything is taken, nothing passes (F-17)."""
    BLACKHOLE_AFTER = "blackhole_after"
    """The question passes, and the first bytes of the answer; then nothing."""
    RESET = "reset"
    """The question passes, the answer is cut by a reset (F-18)."""
    HALF_CLOSE = "half_close"
    """The question passes; our side says FIN in the middle of the answer and goes on listening."""
    SLOW_DRIP = "slow_drip"
    """One byte of the answer at a time (F-19)."""
    CORRUPT = "corrupt"
    """Bits of the answer are turned over."""


@dataclass
class _Way:
    """One connection: whether the fault is for it, and how much of the answer has passed."""

    struck: bool
    passed: int = 0


class FaultProxy:
    """`reached` counts the connections that came, `struck` those a fault met.

    With `only`, a fault meets a connection from the moment it is asked something with these bytes in it, and no other.
    """

    def __init__(self, target: int | Path) -> None:
        self.mode = Mode.PASS
        self.port = 0
        self.reached = 0
        self.struck = 0
        self.only = b""
        self.certificate: ssl.SSLContext | None = None
        self._target = target
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._full: list[socket.socket] = []
        self._changes = 0

    @classmethod
    @contextlib.asynccontextmanager
    async def running(
        cls, target: int | Path, certificate: ssl.SSLContext | None = None
    ) -> AsyncIterator["FaultProxy"]:
        proxy = cls(target)
        proxy.certificate = certificate
        await proxy._open()
        try:
            yield proxy
        finally:
            await proxy._close()
            proxy.cut()
            await asyncio.gather(*proxy._tasks, return_exceptions=True)

    async def change(self, mode: Mode) -> None:
        """From now on this mode, for new connections; those there are, are cut."""
        await self._close()
        self._changes += 1
        self.mode = mode
        if mode is Mode.DROP_SYN:
            self._fill()
        elif mode is not Mode.REFUSE:
            await self._open()
        self.cut()

    def cut(self) -> None:
        """End every connection there is."""
        for writer in self._writers:
            writer.transport.abort()

    async def _open(self) -> None:
        accept = functools.partial(self._accept, self._changes)
        self._server = await asyncio.start_server(accept, "127.0.0.1", self.port, ssl=self.certificate)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        """Connections there are stay."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for one in self._full:
            one.close()
        self._full = []

    def _fill(self) -> None:
        full = socket.socket()
        full.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        full.bind(("127.0.0.1", self.port))
        full.listen(0)
        self._full = [full, *(socket.socket() for _ in range(WAITING))]
        for one in self._full[1:]:
            one.setblocking(False)
            one.connect_ex(full.getsockname())

    async def _accept(self, changes: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if changes != self._changes:
            writer.transport.abort()  # it was let in before the change, and its TLS agreed on only now
            return
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
        if isinstance(self._target, Path):
            target_reader, target_writer = await asyncio.open_unix_connection(self._target)
        else:
            target_reader, target_writer = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers.add(target_writer)
        way = _Way(struck=not self.only)
        directions = [
            asyncio.create_task(self._ask(reader, target_writer, way)),
            asyncio.create_task(self._answer(target_reader, writer, way)),
        ]
        try:
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for direction in directions:
                direction.cancel()
            self._writers.discard(target_writer)
            target_writer.transport.abort()

    async def _ask(self, reader: asyncio.StreamReader, target: asyncio.StreamWriter, way: _Way) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                if self.only and self.mode is not Mode.PASS and self.only in data:
                    way.struck = True
                if self.mode is not Mode.BLACKHOLE or not way.struck:
                    target.write(data)
                    await target.drain()

    async def _answer(self, target: asyncio.StreamReader, writer: asyncio.StreamWriter, way: _Way) -> None:
        with contextlib.suppress(OSError):
            while data := await target.read(CHUNK):
                if not await self._pass_on(data, writer, way):
                    return

    async def _pass_on(self, data: bytes, writer: asyncio.StreamWriter, way: _Way) -> bool:
        """False when this connection ends here."""
        mode = self.mode if way.struck else Mode.PASS
        self.struck += mode is not Mode.PASS
        match mode:
            case Mode.BLACKHOLE:
                return True
            case Mode.BLACKHOLE_AFTER:
                data, way.passed = data[: max(0, BYTES_BEFORE_BLACKHOLE - way.passed)], way.passed + len(data)
                writer.write(data)
            case Mode.RESET:
                _reset(writer)
                return False
            case Mode.HALF_CLOSE:
                await _half_close(writer, data[: len(data) // 2])
            case Mode.SLOW_DRIP | Mode.BANDWIDTH:
                size = 1 if mode is Mode.SLOW_DRIP else int(BYTES_A_SECOND * DRIP_SECONDS)
                for start in range(0, len(data), size):
                    writer.write(data[start : start + size])
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


async def _half_close(writer: asyncio.StreamWriter, data: bytes) -> None:
    """Send this and FIN; for ever open in the other direction, until the other side ends it."""
    writer.write(data)
    await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
        await asyncio.Event().wait()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close so that the other side gets RST."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
