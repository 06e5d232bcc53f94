"""Serving in one process: both listeners on sockets that are ready, until a signal; what is under way is answered first.

A worker (see workers.py) does the same on sockets it inherited, and also ends when its parent is gone.
"""

import asyncio
import contextlib
import errno
import os
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import structlog

from hub import garbage
from hub.app import Hub, running_hub
from hub.db.engine import DatabaseAway
from hub.objects.later import Carried
from hub.settings import Settings
from ocpi_modules.http.listener import BACKLOG, Listener, bind, shared_sockets
from ocpi_modules.message import Clock

DRAIN_SECONDS = 20
"""Q-02: what is under way at SIGTERM has this long to be answered."""
HANDOVER_SECONDS = 2
"""The same, when the hub is built anew: others wait to be served."""
AGAIN_SECONDS = 0.5
_log = structlog.get_logger("hub.serve")


class PortTaken(Exception):
    """One sentence: which address, what is wrong, the way out."""


@dataclass(frozen=True)
class Sockets:
    """Two listening sockets, for one process."""

    ocpi: socket.socket
    admin: socket.socket

    def close(self) -> None:
        self.ocpi.close()
        self.admin.close()


@dataclass(frozen=True)
class Inherited:
    """What a worker gets from its parent: file descriptors of listening sockets, of the pipe to the parent, of "ready"."""

    ocpi: int
    admin: int
    parent: int
    ready: int


def listening_sockets(settings: Settings, processes: int) -> list[Sockets]:
    """One pair for each process. They listen at once, so that a second copy is refused. Raises PortTaken."""
    ocpi = _listening(settings.host, settings.port, processes, "HUB_HOST", "HUB_PORT")
    try:
        admin = _listening(settings.admin_host, settings.admin_port, processes, "HUB_ADMIN_HOST", "HUB_ADMIN_PORT")
    except PortTaken:
        for bound in ocpi:
            bound.close()
        raise
    return [Sockets(*pair) for pair in zip(ocpi, admin, strict=True)]


def _listening(host: str, port: int, count: int, host_name: str, port_name: str) -> list[socket.socket]:
    try:
        if count > 1:
            return shared_sockets(host, port, count)
        bound = bind(host, port)
        try:
            bound.listen(BACKLOG)
        except BaseException:
            bound.close()
            raise
        return [bound]
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortTaken(f"{host}:{port} is taken; stop what listens there, or set {port_name}.") from None
        reason = error.strerror or str(error)
        raise PortTaken(f"Cannot listen on {host}:{port} ({reason}); set {host_name} or {port_name}.") from None


async def serve_alone(
    settings: Settings, database_url: str, clock: Clock, sockets: Sockets, started: Callable[[], None]
) -> None:
    """Serve in this process until SIGTERM, SIGINT or SIGHUP. Raises DatabaseAway."""
    with _told_by(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as stopping:
        await _serve(settings, database_url, clock, sockets, stopping, started)


async def serve_as_worker(settings: Settings, database_url: str, clock: Clock, inherited: Inherited) -> None:
    """Serve on inherited sockets until a signal, or until the parent is gone. Raises DatabaseAway."""
    sockets = Sockets(socket.socket(fileno=inherited.ocpi), socket.socket(fileno=inherited.admin))
    with _told_by(signal.SIGTERM, signal.SIGINT) as stopping, _told_with(inherited.parent, stopping):
        await _serve(settings, database_url, clock, sockets, stopping, lambda: _tell_ready(inherited.ready))


def _tell_ready(descriptor: int) -> None:
    os.write(descriptor, b"1")
    os.close(descriptor)


async def _serve(
    settings: Settings,
    database_url: str,
    clock: Clock,
    sockets: Sockets,
    stopping: asyncio.Event,
    started: Callable[[], None],
) -> None:
    """With a hub that is built anew when PostgreSQL is another than before (Q-04); who connects meanwhile waits a moment."""
    again, carried = False, Carried()
    while not stopping.is_set():
        try:
            async with running_hub(settings, database_url, clock, carried=carried) as hub:
                await _listen(hub, settings, sockets, stopping, (lambda: None) if again else started)
            if not stopping.is_set():
                _log.warning("the hub begins anew", reason="PostgreSQL is another database or timeline than before")
        except DatabaseAway as away:
            if not again:
                raise
            _log.warning("the hub cannot begin anew yet", reason=str(away))
            await _pause(stopping)
        again = True
    carried.drop()


async def _pause(stopping: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(AGAIN_SECONDS):
            await stopping.wait()


async def _listen(
    hub: Hub, settings: Settings, sockets: Sockets, stopping: asyncio.Event, started: Callable[[], None]
) -> None:
    """Until told to stop, or until PostgreSQL is another. That one of the listeners ends by itself stops the whole."""
    garbage.settle()
    listeners = _listeners(hub, settings, sockets)
    serving = [asyncio.create_task(listener.serve()) for listener in listeners]
    waiting = [asyncio.create_task(event.wait()) for event in (stopping, hub.database.moved)]
    announcing = asyncio.create_task(_announce(listeners, started))
    try:
        await asyncio.wait([*serving, *waiting], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (announcing, *waiting):
            task.cancel()
        ends = stopping.is_set() or any(task.done() for task in serving) or not hub.database.moved.is_set()
        if ends:
            stopping.set()
            sockets.close()
        for listener in listeners:
            listener.stop(None if ends else HANDOVER_SECONDS)
    await asyncio.gather(*serving)


def _listeners(hub: Hub, settings: Settings, sockets: Sockets) -> list[Listener]:
    """On copies of the sockets, which a listener closes when it ends."""
    return [
        Listener(hub.ocpi, settings.host, sockets=[sockets.ocpi.dup()], graceful_seconds=DRAIN_SECONDS),
        Listener(hub.admin, settings.admin_host, sockets=[sockets.admin.dup()], graceful_seconds=1),
    ]


async def _announce(listeners: list[Listener], started: Callable[[], None]) -> None:
    while not all(listener.started for listener in listeners):  # noqa: ASYNC110 (uvicorn tells nobody)
        await asyncio.sleep(0.01)
    started()


@contextlib.contextmanager
def _told_by(*signals: signal.Signals) -> Iterator[asyncio.Event]:
    """Set by any of these signals."""
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    for number in signals:
        loop.add_signal_handler(number, stopping.set)
    try:
        yield stopping
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


@contextlib.contextmanager
def _told_with(parent: int, stopping: asyncio.Event) -> Iterator[None]:
    """The parent's end of this pipe closes when it is gone, however it went."""
    loop = asyncio.get_running_loop()

    def gone() -> None:
        loop.remove_reader(parent)
        stopping.set()

    loop.add_reader(parent, gone)
    try:
        yield
    finally:
        loop.remove_reader(parent)
