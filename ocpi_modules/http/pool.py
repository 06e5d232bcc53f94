"""The connections of one lane to one origin: a bounded number, kept for some seconds, handed out newest first."""

import asyncio
import ssl
from collections import deque
from collections.abc import Awaitable, Callable

from ocpi_modules.http.addresses import Origin
from ocpi_modules.http.connection import Caps, Connection
from ocpi_modules.http.failures import RequestRefused, Unreachable

Addresses = Callable[[Origin], Awaitable[list[str]]]
"""The checked addresses of an origin."""


class Pool:
    """`take` or `acquire`, and `release`, go in pairs. Waiting has no time limit of its own: the caller's deadline ends it."""

    def __init__(
        self,
        origin: Origin,
        addresses: Addresses,
        tls: ssl.SSLContext | None,
        caps: Caps,
        *,
        connections: int,
        waiting: int,
        connect_seconds: float,
        idle_seconds: float,
    ) -> None:
        self._origin = origin
        self._addresses = addresses
        self._tls = tls
        self._caps = caps
        self._room = connections
        self._most_waiting = waiting
        self._connect_seconds = connect_seconds
        self._idle_seconds = idle_seconds
        self._idle: deque[Connection] = deque()
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._sweep: asyncio.TimerHandle | None = None
        self.in_use = 0

    @property
    def empty(self) -> bool:
        return not self._idle and not self.in_use and not self._waiters

    def take(self) -> Connection | None:
        """A connection at rest, where there is one and room to use it; nothing is waited for."""
        connection = self._kept() if self.in_use < self._room else None
        if connection is not None:
            self.in_use += 1
        return connection

    async def acquire(self, *, fresh: bool = False) -> Connection:
        """A connection at rest, or a new one. Raises SendFailed."""
        await self._take_room()
        try:
            connection = None if fresh else self._kept()
            return connection or await self._connect()
        except BaseException:
            self._give_room()
            raise

    def _kept(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.usable and connection.idle_seconds < self._idle_seconds:
                return connection
            connection.abort()
        return None

    def release(self, connection: Connection) -> None:
        """Keep the connection for the next request if it can take one."""
        if connection.usable:
            self._idle.append(connection)
            self._schedule_sweep()
        self._give_room()

    async def _take_room(self) -> None:
        if self.in_use >= self._room:
            if len(self._waiters) >= self._most_waiting:
                raise RequestRefused(f"{len(self._waiters)} requests wait for {self._origin.host} already.")
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            except BaseException:
                if waiter.done() and not waiter.cancelled():
                    self._give_room()
                elif waiter in self._waiters:
                    self._waiters.remove(waiter)
                raise
        else:
            self.in_use += 1

    def _give_room(self) -> None:
        """Room passes from hand to hand while somebody waits."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self.in_use -= 1

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        until = loop.time() + self._connect_seconds
        failure = Unreachable(f"No connection to {self._origin.host} within {self._connect_seconds:g} s.")
        try:
            async with asyncio.timeout_at(until):
                addresses = await self._addresses(self._origin)
        except TimeoutError:
            raise Unreachable(
                f"The name {self._origin.host} was not resolved within {self._connect_seconds:g} s."
            ) from None
        for tried, address in enumerate(addresses):
            share = (until - loop.time()) / (len(addresses) - tried)
            try:
                async with asyncio.timeout(share):
                    return await self._connect_to(address)
            except TimeoutError:
                continue
            except ssl.SSLError as error:
                raise Unreachable(f"No trusted TLS connection to {self._origin.host}: {_reason(error)}.") from None
            except OSError as error:
                failure = Unreachable(
                    f"No connection to {self._origin.host}: {error.strerror or str(error) or 'it was closed'}."
                )
        raise failure

    async def _connect_to(self, address: str) -> Connection:
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: Connection(self._caps),
            address,
            self._origin.port,
            ssl=self._tls,
            server_hostname=self._origin.host if self._tls else None,
        )
        return connection

    def _schedule_sweep(self) -> None:
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(self._idle_seconds, self._close_old)

    def _close_old(self) -> None:
        self._sweep = None
        while self._idle and (not self._idle[0].usable or self._idle[0].idle_seconds >= self._idle_seconds):
            self._idle.popleft().abort()
        if self._idle:
            self._schedule_sweep()

    def close(self) -> None:
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        while self._idle:
            self._idle.pop().abort()


def _reason(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message.rstrip(".")
    return (error.reason or "handshake failed").lower().replace("_", " ")
