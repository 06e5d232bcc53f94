"""uvicorn with httptools, deadlines and caps: the hub, the adapter and sample parties all listen through it."""

import asyncio
import contextlib
import functools
import socket
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from ocpi_modules.http.guarded_protocol import Guard, GuardedProtocol, Limits

BACKLOG = 2048


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, *, signals: bool) -> None:
        super().__init__(config)
        self._signals = signals

    def capture_signals(self) -> Any:
        return super().capture_signals() if self._signals else contextlib.nullcontext()


class Listener:
    """`port` 0 takes a free one. `sockets` are listening sockets made by a parent process; they replace host and port.

    `trusted_proxies` are the addresses whose X-Forwarded-For names the client ("" for none).
    `signals`: SIGINT and SIGTERM end `serve` and are raised again after it; only where this listener is alone in its process.
    """

    def __init__(
        self,
        app: Any,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        sockets: Sequence[socket.socket] | None = None,
        limits: Limits | None = None,
        certificate: Path | None = None,
        key: Path | None = None,
        graceful_seconds: int = 10,
        keep_alive_seconds: int = 5,
        websockets: bool = False,
        trusted_proxies: str = "",
        signals: bool = False,
    ) -> None:
        self._sockets = list(sockets) if sockets is not None else None
        self._host, self._port = host, port
        self._server = _Server(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                http=functools.partial(GuardedProtocol, Guard(limits or Limits())),  # type: ignore[arg-type]
                ws="auto" if websockets else "none",
                lifespan="auto",
                loop="none",
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=False,
                proxy_headers=bool(trusted_proxies),
                forwarded_allow_ips=trusted_proxies or None,
                backlog=BACKLOG,
                timeout_keep_alive=keep_alive_seconds,
                timeout_graceful_shutdown=graceful_seconds,
                ssl_certfile=certificate,
                ssl_keyfile=key,
            ),
            signals=signals,
        )

    @property
    def started(self) -> bool:
        return self._server.started

    @property
    def port(self) -> int:
        """The port that is listened on; only while started."""
        listening: socket.socket = self._server.servers[0].sockets[0]
        return int(listening.getsockname()[1])

    async def serve(self) -> None:
        """Listen until `stop`; then answer what is under way, at most `graceful_seconds`.

        Raises OSError when the port is taken, RuntimeError when the application fails to start.
        """
        sockets = self._sockets
        if sockets is None:
            sockets = [bind(self._host, self._port)]
        try:
            await self._server.serve(sockets=sockets)
        except SystemExit:
            raise RuntimeError("The application did not start; its log says why.") from None
        finally:
            for connection in list(self._server.server_state.connections):
                connection.transport.abort()  # nobody answers on it any more, and the process may go on

    def stop(self, graceful_seconds: int | None = None) -> None:
        """Take no more connections, finish, in this time if it is given, and return from `serve`."""
        if graceful_seconds is not None:
            self._server.config.timeout_graceful_shutdown = graceful_seconds
        self._server.should_exit = True


@dataclass(frozen=True)
class Listening:
    """`url` has no slash at its end."""

    url: str
    port: int


@contextlib.asynccontextmanager
async def running(app: Any, host: str = "127.0.0.1", port: int = 0, **options: Any) -> AsyncIterator[Listening]:
    """A listener that runs in this event loop while the block lasts; options as of Listener. Raises OSError."""
    listener = Listener(app, host, port, **options)
    task = asyncio.create_task(listener.serve())
    try:
        while not listener.started:
            if task.done():
                break
            await asyncio.sleep(0.005)
        if task.done():
            await task
        scheme = "https" if options.get("certificate") else "http"
        shown = f"[{host}]" if ":" in host else host
        yield Listening(f"{scheme}://{shown}:{listener.port}", listener.port)
    finally:
        listener.stop()
        await task


def bind(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A bound TCP socket. `shared` sets SO_REUSEPORT: one socket for each worker. Raises OSError (taken, not ours).

    Its protocol is named because asyncio turns Nagle's algorithm off only for connections that are known to be TCP; left on, the
    second part of every answer on a kept connection waits some 40 ms for the caller's acknowledgement.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind((host, port))
        bound.setblocking(False)
    except BaseException:
        bound.close()
        raise
    return bound


def plain_bind(host: str, port: int) -> None:
    """Raises OSError when the port is taken, which shared sockets would not tell."""
    bind(host, port).close()


def shared_sockets(host: str, port: int, workers: int) -> list[socket.socket]:
    """One listening socket for each worker, kept by the parent so that nothing is lost while a worker restarts.

    Raises OSError when somebody else has the port.
    """
    plain_bind(host, port)
    first = bind(host, port, shared=True)
    sockets = [first]
    try:
        sockets += [bind(host, first.getsockname()[1], shared=True) for _ in range(workers - 1)]
        for bound in sockets:
            bound.listen(BACKLOG)
    except BaseException:
        for bound in sockets:
            bound.close()
        raise
    return sockets
