"""Where chargers connect: `wss://host:port/ocpp/<charger id>` (charging R1 to R5, R11, R12, R16; S-45 to S-49).

Who it is, is settled before the upgrade. An unknown id, a wrong password and a missing one are answered 401 alike, after the
same work. Compression is off and pings are ours: see `liveness`.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any, Self

import structlog
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from cpo_adapter.charging.events import Facts
from cpo_adapter.csms.credentials import FailedLogins, charger_id_of, read_basic
from cpo_adapter.csms.frames import Call
from cpo_adapter.csms.liveness import Liveness
from cpo_adapter.csms.registry import Registry
from cpo_adapter.csms.rpc import Limits, Rpc
from cpo_adapter.csms.v16 import SUBPROTOCOL, Ocpp16

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class ListenerSettings:
    """`port` 0 takes a free one. `assume_ocpp16`: folded ids of chargers that may offer no subprotocol, taken as 1.6 (R5)."""

    host: str = "127.0.0.1"
    port: int = 9000
    path: str = "/ocpp/"
    maximum_frame_bytes: int = 1_000_000
    maximum_connections: int = 20_000
    ping_seconds: float = 30.0
    pong_seconds: float = 30.0
    open_seconds: float = 10.0
    close_seconds: float = 5.0
    lookup_seconds: float = 5.0
    heartbeat_seconds: int = 300
    assume_ocpp16: frozenset[str] = frozenset()
    limits: Limits = field(default_factory=Limits)


MAXIMUM_UNREAD_BYTES = 2_000_000


class Connection(ServerConnection):
    """A charger's socket; every byte in is a sign of life. One that pings or asks and never reads is given up (F-46)."""

    charger_id = ""
    last_seen = 0.0
    pinged_at = 0.0
    rpc: Rpc | None = None

    def data_received(self, data: bytes) -> None:
        self.last_seen = self.loop.time()
        super().data_received(data)
        if self.transport.get_write_buffer_size() > MAXIMUM_UNREAD_BYTES:
            log.warning("charger_reads_nothing", charger_id=self.charger_id)
            self.give_up()

    @property
    def is_held_back(self) -> bool:
        return self.rpc is not None and self.rpc.is_held_back

    def give_up(self) -> None:
        self.transport.abort()


class Listener:
    """The OCPP listener: `async with Listener(...) as listener`, or `start` and `stop`."""

    def __init__(
        self,
        facts: Facts,
        clock: Callable[[], datetime],
        settings: ListenerSettings | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.settings = settings or ListenerSettings()
        self.registry = Registry(clock)
        self._facts = facts
        self._clock = clock
        self._tls = tls
        self._ocpp16 = Ocpp16(facts, clock, self.settings.heartbeat_seconds)
        self._failed_logins = FailedLogins(clock)
        self._connections: set[Connection] = set()
        self._server: Server | None = None
        self._liveness: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The port it listens on; raises RuntimeError before `start`."""
        if self._server is None:
            raise RuntimeError("The OCPP listener is not started.")
        return int(next(iter(self._server.sockets)).getsockname()[1])

    async def start(self) -> None:
        """Listen. Raises OSError when the port is taken."""
        settings = self.settings
        self._server = await serve(
            self._converse,
            settings.host,
            settings.port,
            process_request=self._admit,
            select_subprotocol=_select_subprotocol,
            create_connection=Connection,
            compression=None,
            max_size=settings.maximum_frame_bytes,
            open_timeout=settings.open_seconds,
            close_timeout=settings.close_seconds,
            ping_interval=None,
            server_header=None,
            ssl=self._tls,
            ssl_handshake_timeout=settings.open_seconds if self._tls else None,
        )
        liveness = Liveness(lambda: list(self._connections), settings.ping_seconds, settings.pong_seconds)
        self._liveness = asyncio.create_task(liveness.run())

    async def stop(self) -> None:
        """Close every socket with 1012 (service restart) and wait until what was read is worked off."""
        if self._liveness is not None:
            self._liveness.cancel()
        if self._server is not None:
            self._server.close(code=1012, reason="The service restarts; please connect again.")
            await self._server.wait_closed()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.stop()

    async def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """None to go on with the upgrade, or the refusal."""
        assert isinstance(connection, Connection)
        if not request.path.startswith(self.settings.path):
            return connection.respond(HTTPStatus.NOT_FOUND, f"Chargers connect at {self.settings.path}<charger id>.\n")
        if len(self._connections) >= self.settings.maximum_connections:
            return _retry(connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "Too many chargers are connected.\n"))
        refusal = await self._authenticate(connection, request)
        return refusal or self._refuse_subprotocol(connection, request)

    async def _authenticate(self, connection: Connection, request: Request) -> Response | None:
        source = str((connection.remote_address or ("",))[0])
        asked = charger_id_of(request.path) or ""
        if self._failed_logins.are_too_many(source, asked):
            return _retry(connection.respond(HTTPStatus.TOO_MANY_REQUESTS, "Too many failed logins; wait a minute.\n"))
        try:
            async with asyncio.timeout(self.settings.lookup_seconds):
                charger_id = await self._identify(asked, request.headers.get_all("Authorization"))
        except Exception:
            log.exception("charger_lookup_failed", source=source)
            return _retry(connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "Chargers cannot be looked up now.\n"))
        if charger_id is None:
            log.warning("charger_refused", source=source, charger_id=asked)
            self._failed_logins.note(source, asked)
            return _unauthorized(connection)
        self._failed_logins.welcome(source, asked)
        connection.charger_id = charger_id
        return None

    async def _identify(self, asked: str, headers: Sequence[str]) -> str | None:
        """The stored spelling of the charger id. Without a header only a charger that needs no password is known (R11)."""
        if not headers:
            return await self._facts.knows(asked, None)
        basic = read_basic(headers[0], asked) if len(headers) == 1 else None
        if basic is None or basic.user.casefold() != asked.casefold():
            return None
        for form in basic.forms:
            if charger_id := await self._facts.knows(asked, form):
                return charger_id
        return None

    def _refuse_subprotocol(self, connection: Connection, request: Request) -> Response | None:
        offered = _offered(request)
        if SUBPROTOCOL in offered:
            return None
        if not offered and connection.charger_id.casefold() in self.settings.assume_ocpp16:
            log.info("subprotocol_assumed", charger_id=connection.charger_id)
            return None
        log.warning("subprotocol_refused", charger_id=connection.charger_id, offered=offered[:5])
        said = f"offers {', '.join(offered)[:200]}" if offered else "offers none"
        return connection.respond(
            HTTPStatus.BAD_REQUEST,
            f"This server speaks the WebSocket subprotocol {SUBPROTOCOL}; the charger {said}. "
            f"Set the charger to OCPP 1.6 JSON"
            + (".\n" if offered else ", or `assume_ocpp16` of it in ADAPTER_CONFIG to true.\n"),
        )

    async def _converse(self, socket: ServerConnection) -> None:
        assert isinstance(socket, Connection)
        charger_id = socket.charger_id
        rpc = socket.rpc = Rpc(
            charger_id, socket, self._answering(charger_id), self._unhearing(charger_id), self.settings.limits
        )
        previous = self.registry.register(rpc)
        self._connections.add(socket)
        try:
            await self._tell(self._facts.connected, charger_id)
            await rpc.run(previous)
        finally:
            self._connections.discard(socket)
            if self.registry.remove(rpc):
                await self._tell(self._facts.disconnected, charger_id)

    def _answering(self, charger_id: str) -> Callable[[Call], Awaitable[dict[str, Any]]]:
        return lambda call: self._ocpp16.answer(charger_id, call)

    def _unhearing(self, charger_id: str) -> Callable[[Call], Awaitable[None]]:
        return lambda call: self._ocpp16.unheard(charger_id, call)

    async def _tell(self, fact: Callable[[str, datetime], Awaitable[None]], charger_id: str) -> None:
        """Presence is told, not asked: when it cannot be stored the charger is served all the same."""
        try:
            async with asyncio.timeout(self.settings.lookup_seconds):
                await fact(charger_id, self._clock())
        except Exception:
            log.exception("presence_not_stored", charger_id=charger_id)


def _select_subprotocol(connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    return Subprotocol(SUBPROTOCOL) if SUBPROTOCOL in offered else None


def _offered(request: Request) -> list[str]:
    headers = request.headers.get_all("Sec-WebSocket-Protocol")
    return [name.strip() for header in headers for name in header.split(",") if name.strip()]


def _unauthorized(connection: ServerConnection) -> Response:
    response = connection.respond(HTTPStatus.UNAUTHORIZED, "The charger id or its password is not known here.\n")
    response.headers["WWW-Authenticate"] = 'Basic realm="OCPP", charset="UTF-8"'
    return response


def _retry(response: Response) -> Response:
    response.headers["Retry-After"] = "60"
    return response
