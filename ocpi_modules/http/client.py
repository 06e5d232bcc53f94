"""The door out: one client for everything that is sent to partners (S-20).

A request is sent at most once. The exceptions are none that a partner could notice twice: a connection that was found closed
before a byte was sent, a GET whose kept connection closed without a byte of answer, and one 307 or 308 to the same scheme,
host and port (S-24).
"""

import asyncio
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from urllib.parse import urljoin

from ocpi_modules import headers as names
from ocpi_modules.http.addresses import Origin, Resolve, Resolver, addresses_of, split_url
from ocpi_modules.http.connection import Caps, IncomingAnswer
from ocpi_modules.http.failures import (
    AddressRefused,
    AnswerTooLarge,
    BadAnswer,
    RequestRefused,
    SendFailed,
    TimedOut,
    Unreachable,
)
from ocpi_modules.http.pool import Pool
from ocpi_modules.message import PartyId

__all__ = [
    "AddressRefused",
    "AnswerTooLarge",
    "BadAnswer",
    "IncomingAnswer",
    "OcpiClient",
    "OutgoingRequest",
    "RequestRefused",
    "SendFailed",
    "TimedOut",
    "Unreachable",
    "join_url",
    "ocpi_headers",
]

DEFAULT_DEADLINE = 30.0

_BAD_HEADER = re.compile(r"[\x00-\x1f\x7f]")
_METHOD = re.compile(r"[A-Z]{3,10}")
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_OURS = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "accept-encoding", "user-agent", "accept"}
)
_MOST_ORIGINS = 5000


@dataclass(slots=True)
class OutgoingRequest:
    """Host, Content-Length and the like in `headers` are replaced by our own; a body without Content-Type is application/json."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(slots=True)
class _Progress:
    """`until`: the moment, in the loop's time, at which everything ends."""

    until: float
    sent: bool = False


class OcpiClient:
    """Times in seconds. `allow_insecure` permits http and private addresses (development); certificates are always verified.

    `extra_ca` is a PEM file of authorities trusted besides the system's. `connections` and `waiting` are per destination.
    """

    def __init__(
        self,
        *,
        allow_insecure: bool = False,
        extra_ca: Path | None = None,
        caps: Caps | None = None,
        connections: int = 64,
        waiting: int = 1000,
        connect_seconds: float = 3.0,
        idle_seconds: float = 4.0,
        resolve: Resolve | None = None,
    ) -> None:
        self._allow_insecure = allow_insecure
        self._tls = _tls(extra_ca)
        self._caps = caps or Caps()
        self._connections = connections
        self._waiting = waiting
        self._connect_seconds = connect_seconds
        self._idle_seconds = idle_seconds
        self._resolver = Resolver()
        self._resolve = resolve or self._resolver
        self._pools: dict[Origin, Pool] = {}

    async def send(self, request: OutgoingRequest, deadline: float = DEFAULT_DEADLINE) -> IncomingAnswer:
        """Send and wait for the whole answer, at most `deadline` seconds in all: queueing, connecting, sending, receiving.

        Raises SendFailed. A redirect that is not followed is returned as it is.
        """
        progress = _Progress(asyncio.get_running_loop().time() + deadline)
        try:
            return await self._follow(request, progress)
        except TimeoutError:
            raise TimedOut(f"No answer within {deadline:g} s.", request_was_sent=progress.sent) from None

    async def close(self) -> None:
        """Close kept connections and stop resolving. Requests under way end as they end."""
        for pool in self._pools.values():
            pool.close()
        self._pools.clear()
        self._resolver.close()

    async def __aenter__(self) -> "OcpiClient":
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def _follow(self, request: OutgoingRequest, progress: _Progress) -> IncomingAnswer:
        if not _METHOD.fullmatch(request.method):
            raise RequestRefused("The method is not one of HTTP.")
        origin, target = split_url(request.url, allow_insecure=self._allow_insecure)
        answer = await self._once(origin, target, request, progress)
        location = answer.headers.get("location")
        if answer.http_status not in (307, 308) or not location:
            return answer
        try:
            elsewhere, target = split_url(urljoin(request.url, location), allow_insecure=self._allow_insecure)
        except (AddressRefused, ValueError):
            return answer
        return await self._once(origin, target, request, progress) if elsewhere == origin else answer

    async def _once(self, origin: Origin, target: str, request: OutgoingRequest, progress: _Progress) -> IncomingAnswer:
        data = _serialize(origin, target, request)
        pool = self._pool(origin)
        kept = await self._exchange(pool, data, request.method, progress, fresh=False)
        if kept is None:
            kept = await self._exchange(pool, data, request.method, progress, fresh=True)
        assert kept is not None
        return kept

    async def _exchange(
        self, pool: Pool, data: bytes, method: str, progress: _Progress, *, fresh: bool
    ) -> IncomingAnswer | None:
        """None: a kept connection was at its end and the GET may be sent once more."""
        connection = None if fresh else pool.take()
        if connection is None:
            async with asyncio.timeout_at(progress.until):
                connection = await pool.acquire(fresh=fresh)
        was_kept = connection.answered > 0
        try:
            progress.sent = True
            return await connection.exchange(data, until=progress.until, head=method == "HEAD")
        except Unreachable:
            if was_kept and method == "GET" and not connection.answer_began:
                return None
            raise
        finally:
            pool.release(connection)

    def _pool(self, origin: Origin) -> Pool:
        pool = self._pools.get(origin)
        if pool is None:
            self._make_room()
            pool = self._pools[origin] = Pool(
                origin,
                self._addresses,
                self._tls if origin.scheme == "https" else None,
                self._caps,
                connections=self._connections,
                waiting=self._waiting,
                connect_seconds=self._connect_seconds,
                idle_seconds=self._idle_seconds,
            )
        return pool

    def _make_room(self) -> None:
        if len(self._pools) >= _MOST_ORIGINS:
            for origin in [origin for origin, pool in self._pools.items() if pool.empty]:
                del self._pools[origin]
        if len(self._pools) >= _MOST_ORIGINS:
            raise RequestRefused("Too many destinations are being called at once.")

    async def _addresses(self, origin: Origin) -> list[str]:
        return await addresses_of(origin, self._resolve, allow_insecure=self._allow_insecure)


def ocpi_headers(
    token: str,
    *,
    request_id: str,
    correlation_id: str,
    base64_encoded: bool = True,
    to: PartyId | None = None,
    sender: PartyId | None = None,
) -> dict[str, str]:
    """Authorization, the two message ids and the routing headers of one request (X-02, X-85, X-86, R-03)."""
    return {
        "Authorization": names.authorization(token, base64_encoded=base64_encoded),
        names.REQUEST_ID: request_id,
        names.CORRELATION_ID: correlation_id,
        **names.routing_headers(to=to, sender=sender),
    }


def join_url(endpoint_url: str, suffix: str) -> str:
    """The endpoint URL and what follows it, with exactly one slash between them (X-100); a query follows without one."""
    if not suffix.strip("/"):
        return endpoint_url
    if suffix.startswith("?"):
        return endpoint_url + suffix
    return f"{endpoint_url.rstrip('/')}/{suffix.lstrip('/')}"


def _serialize(origin: Origin, target: str, request: OutgoingRequest) -> bytes:
    _refuse_bad(request.headers)
    lines = [f"{request.method} {target} HTTP/1.1\r\n{_host(origin)}"]
    given = {name.lower(): f"{name}: {value}" for name, value in request.headers.items()}
    lines += [line for name, line in given.items() if name not in _OURS]
    if request.body and "content-type" not in given:
        lines.append("Content-Type: application/json")
    if request.body or request.method in ("POST", "PUT", "PATCH"):
        lines.append(f"Content-Length: {len(request.body)}")
    return "\r\n".join(lines).encode("ascii") + b"\r\n\r\n" + request.body


@lru_cache(1024)
def _host(origin: Origin) -> str:
    return f"Host: {origin.host_header}\r\nUser-Agent: ocpi\r\nAccept: application/json"


def _refuse_bad(headers: Mapping[str, str]) -> None:
    values = "".join(headers.values())
    if _BAD_HEADER.search(values) or not values.isascii():
        wrong = next(name for name, value in headers.items() if _BAD_HEADER.search(value) or not value.isascii())
        raise RequestRefused(f"The header {wrong} holds characters no header may hold.")
    for name in headers:
        if not _is_token(name):
            raise RequestRefused("The name of a header holds characters no header may hold.")


@lru_cache(256)
def _is_token(name: str) -> bool:
    return _TOKEN.fullmatch(name) is not None


def _tls(extra_ca: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if extra_ca is not None:
        context.load_verify_locations(cafile=str(extra_ca))
    return context
