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

from hub import garbage
from hub.app import Hub, running_hub
from hub.settings import Settings
from ocpi_modules.http.listener import BACKLOG, Listener, bind, shared_sockets
from ocpi_modules.message import Clock

DRAIN_SECONDS = 20
"""Q-02: what is under way at SIGTERM has this long to be answered."""


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
    async with running_hub(settings, database_url, clock) as hub:
        listeners = _listeners(hub, settings, sockets)
        with _stopped_by(listeners, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            await _serve(listeners, started)


async def serve_as_worker(settings: Settings, database_url: str, clock: Clock, inherited: Inherited) -> None:
    """Serve on inherited sockets until a signal, or until the parent is gone. Raises DatabaseAway."""
    sockets = Sockets(socket.socket(fileno=inherited.ocpi), socket.socket(fileno=inherited.admin))
    async with running_hub(settings, database_url, clock) as hub:
        listeners = _listeners(hub, settings, sockets)
        with _stopped_by(listeners, signal.SIGTERM, signal.SIGINT), _stopped_with(inherited.parent, listeners):
            await _serve(listeners, lambda: _tell_ready(inherited.ready))


def _tell_ready(descriptor: int) -> None:
    os.write(descriptor, b"1")
    os.close(descriptor)


def _listeners(hub: Hub, settings: Settings, sockets: Sockets) -> list[Listener]:
    return [
        Listener(hub.ocpi, settings.host, sockets=[sockets.ocpi], graceful_seconds=DRAIN_SECONDS),
        Listener(hub.admin, settings.admin_host, sockets=[sockets.admin], graceful_seconds=1),
    ]


async def _serve(listeners: list[Listener], started: Callable[[], None]) -> None:
    """Until one of them ends; then the others are stopped too."""
    garbage.settle()
    serving = [asyncio.create_task(listener.serve()) for listener in listeners]
    announcing = asyncio.create_task(_announce(listeners, started))
    try:
        await asyncio.wait(serving, return_when=asyncio.FIRST_COMPLETED)
    finally:
        announcing.cancel()
        _stop(listeners)
    await asyncio.gather(*serving)


async def _announce(listeners: list[Listener], started: Callable[[], None]) -> None:
    while not all(listener.started for listener in listeners):  # noqa: ASYNC110 (uvicorn tells nobody)
        await asyncio.sleep(0.01)
    started()


def _stop(listeners: list[Listener]) -> None:
    for listener in listeners:
        listener.stop()


@contextlib.contextmanager
def _stopped_by(listeners: list[Listener], *signals: signal.Signals) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    for number in signals:
        loop.add_signal_handler(number, _stop, listeners)
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


@contextlib.contextmanager
def _stopped_with(parent: int, listeners: list[Listener]) -> Iterator[None]:
    """The parent's end of this pipe closes when it is gone, however it went."""
    loop = asyncio.get_running_loop()

    def gone() -> None:
        loop.remove_reader(parent)
        _stop(listeners)

    loop.add_reader(parent, gone)
    try:
        yield
    finally:
        loop.remove_reader(parent)
