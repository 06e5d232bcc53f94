"""Serving: one process, or a parent that keeps the listening sockets and its workers.

The parent binds plainly first, so that a second copy is refused, then makes one SO_REUSEPORT socket a worker and listener and
never closes them: a connection that waits in the queue of a worker that died is taken by its successor. A worker ends when its
parent is gone (its end of a pipe closes). SIGTERM and SIGINT stop all, SIGHUP renews the workers one after the other.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from hub.app import Hub, running_hub
from hub.settings import Settings
from ocpi_modules.http.listener import Listener, shared_sockets
from ocpi_modules.message import Clock

WORKER_STOP_SECONDS = 25
WORKER_START_SECONDS = 60
LONGEST_PAUSE_SECONDS = 30
_log = structlog.get_logger("hub.serve")


@dataclass(frozen=True)
class Inherited:
    """What a worker gets from its parent: file descriptors of listening sockets, of the pipe to the parent, of "ready"."""

    ocpi: int
    admin: int
    parent: int
    ready: int


async def serve_alone(settings: Settings, clock: Clock, started: Callable[[], None]) -> None:
    """Serve in this process until SIGTERM or SIGINT. Raises OSError when a port is taken."""
    async with running_hub(settings, clock) as hub:
        listeners = _listeners(hub, settings, None, None)
        with _stopped_by_signals(listeners):
            await _serve(listeners, started)


async def serve_as_worker(settings: Settings, clock: Clock, inherited: Inherited) -> None:
    """Serve on inherited sockets until a signal, or until the parent is gone."""
    async with running_hub(settings, clock) as hub:
        ocpi, admin = (socket.socket(fileno=fd) for fd in (inherited.ocpi, inherited.admin))
        listeners = _listeners(hub, settings, ocpi, admin)
        asyncio.get_running_loop().add_reader(inherited.parent, _stop, listeners)
        with _stopped_by_signals(listeners):
            await _serve(listeners, lambda: os.close(inherited.ready))


def _listeners(hub: Hub, settings: Settings, ocpi: socket.socket | None, admin: socket.socket | None) -> list[Listener]:
    return [
        Listener(hub.ocpi, settings.host, settings.port, sockets=[ocpi] if ocpi else None),
        Listener(hub.admin, settings.admin_host, settings.admin_port, sockets=[admin] if admin else None),
    ]


async def _serve(listeners: list[Listener], started: Callable[[], None]) -> None:
    serving = [asyncio.create_task(listener.serve()) for listener in listeners]
    announcing = asyncio.create_task(_announce(listeners, started))
    try:
        await asyncio.wait(serving, return_when=asyncio.FIRST_COMPLETED)
    finally:
        announcing.cancel()
        _stop(listeners)
    for task in serving:
        await task


async def _announce(listeners: list[Listener], started: Callable[[], None]) -> None:
    while not all(listener.started for listener in listeners):  # noqa: ASYNC110 (uvicorn tells nobody)
        await asyncio.sleep(0.01)
    started()


def _stop(listeners: list[Listener]) -> None:
    for listener in listeners:
        listener.stop()


@contextlib.contextmanager
def _stopped_by_signals(listeners: list[Listener]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop, listeners)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


class Parent:
    """Keeps the sockets and the workers of `ocpi-hub serve --workers N`."""

    def __init__(self, settings: Settings, workers: int, environ: Mapping[str, str]) -> None:
        self._ocpi = shared_sockets(settings.host, settings.port, workers)
        self._admin = shared_sockets(settings.admin_host, settings.admin_port, workers)
        self._environ = dict(environ)
        self._alive, self._kept = os.pipe()
        self._stopping = asyncio.Event()
        self._renewing = asyncio.Event()
        self._running: dict[int, asyncio.subprocess.Process] = {}

    async def run(self, started: Callable[[], None]) -> None:
        """Until SIGTERM or SIGINT; `started` is called when every worker serves."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self._renewing.set)
        slots = range(len(self._ocpi))
        ready = [asyncio.Event() for _ in slots]
        keeping = [asyncio.create_task(self._keep(slot, ready[slot])) for slot in slots]
        announcing = asyncio.create_task(_when_all(ready, started))
        renewing = asyncio.create_task(self._renew())
        await self._stopping.wait()
        renewing.cancel()
        announcing.cancel()
        await asyncio.gather(*(self._end(process) for process in self._running.values()))
        await asyncio.gather(*keeping)

    async def _keep(self, slot: int, ready: asyncio.Event) -> None:
        """Start the worker of this slot again whenever it ends, slower while it ends at once."""
        pause = 1
        while not self._stopping.is_set():
            began = asyncio.get_running_loop().time()
            process = await self._start(slot, ready)
            code = await process.wait()
            self._running.pop(slot, None)
            if self._stopping.is_set():
                return
            if code != 0:
                _log.error("worker ended", slot=slot, code=code)
            lived = asyncio.get_running_loop().time() - began
            pause = 1 if lived > LONGEST_PAUSE_SECONDS else min(pause * 2, LONGEST_PAUSE_SECONDS)
            if code != 0 and lived < LONGEST_PAUSE_SECONDS:
                await _wait(self._stopping.wait(), pause)

    async def _start(self, slot: int, ready: asyncio.Event) -> asyncio.subprocess.Process:
        reads, writes = os.pipe()
        handed = Inherited(self._ocpi[slot].fileno(), self._admin[slot].fileno(), self._alive, writes)
        numbers = [handed.ocpi, handed.admin, handed.parent, handed.ready]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "hub", "worker", *map(str, numbers), pass_fds=numbers, env=self._environ
        )
        os.close(writes)
        self._running[slot] = process
        loop = asyncio.get_running_loop()
        loop.add_reader(reads, self._is_ready, reads, process, ready)
        return process

    def _is_ready(self, reads: int, process: asyncio.subprocess.Process, ready: asyncio.Event) -> None:
        """The worker closed its end: it serves, or it is dead."""
        asyncio.get_running_loop().remove_reader(reads)
        os.close(reads)
        if process.returncode is None:
            ready.set()

    async def _renew(self) -> None:
        while True:
            await self._renewing.wait()
            self._renewing.clear()
            for process in list(self._running.values()):
                await self._end(process)

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        if process.returncode is not None:
            return
        process.terminate()
        if not await _wait(process.wait(), WORKER_STOP_SECONDS):
            process.kill()
            await process.wait()


async def _when_all(ready: list[asyncio.Event], started: Callable[[], None]) -> None:
    for event in ready:
        await event.wait()
    started()


async def _wait(work: Coroutine[Any, Any, Any], seconds: float) -> bool:
    """False when it took longer."""
    try:
        await asyncio.wait_for(work, seconds)
    except TimeoutError:
        return False
    return True
