"""A Facts that keeps what it is told in lists, and a raw charger that writes any frame."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from cpo_adapter.charging.events import (
    Booted,
    Decision,
    Sampled,
    StartAnswer,
    Started,
    StatusReported,
    Stopped,
    TokenAnswer,
)

PASSWORD = "a-password-of-20-byt"


def now() -> datetime:
    return datetime.now(UTC)


class Recorder:
    """Facts in memory: equal starts get the same answer (R18); `hooks` run inside the named method first."""

    def __init__(self, chargers: dict[str, str | None] | None = None) -> None:
        self.chargers = chargers or {"CP-1": PASSWORD}
        self.asked_known: list[tuple[str, str | None]] = []
        self.presence: list[tuple[str, str]] = []
        self.boots: list[Booted] = []
        self.statuses: list[StatusReported] = []
        self.tokens: list[str] = []
        self.starts: list[Started] = []
        self.samples: list[Sampled] = []
        self.stops: list[Stopped] = []
        self.unheard: list[Started] = []
        self.answers: dict[tuple[str, int, str, datetime, Decimal], StartAnswer] = {}
        self.token = TokenAnswer(Decision.Accepted)
        self.hooks: dict[str, Callable[[], Awaitable[None]]] = {}
        self.next_transaction = 1001

    async def _hook(self, name: str) -> None:
        if name in self.hooks:
            await self.hooks[name]()

    async def knows(self, charger_id: str, password: str | None) -> str | None:
        await self._hook("knows")
        self.asked_known.append((charger_id, password))
        for known, expected in self.chargers.items():
            if known.casefold() == charger_id.casefold() and expected == password:
                return known
        return None

    async def connected(self, charger_id: str, at: datetime) -> None:
        self.presence.append(("connected", charger_id))

    async def disconnected(self, charger_id: str, at: datetime) -> None:
        self.presence.append(("disconnected", charger_id))

    async def booted(self, fact: Booted) -> None:
        await self._hook("booted")
        self.boots.append(fact)

    async def status_reported(self, fact: StatusReported) -> None:
        await self._hook("status_reported")
        self.statuses.append(fact)

    async def token_asked(self, charger_id: str, id_tag: str) -> TokenAnswer:
        self.tokens.append(id_tag)
        return self.token

    async def started(self, fact: Started) -> StartAnswer:
        await self._hook("started")
        self.starts.append(fact)
        key = (fact.charger_id, fact.connector_id, fact.id_tag.casefold(), fact.at, fact.meter_start)
        if key not in self.answers:
            self.answers[key] = StartAnswer(self.next_transaction, self.token)
            self.next_transaction += 1
        return self.answers[key]

    async def start_unheard(self, fact: Started) -> None:
        await self._hook("start_unheard")
        self.unheard.append(fact)

    async def sampled(self, fact: Sampled) -> None:
        await self._hook("sampled")
        self.samples.append(fact)

    async def stopped(self, fact: Stopped) -> TokenAnswer | None:
        await self._hook("stopped")
        self.stops.append(fact)
        return None


class RawCharger:
    """A socket that writes what it is told, byte for byte."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def write(self, frame: Any) -> None:
        await self.socket.send(frame if isinstance(frame, str | bytes) else json.dumps(frame))

    async def read(self, seconds: float = 5) -> list[Any]:
        answer = json.loads(await asyncio.wait_for(self.socket.recv(), seconds))
        assert isinstance(answer, list)
        return answer

    async def ask(self, action: str, payload: Any, id: Any = "id-1") -> list[Any]:
        await self.write([2, id, action, payload])
        return await self.read()


def basic(user: str, password: bytes | str) -> dict[str, str]:
    raw = password.encode() if isinstance(password, str) else password
    return {"Authorization": "Basic " + base64.b64encode(user.encode() + b":" + raw).decode()}


@asynccontextmanager
async def raw_charger(
    port: int,
    charger_id: str = "CP-1",
    password: bytes | str | None = PASSWORD,
    path: str | None = None,
    user: str | None = None,
    subprotocols: list[str] | None = None,
    **options: Any,
) -> AsyncIterator[RawCharger]:
    headers = {} if password is None else basic(user or charger_id, password)
    async with connect(
        f"ws://127.0.0.1:{port}{path or '/ocpp/' + charger_id}",
        subprotocols=["ocpp1.6"] if subprotocols is None else subprotocols or None,  # type: ignore[arg-type]
        additional_headers=headers,
        compression=None,
        proxy=None,
        **options,
    ) as socket:
        yield RawCharger(socket)


async def bare_charger(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A TCP connection that was upgraded and speaks no further."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"GET /ocpp/CP-1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Protocol: ocpp1.6\r\nAuthorization: Basic Q1AtMTphLXBhc3N3b3JkLW9mLTIwLWJ5dA==\r\n\r\n"
    )
    assert b"101" in await reader.readline()
    return reader, writer


async def eventually(what: Callable[[], object], seconds: float = 5) -> None:
    """Wait until `what` is true; fails after `seconds`."""
    async with asyncio.timeout(seconds):
        while not what():
            await asyncio.sleep(0.005)
