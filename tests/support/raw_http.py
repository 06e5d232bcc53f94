"""Raw sockets for tests: exactly the bytes a test wants, in and out."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass


@dataclass
class RawConnection:
    """A TCP connection of a test; every wait has a deadline of some seconds."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        async with asyncio.timeout(10):
            await self.writer.drain()

    async def answer(self, seconds: float = 10) -> tuple[int, dict[str, str], bytes]:
        """(status, headers by lower-case name, body) of the next answer."""
        line, headers, body = await self._message(seconds)
        return int(line.split(" ")[1]), headers, body

    async def whole_answer(self, seconds: float = 10) -> tuple[bytes, bytes]:
        """(head, body) of the next answer, every byte of them."""
        head, _, _, body = await self._read(seconds)
        return head, body

    async def request(self, seconds: float = 10) -> tuple[str, dict[str, str], bytes]:
        """(request line, headers by lower-case name, body) of the next request, on a server's side."""
        return await self._message(seconds)

    async def _message(self, seconds: float) -> tuple[str, dict[str, str], bytes]:
        _, line, headers, body = await self._read(seconds)
        return line, headers, body

    async def _read(self, seconds: float) -> tuple[bytes, str, dict[str, str], bytes]:
        async with asyncio.timeout(seconds):
            head = await self.reader.readuntil(b"\r\n\r\n")
            line, *lines = head.decode("latin-1").strip().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (text.partition(":") for text in lines)}
            body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return head, line, headers, body

    async def rest(self, seconds: float = 10) -> bytes:
        """Everything until the other side closes."""
        parts = b""
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(seconds):
                while data := await self.reader.read(65536):
                    parts += data
        return parts


@contextlib.asynccontextmanager
async def connected(port: int, host: str = "127.0.0.1") -> AsyncIterator[RawConnection]:
    """A connection to a listener under test."""
    reader, writer = await asyncio.wait_for(asyncio.open_connection(host, port), 5)
    try:
        yield RawConnection(reader, writer)
    finally:
        writer.transport.abort()


@contextlib.asynccontextmanager
async def raw_server(
    behave: Callable[[RawConnection], Awaitable[None]], port: int = 0, **options: object
) -> AsyncIterator[int]:
    """A server whose every connection is handed to `behave`; yields its port. `options` as of asyncio.start_server."""
    tasks: set[asyncio.Task[None]] = set()

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await behave(RawConnection(reader, writer))
        finally:
            tasks.discard(task)
            writer.transport.abort()

    server = await asyncio.start_server(accepted, "127.0.0.1", port, **options)  # type: ignore[arg-type]
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
