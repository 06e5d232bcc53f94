"""OCPP-J on one socket: every CALL of the charger answered exactly once, one CALL of ours at a time (charging R6 to R10, S-49).

One task reads, one works. Calls of the charger wait in a bounded queue and are worked on in their order; results of our own
calls are read at once, so a slow handler never holds them up. A full queue, like too fast a charger, slows the reading down.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import structlog
from websockets.exceptions import ConnectionClosed

from cpo_adapter.csms.frames import (
    Call,
    Failure,
    MessageId,
    NotAnswerable,
    Result,
    Unreadable,
    parse,
    write_call,
    write_failure,
    write_result,
)
from cpo_adapter.csms.pace import Pace

log = structlog.get_logger(__name__)


class Socket(Protocol):
    """What of a WebSocket connection is needed here."""

    async def recv(self, decode: bool | None = None) -> str | bytes: ...

    async def send(self, message: bytes, *, text: bool | None = None) -> None: ...

    async def close(self, code: int = 1000, reason: str = "") -> None: ...

    async def wait_closed(self) -> None: ...


class CallFailed(Exception):
    """A CALL of ours without a result."""


class CallRefused(CallFailed):
    """The charger answered with a CALLERROR."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(f"{code}: {description}" if description else code)
        self.code = code


class CallUnanswered(CallFailed):
    """The deadline passed, counted from the moment the call was asked for."""


class Disconnected(CallFailed):
    """The socket ended, or was replaced by a newer one."""


@dataclass(frozen=True)
class Limits:
    """Seconds and counts of one charger's connection."""

    messages_per_second: float = 10.0
    burst: int = 50
    queued_calls: int = 32
    waiting_calls: int = 16
    answer_seconds: float = 25.0
    send_seconds: float = 20.0
    drain_seconds: float = 5.0
    takeover_seconds: float = 15.0
    silence_seconds: float = 20.0


Answer = Callable[[Call], Awaitable[dict[str, Any]]]
Unheard = Callable[[Call], Awaitable[None]]


class Rpc:
    """The conversation on one socket. `answer` turns a CALL into the payload of its CALLRESULT, or raises NotAnswerable;
    `unheard` is told of each CALL whose CALLRESULT certainly did not reach the charger, before another socket is served (R20)."""

    def __init__(
        self, charger_id: str, socket: Socket, answer: Answer, unheard: Unheard, limits: Limits | None = None
    ) -> None:
        self.charger_id = charger_id
        self.generation = 0
        self.finished = asyncio.Event()
        self._socket = socket
        self._answer = answer
        self._unheard = unheard
        self._in_hand: Call | None = None
        self._limits = limits or Limits()
        self._pace = Pace(self._limits.messages_per_second, self._limits.burst, asyncio.get_running_loop().time)
        self._queue: asyncio.Queue[Call | Unreadable] = asyncio.Queue(self._limits.queued_calls)
        self._ready = asyncio.Event()
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._pending: tuple[str, asyncio.Future[Any]] | None = None
        self._ended: Disconnected | None = None
        self.is_held_back = False

    async def run(self, previous: "Rpc | None" = None) -> None:
        """Read until the socket ends. The calls of a `previous` socket of the same charger are worked off first."""
        worker = asyncio.create_task(self._work(previous))
        fallback = asyncio.get_running_loop().call_later(self._limits.silence_seconds, self._ready.set)
        try:
            while True:
                await self._take(await self._socket.recv(decode=False))
        except ConnectionClosed:
            pass
        finally:
            fallback.cancel()
            self.fail_pending("The charger disconnected.")
            await self._drain(worker)
            self.finished.set()

    async def call(self, action: str, payload: dict[str, Any], seconds: float) -> Any:
        """The payload of the charger's CALLRESULT. Raises CallRefused, CallUnanswered or Disconnected within `seconds`.

        The first call waits until the charger has been answered once, or was silent for a while (R6).
        """
        if self._waiting >= self._limits.waiting_calls:
            raise CallUnanswered(f"{self._waiting} calls already wait for this charger.")
        self._waiting += 1
        gone = asyncio.create_task(self._socket.wait_closed())
        gone.add_done_callback(self._socket_ended)
        try:
            async with asyncio.timeout(seconds):
                return await self._call_in_turn(action, payload)
        except TimeoutError:
            raise CallUnanswered(f"The charger did not answer {action} within {seconds:g} s.") from None
        finally:
            self._waiting -= 1
            gone.cancel()

    def fail_pending(self, reason: str) -> None:
        """End every call of ours at once, now and from here on (R7)."""
        self._ended = self._ended or Disconnected(reason)
        self._ready.set()
        if self._pending is not None and not self._pending[1].done():
            self._pending[1].set_exception(self._ended)

    async def close(self, code: int, reason: str) -> None:
        await self._socket.close(code, reason)

    def _socket_ended(self, watch: asyncio.Task[None]) -> None:
        if not watch.cancelled():
            self.fail_pending("The charger disconnected.")

    async def _call_in_turn(self, action: str, payload: dict[str, Any]) -> Any:
        await self._ready.wait()
        async with self._turn:
            if self._ended is not None:
                raise Disconnected(str(self._ended))
            id, future = secrets.token_hex(16), asyncio.get_running_loop().create_future()
            self._pending = (id, future)
            try:
                await self._socket.send(write_call(id, action, payload), text=True)
                return await future
            except ConnectionClosed:
                raise Disconnected("The charger disconnected.") from None
            finally:
                self._pending = None

    async def _take(self, frame: str | bytes) -> None:
        match message := parse(frame):
            case Result(id=id) | Failure(id=id) if self._resolve(id, message):
                return
            case Result(id=id) | Failure(id=id):
                log.warning("result_dropped", charger_id=self.charger_id, message_id=str(id))
                await self._hold_back(self._pace.keep())
            case Unreadable(id=None, reason=reason):
                log.warning("frame_unreadable", charger_id=self.charger_id, reason=reason, length=len(frame))
                await self._hold_back(self._pace.keep())
            case Call() | Unreadable():
                await self._hold_back(self._queue.put(message))

    async def _hold_back(self, wait: Awaitable[None]) -> None:
        """Read no further meanwhile; said aloud, so that an unread pong is not held against the charger."""
        self.is_held_back = True
        try:
            await wait
        finally:
            self.is_held_back = False

    def _resolve(self, id: MessageId, message: Result | Failure) -> bool:
        if self._pending is None or self._pending[0] != id or self._pending[1].done():
            return False
        if isinstance(message, Result):
            self._pending[1].set_result(message.payload)
        else:
            self._pending[1].set_exception(CallRefused(message.code, message.description))
        return True

    async def _work(self, previous: "Rpc | None") -> None:
        if previous is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._limits.takeover_seconds):
                    await previous.finished.wait()
        while True:
            call = await self._queue.get()
            await self._pace.keep()
            self._in_hand = call if isinstance(call, Call) else None
            frame, is_result = await self._reply(call)
            if await self._send(frame) and is_result:
                self._in_hand = None
            await self._tell_unheard()
            self._ready.set()
            self._queue.task_done()

    async def _reply(self, call: Call | Unreadable) -> tuple[bytes, bool]:
        """The frame to send, and whether it is a CALLRESULT."""
        id = call.id if call.id is not None else ""
        if isinstance(call, Unreadable):
            log.warning("call_unreadable", charger_id=self.charger_id, reason=call.reason)
            return write_failure(id, "FormationViolation", f"This could not be read: {call.reason}."), False
        try:
            async with asyncio.timeout(self._limits.answer_seconds):
                return write_result(id, await self._answer(call)), True
        except NotAnswerable as refusal:
            log.warning("call_refused", charger_id=self.charger_id, action=call.action[:50], code=refusal.code)
            return write_failure(id, refusal.code, str(refusal)), False
        except Exception:
            log.exception("call_failed", charger_id=self.charger_id, action=call.action[:50])
            return write_failure(id, "InternalError", "This could not be stored; please send it again."), False

    async def _send(self, frame: bytes) -> bool:
        """False when it certainly did not arrive; what the charger did not take in time may still arrive."""
        try:
            async with asyncio.timeout(self._limits.send_seconds):
                await self._socket.send(frame, text=True)
        except TimeoutError:
            log.info("answer_not_taken", charger_id=self.charger_id)
        except ConnectionClosed:
            log.info("answer_undelivered", charger_id=self.charger_id)
            return False
        return True

    async def _tell_unheard(self) -> None:
        """Tell of the call in hand, if there is one, that the charger has no result of it."""
        if self._in_hand is None:
            return
        try:
            async with asyncio.timeout(self._limits.drain_seconds):
                await self._unheard(self._in_hand)
        except Exception:
            log.exception("unheard_not_stored", charger_id=self.charger_id, action=self._in_hand.action[:50])
        self._in_hand = None

    async def _drain(self, worker: asyncio.Task[None]) -> None:
        """What was read is worked off before the socket is forgotten; the charger repeats what is left."""
        try:
            async with asyncio.timeout(self._limits.drain_seconds):
                await self._queue.join()
        except TimeoutError:
            log.warning("calls_left", charger_id=self.charger_id, count=self._queue.qsize())
        finally:
            worker.cancel()
        await asyncio.wait([worker], timeout=self._limits.drain_seconds)
        await self._tell_unheard()
