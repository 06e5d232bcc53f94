"""An answer that is complete leaves in one write, its head and its body together; anything else goes uvicorn's way."""

from collections.abc import Callable, MutableMapping
from functools import lru_cache
from typing import Any, NamedTuple

from uvicorn.protocols.http.httptools_impl import HEADER_RE, HEADER_VALUE_RE, STATUS_LINE, RequestResponseCycle

Message = MutableMapping[str, Any]
_CLOSE = (b"connection", b"close")
_WITHOUT_BODY = (204, 304)
_LARGE = 16_384
"""A body of so many bytes is not copied behind its head."""


class _Names(NamedTuple):
    """What follows from the names of an answer's headers alone; most answers of a server have the same."""

    lines: bytes
    """A line for each, with room for its value."""
    length: int
    """Which of them is Content-Length; -1 where the answer is left to uvicorn."""


class WholeAnswer:
    """`send` is what an ASGI application gets. `ends()`: the answer overtakes its request's body, after which nothing more is
    read: it says `Connection: close`, and the connection is left for the protocol to end, which loses no answer to a reset."""

    __slots__ = ("_cycle", "_ends", "_names", "_start")

    def __init__(self, cycle: RequestResponseCycle, ends: Callable[[], bool]) -> None:
        self._cycle = cycle
        self._ends = ends
        self._start: Message | None = None

    async def send(self, message: Message) -> None:
        """The start of an answer of a known length waits for its body."""
        if message["type"] == "http.response.start" and not self._cycle.response_started:
            self._names = _names(tuple([name for name, _ in message.get("headers", ())]))
            if self._names.length >= 0:
                self._start = message
            else:
                await self._begin(message)
        elif self._start is None:
            await self._cycle.send(message)  # type: ignore[arg-type]
        elif self._is_whole(self._start, message):
            await self._whole(self._start, message.get("body", b""))
        else:
            await self._begin(self._start)
            self._start = None
            await self._cycle.send(message)  # type: ignore[arg-type]

    async def _begin(self, start: Message) -> None:
        ends = self._ends()
        if ends:
            start = {**start, "headers": [*start.get("headers", ()), _CLOSE]}
        await self._cycle.send(start)  # type: ignore[arg-type]
        if ends:
            self._cycle.keep_alive = True

    def _is_whole(self, start: Message, message: Message) -> bool:
        plain = self._cycle.scope["method"] != "HEAD" and start["status"] not in _WITHOUT_BODY
        return plain and not message.get("more_body", False)

    async def _whole(self, start: Message, body: bytes) -> None:
        cycle = self._cycle
        if cycle.flow.write_paused and not cycle.disconnected:
            await cycle.flow.drain()
        if cycle.disconnected:
            return
        head = self._head(start, len(body))
        if not cycle.keep_alive or self._ends():
            head += b"connection: close\r\n"
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        if len(body) < _LARGE:
            cycle.transport.write(b"".join((head, b"\r\n", body)))
        else:
            cycle.transport.writelines((head + b"\r\n", body))
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()

    def _head(self, start: Message, length: int) -> bytes:
        """The status line and headers. Raises RuntimeError for what would break the answer apart (F-40), as uvicorn does."""
        values = tuple([value for _, value in start["headers"]])
        if HEADER_VALUE_RE.search(b"".join(values)):
            raise RuntimeError("a header of the answer holds characters no header may hold")
        said = values[self._names.length]
        if int(said) != length:
            raise RuntimeError(f"the answer has {length} bytes and says {said.decode('latin-1')}")
        return STATUS_LINE[start["status"]] + self._names.lines % values


@lru_cache(256)
def _names(names: tuple[bytes, ...]) -> _Names:
    """Raises RuntimeError for a name that would break the answer apart."""
    if HEADER_RE.search(b"".join(names)):
        raise RuntimeError("the name of a header of the answer holds characters no header may hold")
    whole = b"content-length" in names and b"connection" not in names and b"transfer-encoding" not in names
    lines = b"".join([name.replace(b"%", b"%%") + b": %b\r\n" for name in names])
    return _Names(lines, names.index(b"content-length") if whole else -1)
