"""uvicorn's HTTP protocol with deadlines and caps (F-28 to F-31, F-40, F-41).

As it comes, that protocol never cuts a slow header or body, takes headers of any length, queues pipelined requests without
end, and waits for ever for a client that does not read. Parsing stays with httptools, which refuses ambiguous framing.
"""

import asyncio
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from ocpi_modules import envelope
from ocpi_modules.http.deadline import Deadline
from ocpi_modules.http.whole_answer import WholeAnswer


@dataclass(frozen=True)
class Limits:
    """Seconds and bytes. A body gets `body_seconds` and one more second for each `body_rate` bytes it announces.

    `body` is a backstop for applications without a limit of their own; it must not be below the largest of theirs.
    """

    header_seconds: float = 10.0
    body_seconds: float = 15.0
    body_rate: int = 64 * 1024
    write_seconds: float = 30.0
    linger_seconds: float = 2.0
    parting_seconds: float = 0.3
    header: int = 16 * 1024
    url: int = 8 * 1024
    body: int = 4 * 1024 * 1024
    pipelined: int = 64
    connections: int = 4000
    connections_per_address: int = 1000


@dataclass
class Guard:
    """What the connections of one listener share."""

    limits: Limits = field(default_factory=Limits)
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    open: Counter[str] = field(default_factory=Counter)


class TooMuch(Exception):
    """A cap was reached inside the parser: `args` are the HTTP status and a sentence."""


class GuardedProtocol(HttpToolsProtocol):
    """One connection. It is at rest, in a header, or in a body; each of the latter has a deadline."""

    def __init__(self, guard: Guard, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._guard = guard
        self._limits = guard.limits
        self._deadline = Deadline(self.loop, self._too_late)
        self._write_deadline: asyncio.TimerHandle | None = None
        self._parting: asyncio.TimerHandle | None = None
        self._at_rest = False
        self._in_header = False
        self._in_body = False
        self._in_parts = False
        self._offers = False
        self._data = b""
        self._again = b""
        self._received = 0
        self._header_bytes = 0
        self._body_bytes = 0
        self._discarding = False
        self._counted: str | None = None

    # the connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        address = self.client[0] if self.client else ""
        guard, limits = self._guard, self._limits
        if guard.open.total() >= limits.connections or guard.open[address] >= limits.connections_per_address:
            transport.abort()
            return
        self._counted = address
        guard.open[address] += 1
        self._deadline.within(limits.header_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self._release()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        self._release()
        super().handle_websocket_upgrade()

    def _release(self) -> None:
        self._deadline.close()
        if self._parting is not None:
            self._parting.cancel()
        if self._write_deadline is not None:
            self._write_deadline.cancel()
            self._write_deadline = None
        if self._counted is not None:
            self._guard.open[self._counted] -= 1
            if not self._guard.open[self._counted]:
                del self._guard.open[self._counted]
            self._counted = None

    # reading

    def data_received(self, data: bytes) -> None:
        if self._discarding:
            return
        if self._at_rest:
            self._at_rest = False
            self._deadline.within(self._limits.header_seconds)
        goes_on = self._in_header
        self._parse(data)
        if self._in_header and not self._discarding:
            self._in_parts = True
            self._header_bytes += len(data) if goes_on else 0
            if self._header_bytes > self._limits.header:
                self._refuse(*_too_long(len(self.url) > self._limits.url))

    def _parse(self, data: bytes) -> None:
        while data:
            self._data, self._again, self._received = data, b"", len(data)
            super().data_received(data)
            data = self._again
        self._data = b""

    def _unsupported_upgrade_warning(self) -> None:
        """An offer to go on in another protocol (h2c, as the JDK's HTTP client makes it) may be ignored, the body behind it may
        not (RFC 9110, 7.8): httptools passes over it. So the request is read once more, without the offer."""
        stopped = sys.exc_info()[1]
        if not self._offers or not isinstance(stopped, httptools.HttpParserUpgrade):
            super()._unsupported_upgrade_warning()
            return
        lines = [b"%b: %b" % pair for pair in self.headers if pair[0] != b"upgrade"]
        first = b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        rest = self._data[stopped.args[0] :]
        self.parser = httptools.HttpRequestParser(self)
        self._again = b"\r\n".join([first, *lines, b"\r\n"]) + rest

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._offers = False
        self._at_rest = False
        self._in_header = True
        self._in_parts = False
        self._header_bytes = 0
        self._body_bytes = 0
        self._deadline.within(self._limits.header_seconds)

    def on_headers_complete(self) -> None:
        offers = self.parser.should_upgrade() and not self._should_upgrade()
        self._offers = offers and self.parser.get_method() != b"CONNECT"
        if self._offers:
            return
        limits = self._limits
        large = self._in_parts or self._received > limits.header
        if len(self.url) > limits.url or (large and self._header_size() > limits.header):
            raise TooMuch(*_too_long(len(self.url) > limits.url))
        if len(self.pipeline) >= limits.pipelined:
            raise TooMuch(400, "Too many requests were sent without waiting for their answers.")
        self._in_header, self._in_body = False, True
        self._deadline.within(limits.body_seconds + self._announced() / limits.body_rate)
        super().on_headers_complete()
        if self._parting is not None:
            self.cycle.keep_alive = False

    def _header_size(self) -> int:
        return sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _announced(self) -> int:
        """How long the body is going to be, as far as the listener takes it."""
        for name, value in self.headers:
            if name == b"content-length" and value.isdigit():
                return min(int(value), self._limits.body)
            if name == b"transfer-encoding":
                return self._limits.body
        return 0

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        async def answered(scope: Any, receive: Any, send: Any) -> None:
            await app(scope, receive, WholeAnswer(cycle, self._overtakes).send)

        super()._start_asgi_task(cycle, answered)

    def _overtakes(self) -> bool:
        """Whether an answer given now comes before the whole request did."""
        return self._in_body and not self.pipeline

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._body_bytes > self._limits.body:
            raise TooMuch(413, "The body is too long.")
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._offers:
            return
        self._in_body = False
        self._deadline.off()
        super().on_message_complete()

    # writing

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_deadline = self.loop.call_later(self._limits.write_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._write_deadline is not None:
            self._write_deadline.cancel()
            self._write_deadline = None

    def on_response_complete(self) -> None:
        """As uvicorn's, without a timer of its own for a connection at rest."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            self._abort_later(self._limits.write_seconds)
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._in_body or self._discarding:
            self._linger()
        else:
            self._at_rest = True
            self._deadline.within(self.timeout_keep_alive)

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._abort_later(self._limits.write_seconds)

    def shutdown(self) -> None:
        """The listener ends. A connection at rest is closed a moment later, as a request may be on its way on it."""
        if self.cycle is None or self.cycle.response_complete:
            self._parting = self.loop.call_later(self._limits.parting_seconds, self._part)
        else:
            self._part()

    def _part(self) -> None:
        if self._in_header:
            self._parting = self.loop.call_later(self._limits.parting_seconds, self._part)
            return
        super().shutdown()
        if self.transport.is_closing():
            self._abort_later(self._limits.write_seconds)

    # refusing

    def send_400_response(self, msg: str) -> None:
        """Called by uvicorn for whatever the parser refuses."""
        error = self._parser_error()
        if isinstance(error, TooMuch):
            self._refuse(*error.args)
        elif isinstance(error, MemoryError):
            self.transport.abort()  # nothing about their request would be true
        else:
            self._refuse(400, "This is not HTTP as we read it.")

    def _parser_error(self) -> BaseException | None:
        error = sys.exc_info()[1]
        return error.__context__ if isinstance(error, httptools.HttpParserCallbackError) else None

    def _refuse(self, http_status: int, message: str) -> None:
        """Answer and close. While earlier requests still wait for their answers, these are given and nothing more."""
        answering = self.cycle is not None and not self.cycle.response_complete
        if answering and (self.pipeline or not self._in_body):
            if self._in_body:
                self.pipeline.popleft()
            self._discarding = True
            self._deadline.off()
        elif (answering and self.cycle.response_started) or self.transport.is_closing():
            self.transport.abort()
        else:
            self._write_refusal(http_status, message)
            if answering:
                self.cycle.disconnected = True
                self.cycle.message_event.set()
            self._linger()

    def _write_refusal(self, http_status: int, message: str) -> None:
        body = envelope.envelope(2000, message, self._guard.clock())
        head = b"content-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
        self.transport.write(STATUS_LINE[http_status] + head + body)

    def _linger(self) -> None:
        """Read on for a moment and throw it away: closing with unread bytes would reset the answer off the wire."""
        self._discarding = True
        self._deadline.off()
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._abort_later(self._limits.linger_seconds)

    def _abort_later(self, seconds: float) -> None:
        if self._write_deadline is None:
            self._write_deadline = self.loop.call_later(seconds, self.transport.abort)

    # deadlines

    def _too_late(self) -> None:
        if self._at_rest:
            self.timeout_keep_alive_handler()
        elif self.flow.read_paused:
            self._deadline.within(self._limits.body_seconds)
        elif self._in_header or self._in_body:
            self._refuse(408, "The request came too slowly.")
        else:
            self.transport.abort()


def _too_long(url: bool) -> tuple[int, str]:
    return (414, "The URL is too long.") if url else (431, "The headers are too long.")
