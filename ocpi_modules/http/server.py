"""The door in: an ASGI application wrapped round another one. Below `/ocpi` it turns HTTP into OcpiRequest, asks the handler,
and turns OcpiResponse into HTTP; everything else (other paths, lifespan, websockets) goes to the wrapped application.

This is the one place where an OcpiError becomes an HTTP answer. Every answer is an envelope (X-59, X-65, X-66) and carries the
ids of its request (X-85, X-86, X-92). Bodies are read up to a limit but parsed by the handler only, after authentication.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from functools import lru_cache
from typing import Any

import structlog

from ocpi_modules import envelope
from ocpi_modules import headers as names
from ocpi_modules.http import parsing
from ocpi_modules.http.paths import PREFIX, Match, Paths, details_url, endpoint_url, endpoint_urls, versions_url
from ocpi_modules.message import Clock, Handler, OcpiRequest, OcpiResponse
from ocpi_modules.spec import Kind, ModuleID, ModuleSpec
from ocpi_modules.status import BodyTooLarge, InvalidParameters, NotAvailable, OcpiError, ServerError

__all__ = ["OcpiEdge", "details_url", "endpoint_url", "endpoint_urls", "versions_url"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
OnCrash = Callable[[OcpiRequest | None, Exception], None]
"""Called with the request (None when it could not be read) and what went wrong. The caller is told nothing of it."""

MEGABYTE = 1024 * 1024
STOPPING = "Stopping now: this was not answered in time and may have been done or not; send it again."
"""To whom the time to finish was not enough (Q-02, F-05). What was forwarded already cannot be taken back."""
_BAD_VALUE = re.compile(r"[\x00-\x1f\x7f]")


class ClientGone(Exception):
    """The caller closed the connection before its request was complete; there is nobody to answer."""


class OcpiEdge:
    """`handler` may be replaced while nothing is served (an application that builds it at start-up)."""

    def __init__(
        self,
        app: Application,
        handler: Handler,
        modules: Mapping[ModuleID, ModuleSpec],
        clock: Clock,
        *,
        prefix: str = PREFIX,
        body_limit: int = MEGABYTE,
        locations_body_limit: int = 2 * MEGABYTE,
        on_crash: OnCrash | None = None,
    ) -> None:
        self.handler = handler
        self._app = app
        self._paths = Paths(modules, prefix=prefix)
        self._kinds = {spec.id: spec.kind for spec in modules.values()}
        self._limits = dict.fromkeys(modules, body_limit) | {ModuleID.locations: locations_body_limit}
        self._clock = clock
        self._on_crash = on_crash or _log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            raw_path = _raw_path(scope)
            if self._paths.own(raw_path):
                await self._answer(scope, raw_path, receive, send)
                return
        await self._app(scope, receive, send)

    async def _answer(self, scope: Scope, raw_path: str, receive: Receive, send: Send) -> None:
        request: OcpiRequest | None = None
        try:
            request = await self._read(scope, raw_path, receive)
            response = await self.handler.handle(request)
            headers = _headers(response, request.request_id, request.correlation_id)
        except ClientGone:
            return
        except asyncio.CancelledError:
            response = envelope.refusal(NotAvailable(STOPPING, headers={names.RETRY_AFTER: "5"}), now=self._clock())
            await _send(send, response, _headers(response, *_ids(request, scope["headers"])))
            raise
        except Exception as error:
            response = self._refused(request, error)
            headers = _headers(response, *_ids(request, scope["headers"]))
        await _send(send, response, headers)

    def _refused(self, request: OcpiRequest | None, error: Exception) -> OcpiResponse:
        if isinstance(error, OcpiError) and not _BAD_VALUE.search("".join(error.headers.values())):
            return envelope.refusal(error, now=self._clock())
        self._on_crash(request, error)
        failure = ServerError("Something went wrong here; the operator was told.", http_status=500)
        return envelope.refusal(failure, now=self._clock())

    async def _read(self, scope: Scope, raw_path: str, receive: Receive) -> OcpiRequest:
        match = self._paths.match(scope["method"], raw_path)
        headers = parsing.read_headers(scope["headers"])
        query = scope["query_string"].decode("latin-1")
        functional = self._kinds[match.module] is Kind.FUNCTIONAL
        to, sender = parsing.routing(headers) if functional else (None, None)
        client = scope.get("client")
        return OcpiRequest(
            method=match.endpoint.method,
            module=match.module,
            endpoint=match.endpoint,
            version=match.version,
            path=match.path,
            query=query,
            variables=match.variables,
            params=parsing.read_params(query),
            headers=headers,
            to=to,
            sender=sender,
            request_id=parsing.message_id(headers, parsing.REQUEST_ID),
            correlation_id=parsing.message_id(headers, parsing.CORRELATION_ID),
            authorization=headers.get("authorization", ""),
            client_address=client[0] if client else "",
            custom=match.custom,
            body=await self._body(match, headers, receive),
        )

    async def _body(self, match: Match, headers: Mapping[str, str], receive: Receive) -> bytes:
        length = headers.get("content-length", "")
        if not length and "transfer-encoding" not in headers:
            return b""
        body = await read_body(receive, self._limits[match.module], length)
        if body:
            parsing.check_content(headers)
        return body


async def read_body(receive: Receive, limit: int, content_length: str = "") -> bytes:
    """The whole body, at most `limit` bytes. Raises BodyTooLarge (413) as soon as it is known (F-31), or ClientGone."""
    if content_length and (not content_length.isdecimal() or len(content_length) > 19):
        raise InvalidParameters("Content-Length is not a number.", http_status=400)
    if content_length and int(content_length) > limit:
        raise BodyTooLarge(f"The body is longer than {limit} bytes.")
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientGone
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise BodyTooLarge(f"The body is longer than {limit} bytes.")
        parts.append(part)
        more = message.get("more_body", False)
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def _send(send: Send, response: OcpiResponse, headers: list[tuple[bytes, bytes]]) -> None:
    await send({"type": "http.response.start", "status": response.http_status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})


def _raw_path(scope: Scope) -> str:
    raw: bytes | None = scope.get("raw_path")
    return raw.decode("latin-1") if raw is not None else str(scope["path"])


def _headers(response: OcpiResponse, request_id: str, correlation_id: str) -> list[tuple[bytes, bytes]]:
    """Raises ValueError for a value that would break the answer apart (F-40)."""
    pairs = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(response.body)),
        (b"x-request-id", request_id.encode("latin-1")),
        (b"x-correlation-id", correlation_id.encode("latin-1")),
    ]
    values = "".join(response.headers.values())
    if not (values.isascii() and values.isprintable()):
        raise ValueError(f"of {', '.join(response.headers)} in an answer one holds characters no header may hold")
    pairs += [(_lower(name), value.encode("ascii")) for name, value in response.headers.items()]
    return pairs


@lru_cache(256)
def _lower(name: str) -> bytes:
    return name.lower().encode("ascii")


def _ids(request: OcpiRequest | None, pairs: Iterable[tuple[bytes, bytes]]) -> tuple[str, str]:
    if request is not None:
        return request.request_id, request.correlation_id
    pairs = list(pairs)
    return (
        parsing.message_id_or_new(pairs, names.REQUEST_ID.lower()),
        parsing.message_id_or_new(pairs, names.CORRELATION_ID.lower()),
    )


def _log(request: OcpiRequest | None, error: Exception) -> None:
    structlog.get_logger("ocpi").error(
        "request crashed",
        method=request.method if request else None,
        module=request.module if request else None,
        request_id=request.request_id if request else None,
        exc_info=error,
    )
