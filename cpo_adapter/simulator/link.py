"""The charger's end of the socket: connect, call, answer, come back (OCPP-J 1.6 as a client)."""

import asyncio
import base64
import json
import random
import secrets
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

from cpo_adapter.simulator.faults import Fault, Faults

log = structlog.get_logger(__name__)

Payload = dict[str, Any]
_ANSWER_UNREAD_SECONDS = 0.2


class Unanswered(Exception):
    """No answer: not connected, cut off, or the charger's patience ended."""


class Refused(Exception):
    """A CALLERROR; `code` is its error code."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(f"{code}: {description}")
        self.code = code


class Link:
    """A socket that comes back. `answer` gives the payload for a CALL of the central system, None for NotImplemented;
    `greet` runs on each new socket until it ends (the charger boots there)."""

    def __init__(
        self,
        url: str,
        charger_id: str,
        password: str,
        answer: Callable[[str, Payload], Awaitable[Payload | None]],
        greet: Callable[[], Coroutine[Any, Any, None]],
        faults: Faults,
        patience_seconds: float,
        backoff_seconds: tuple[float, float],
    ) -> None:
        self._url = f"{url.rstrip('/')}/{charger_id}"
        self._charger_id = charger_id
        self._password = password
        self._answer = answer
        self._greet = greet
        self._faults = faults
        self._patience_seconds = patience_seconds
        self._backoff_seconds = backoff_seconds
        self._socket: ClientConnection | None = None
        self._pending: dict[str, asyncio.Future[Payload]] = {}
        self._turn = asyncio.Lock()
        self.allowed = asyncio.Event()
        self.allowed.set()
        self.connections = 0

    @property
    def is_connected(self) -> bool:
        return self._socket is not None

    async def run(self) -> None:
        """Connect and come back with growing pauses, until cancelled."""
        least, most = self._backoff_seconds
        pause = least
        while True:
            await self.allowed.wait()
            connections = self.connections
            try:
                await self._connect()
            except (OSError, WebSocketException, TimeoutError, ValueError) as error:
                log.info("charger_offline", charger_id=self._charger_id, reason=str(error)[:200])
            pause = least if self.connections > connections else min(most, pause * 2)
            await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311

    async def call(self, action: str, payload: Payload) -> Payload:
        """The payload of the answer. Raises Unanswered or Refused."""
        async with self._turn:
            socket = self._socket
            if socket is None:
                raise Unanswered(f"{action}: not connected")
            id = secrets.token_hex(8)
            future: asyncio.Future[Payload] = asyncio.get_running_loop().create_future()
            self._pending[id] = future
            try:
                async with asyncio.timeout(self._patience_seconds):
                    await self._send(socket, action, json.dumps([2, id, action, payload]))
                    return await future
            except (TimeoutError, WebSocketException):
                raise Unanswered(f"{action}: no answer") from None
            finally:
                self._pending.pop(id, None)

    async def hang_up(self) -> None:
        """Close the socket in order."""
        if self._socket is not None:
            await self._socket.close()

    def cut(self) -> None:
        """The cable is pulled: no closing frame."""
        if self._socket is not None:
            self._socket.transport.abort()
            self._lost()

    async def _send(self, socket: ClientConnection, action: str, frame: str) -> None:
        if self._faults.take(Fault.cut_before, action):
            self.cut()
            raise Unanswered(f"{action}: cut before it was sent")
        if self._faults.take(Fault.truncate, action):
            await socket.send(frame[: len(frame) * 2 // 3])
        await socket.send(frame)
        if self._faults.take(Fault.cut_after, action):
            socket.transport.pause_reading()
            await asyncio.sleep(_ANSWER_UNREAD_SECONDS)
            self.cut()
            raise Unanswered(f"{action}: cut before its answer")

    async def _connect(self) -> None:
        token = base64.b64encode(f"{self._charger_id}:{self._password}".encode()).decode()
        async with connect(
            self._url,
            subprotocols=[Subprotocol("ocpp1.6")],
            additional_headers={"Authorization": f"Basic {token}"} if self._password else {},
            compression=None,
            proxy=None,
            open_timeout=self._patience_seconds,
            close_timeout=1,
        ) as socket:
            self._socket = socket
            self.connections += 1
            greeting = asyncio.create_task(self._greet())
            try:
                async for frame in socket:
                    await self._take(socket, frame)
            finally:
                greeting.cancel()
                self._lost()

    def _lost(self) -> None:
        self._socket = None
        for future in self._pending.values():
            if not future.done():
                future.set_exception(Unanswered("the connection was lost"))

    async def _take(self, socket: ClientConnection, frame: str | bytes) -> None:
        kind, id, *rest = json.loads(frame)
        if kind == 2:
            await self._reply(socket, id, rest[0], rest[1])
            return
        future = self._pending.get(id)
        if future is None or future.done():
            return
        if kind == 3:
            future.set_result(rest[0])
        else:
            future.set_exception(Refused(rest[0], rest[1]))

    async def _reply(self, socket: ClientConnection, id: Any, action: str, payload: Payload) -> None:
        answer = await self._answer(action, payload)
        if answer is None:
            await socket.send(json.dumps([4, id, "NotImplemented", f"{action} is not simulated.", {}]))
        else:
            await socket.send(json.dumps([3, id, answer]))
