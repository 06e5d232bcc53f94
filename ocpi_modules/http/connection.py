"""One HTTP/1.1 connection to a partner: one request at a time, the answer under caps (S-28, F-18, F-21)."""

import asyncio
import select
from dataclasses import dataclass
from typing import cast

import httptools

from ocpi_modules.http.deadline import Deadline
from ocpi_modules.http.failures import AnswerTooLarge, BadAnswer, SendFailed, Unreachable

_CHECKED_AFTER_SECONDS = 0.2


@dataclass(slots=True)
class IncomingAnswer:
    """A partner's answer. Header names are lower case, values of one name joined by ", "."""

    http_status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Caps:
    """In bytes."""

    headers: int = 64 * 1024
    body: int = 10 * 1024 * 1024


class Connection(asyncio.Protocol):
    """Made by `loop.create_connection`; `exchange` sends bytes and waits for the answer to them."""

    def __init__(self, caps: Caps) -> None:
        self._caps = caps
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[IncomingAnswer] | None = None
        self._deadline = Deadline(self._loop, self._too_late)
        self._idle_since = 0.0
        self.answered = 0
        self.answer_began = False
        self._begin()

    def _begin(self) -> None:
        self._headers: dict[str, str] = {}
        self._header_bytes = 0
        self._headers_complete = False
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._without_body = False
        self._last = False

    @property
    def usable(self) -> bool:
        """Whether another request may be sent: open, at rest, and not closed by the peer without our having noticed."""
        if self._transport is None or self._transport.is_closing() or self._waiting is not None:
            return False
        return self._loop.time() - self._idle_since < _CHECKED_AFTER_SECONDS or not self._readable()

    def _readable(self) -> bool:
        """Anything to read on a connection at rest is its end, or bytes nobody asked for."""
        descriptor = cast(asyncio.Transport, self._transport).get_extra_info("socket").fileno()
        poll = select.poll()
        poll.register(descriptor, select.POLLIN | select.POLLHUP | select.POLLERR)
        return bool(poll.poll(0))

    @property
    def idle_seconds(self) -> float:
        return self._loop.time() - self._idle_since

    async def exchange(self, request: bytes, *, until: float, head: bool = False, last: bool = False) -> IncomingAnswer:
        """Send one request, perhaps the `last`. Raises SendFailed, or TimeoutError at `until` (the loop's time), which like
        whoever cancels this closes the connection."""
        assert self._transport is not None
        self._begin()
        self.answer_began = False
        self._without_body, self._last = head, last
        self._waiting = self._loop.create_future()
        self._deadline.at(until)
        self._transport.write(request)
        try:
            return await self._waiting
        except BaseException:
            self.abort()
            raise
        finally:
            self._waiting = None
            self._deadline.off()
            self._idle_since = self._loop.time()

    def _too_late(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(TimeoutError())

    def abort(self) -> None:
        """Close at once, dropping what was not yet sent."""
        if self._transport is not None:
            self._transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._idle_since = self._loop.time()

    def data_received(self, data: bytes) -> None:
        if self._waiting is None or self._waiting.done():
            self.abort()
            return
        self.answer_began = True
        in_headers = not self._headers_complete
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(
                error.__context__ if isinstance(error.__context__, SendFailed) else BadAnswer("The answer is not HTTP.")
            )
            return
        except httptools.HttpParserUpgrade:
            self._fail(BadAnswer("The answer switches protocols."))
            return
        if in_headers and not self._headers_complete:
            self._count_header(len(data))

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._deadline.close()
        if self._waiting is None or self._waiting.done():
            return
        if error is None and self._headers_complete and self._ends_with_the_connection():
            self._complete()
        elif self.answer_began:
            self._fail(Unreachable("The connection broke in the middle of the answer."))
        else:
            self._fail(Unreachable("The connection was closed without an answer."))

    def _ends_with_the_connection(self) -> bool:
        return "content-length" not in self._headers and "transfer-encoding" not in self._headers

    # httptools

    def on_message_begin(self) -> None:
        if self._waiting is None or self._waiting.done():
            self.abort()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_bytes += len(name) + len(value) + 4
        if self._header_bytes > self._caps.headers:
            raise AnswerTooLarge(f"The headers of the answer are longer than {self._caps.headers} bytes.")
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        self._headers[key] = f"{self._headers[key]}, {text}" if key in self._headers else text

    def on_headers_complete(self) -> None:
        if self._parser.get_status_code() < 200:
            return
        self._headers_complete = True
        coding = self._headers.get("content-encoding", "identity")
        if coding.lower() not in ("identity", ""):
            raise BadAnswer(f"The answer has the Content-Encoding {coding[:40]!r}; only identity was asked for.")
        length = self._headers.get("content-length", "")
        if length.isdecimal() and int(length[:19]) > self._caps.body and not self._without_body:
            raise AnswerTooLarge(f"The answer is longer than {self._caps.body} bytes.")
        if self._without_body:
            self._complete()
            self.abort()

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._body_bytes > self._caps.body:
            raise AnswerTooLarge(f"The answer is longer than {self._caps.body} bytes.")
        self._body.append(body)

    def on_message_complete(self) -> None:
        if not self._headers_complete:
            self._begin()
            return
        assert self._transport is not None
        kept = self._parser.should_keep_alive() and not self._last
        stays = kept and not self._transport.get_write_buffer_size()
        self._complete()
        if not stays:
            self._transport.close()

    def _count_header(self, received: int) -> None:
        self._header_bytes += received
        if self._header_bytes > self._caps.headers:
            self._fail(AnswerTooLarge(f"The headers of the answer are longer than {self._caps.headers} bytes."))

    def _complete(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self.answered += 1
            body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
            self._waiting.set_result(IncomingAnswer(self._parser.get_status_code(), self._headers, body))

    def _fail(self, failure: SendFailed) -> None:
        failure.request_was_sent = True
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(failure)
        self.abort()
