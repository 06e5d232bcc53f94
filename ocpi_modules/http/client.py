"""The door out: one client for everything that is sent to partners (S-20).

A request is sent at most once. The exceptions are none that a partner could notice twice: a connection that was found closed
before a byte was sent, a GET whose kept connection closed without a byte of answer, and one 307 or 308 to the same scheme,
host and port (S-24).
"""

import asyncio
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin

from ocpi_modules import headers as names
from ocpi_modules.http.addresses import NOT_SECURE, Origin, Resolve, Resolver, addresses_of, split_url
from ocpi_modules.http.connection import Caps, Connection, IncomingAnswer
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
from ocpi_modules.http.written import OutgoingRequest, WrittenRequest, write
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
    "WrittenRequest",
    "join_url",
    "ocpi_headers",
]

DEFAULT_DEADLINE = 30.0

_MOST_LANES = 5000
_Lane = tuple[Origin, str]


@dataclass(slots=True)
class _Progress:
    """`until`: the moment, in the loop's time, at which everything ends."""

    until: float
    sent: bool = False


class OcpiClient:
    """Times in seconds. `allow_insecure` permits http and private addresses (development); certificates are always verified.

    `extra_ca` is a PEM file of authorities trusted besides the system's. `connections` and `waiting` are per lane of a host
    (Q-10): what is sent in one lane never waits for another.
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
        self._pools: dict[_Lane, Pool] = {}

    async def send(
        self, request: OutgoingRequest | WrittenRequest, deadline: float = DEFAULT_DEADLINE
    ) -> IncomingAnswer:
        """Send and wait for the whole answer, at most `deadline` seconds in all: queueing, connecting, sending, receiving.

        Raises SendFailed. A redirect that is not followed is returned as it is.
        """
        progress = _Progress(asyncio.get_running_loop().time() + deadline)
        if isinstance(request, OutgoingRequest):
            request = write(request, allow_insecure=self._allow_insecure)
        elif request.origin.scheme != "https" and not self._allow_insecure:
            raise AddressRefused(NOT_SECURE)
        try:
            answer = await self._once(request, request.target, progress)
            target = self._moved(request, answer) if answer.http_status in (307, 308) else None
            return answer if target is None else await self._once(request, target, progress)
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

    def _moved(self, request: WrittenRequest, answer: IncomingAnswer) -> str | None:
        """Where a redirect leads to, None when it is not followed (S-24)."""
        location = answer.headers.get("location")
        if not location:
            return None
        try:
            url = urljoin(request.origin.url + request.target, location)
            origin, target = split_url(url, allow_insecure=self._allow_insecure)
        except (AddressRefused, ValueError):
            return None
        return target if origin == request.origin else None

    async def _once(
        self, request: WrittenRequest, target: str, progress: _Progress, *, fresh: bool = False
    ) -> IncomingAnswer:
        lane = (request.origin, request.lane)
        pool = self._pools.get(lane) or self._new_pool(lane)
        connection = (None if fresh else pool.take()) or await self._acquire(pool, progress, fresh=fresh)
        was_kept = connection.answered > 0
        progress.sent = True
        try:
            data, head = request.bytes_to(target), request.method == "HEAD"
            return await connection.exchange(data, until=progress.until, head=head, last=request.last)
        except Unreachable:
            if not was_kept or request.method != "GET" or connection.answer_began:
                raise
        finally:
            pool.release(connection)
        return await self._once(request, target, progress, fresh=True)

    async def _acquire(self, pool: Pool, progress: _Progress, *, fresh: bool) -> Connection:
        async with asyncio.timeout_at(progress.until):
            return await pool.acquire(fresh=fresh)

    def _new_pool(self, lane: _Lane) -> Pool:
        self._make_room()
        origin = lane[0]
        pool = self._pools[lane] = Pool(
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
        if len(self._pools) >= _MOST_LANES:
            for lane in [lane for lane, pool in self._pools.items() if pool.empty]:
                del self._pools[lane]
        if len(self._pools) >= _MOST_LANES:
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


def _tls(extra_ca: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if extra_ca is not None:
        context.load_verify_locations(cafile=str(extra_ca))
    return context
