"""`ocpi-hub serve --workers N`: a parent that keeps the listening sockets, and the workers that serve on them.

Each worker has a SO_REUSEPORT socket of its own for each listener, made by the parent, which never closes it while it serves: a
connection that waits in the queue of a worker that died is taken by its successor. A worker that ends is started again, slower
while it ends at once. SIGHUP renews them one after the other: the old one ends when the new one serves. SIGTERM and SIGINT end
all; a worker whose parent is gone ends by itself.

Workers count for /metrics in files of a folder that the parent makes; a slot has two names for them, as it has two workers for a
moment.
"""

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog

from hub.metrics import exposition
from hub.serve import DRAIN_SECONDS, Sockets

STOP_SECONDS = DRAIN_SECONDS + 5
START_SECONDS = 60
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
STEADY_SECONDS = 30.0
"""A worker that lived this long is started again without a pause that grew."""

_log = structlog.get_logger("hub.workers")


class Parent:
    """One slot for each pair of sockets; a slot has one worker, for a moment two."""

    def __init__(self, sockets: list[Sockets], environ: Mapping[str, str]) -> None:
        self._alive, self._kept = os.pipe()
        self._metrics = _folder()
        environ = dict(environ) | {exposition.FOLDER: self._metrics.name if self._metrics else ""}
        self._stopping = asyncio.Event()
        self._renewing = asyncio.Event()
        self._sockets = sockets
        self._slots = [_Slot(number, pair, self._alive, environ, self._stopping) for number, pair in enumerate(sockets)]

    async def run(self, started: Callable[[], None]) -> None:
        """Until SIGTERM or SIGINT; `started` is called when every worker serves."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self._renewing.set)
        keeping = [asyncio.create_task(slot.keep()) for slot in self._slots]
        others = [asyncio.create_task(self._announce(started)), asyncio.create_task(self._renew())]
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait([stopping, *keeping], return_when=asyncio.FIRST_COMPLETED)
        self._stopping.set()
        for task in others:
            task.cancel()
        for pair in self._sockets:
            pair.close()
        await asyncio.gather(*keeping)
        os.close(self._kept)
        os.close(self._alive)
        if self._metrics:
            self._metrics.cleanup()

    async def _announce(self, started: Callable[[], None]) -> None:
        for slot in self._slots:
            await slot.serves.wait()
        started()

    async def _renew(self) -> None:
        while True:
            await self._renewing.wait()
            self._renewing.clear()
            _log.info("workers are renewed")
            for slot in self._slots:
                await slot.renew()
            _log.info("workers were renewed")


def _folder() -> "tempfile.TemporaryDirectory[str] | None":
    """Where workers count; None where none can be made, and each counts alone."""
    try:
        return tempfile.TemporaryDirectory(prefix="ocpi-hub-metrics-", ignore_cleanup_errors=True)
    except OSError as error:
        _log.warning("there is no folder for metrics", reason=error.strerror, way_out="set TMPDIR to one with room")
        return None


class _Slot:
    """Keeps one worker alive on one pair of sockets."""

    def __init__(
        self, number: int, sockets: Sockets, alive: int, environ: Mapping[str, str], stopping: asyncio.Event
    ) -> None:
        self.serves = asyncio.Event()
        self._number = number
        self._sockets = sockets
        self._alive = alive
        self._environ = dict(environ)
        self._stopping = stopping
        self._to_renew = asyncio.Event()
        self._renewed = asyncio.Event()

    async def renew(self) -> None:
        """Put a new worker in the place of the old one; returns when that is done or was given up."""
        self._renewed.clear()
        self._to_renew.set()
        await self._renewed.wait()

    async def keep(self) -> None:
        """Until all shall stop."""
        worker, pause = await self._start(), FIRST_PAUSE_SECONDS
        while (
            await _first(self._stopping.wait(), self._to_renew.wait(), worker.ended()) and not self._stopping.is_set()
        ):
            if worker.process.returncode is not None:
                pause = FIRST_PAUSE_SECONDS if worker.age() > STEADY_SECONDS else pause
                _log.error("worker ended", slot=self._number, code=worker.process.returncode, again_in=pause)
                await _first(self._stopping.wait(), seconds=pause)
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
                if not self._stopping.is_set():
                    worker = await self._start()
            else:
                worker = await self._replaced(worker)
            if self._to_renew.is_set():
                self._to_renew.clear()
                self._renewed.set()
        await worker.end()

    async def _replaced(self, old: "_Worker") -> "_Worker":
        new = await self._start(beside=old)
        await _first(new.ready.wait(), new.ended(), self._stopping.wait(), seconds=START_SECONDS)
        if new.ready.is_set():
            await old.end()
            return new
        if not self._stopping.is_set():
            _log.error("new worker does not serve; the old one goes on", slot=self._number)
        await new.end()
        return old

    async def _start(self, beside: "_Worker | None" = None) -> "_Worker":
        names = [f"{self._number}-{turn}" for turn in ("a", "b")]
        name = next(name for name in names if beside is None or name != beside.name)
        worker = await _Worker.started(name, self._sockets, self._alive, self._environ)
        worker.on_ready = self.serves.set
        return worker


class _Worker:
    """A process that serves. `ready` is set once it does; `name` is that of what it counts."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, metrics: str) -> None:
        self.name = name
        self.process = process
        self._metrics = metrics
        self.ready = asyncio.Event()
        self.on_ready: Callable[[], None] = lambda: None
        self._began = asyncio.get_running_loop().time()

    @classmethod
    async def started(cls, name: str, sockets: Sockets, alive: int, environ: Mapping[str, str]) -> "_Worker":
        """It is told its file descriptors; it writes to the last one when it serves."""
        reads, writes = os.pipe()
        handed = [sockets.ocpi.fileno(), sockets.admin.fileno(), alive, writes]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "hub", "worker", *map(str, handed), name),
            pass_fds=handed,
            env=dict(environ),
            start_new_session=True,
        )
        os.close(writes)
        worker = cls(name, process, environ[exposition.FOLDER])
        asyncio.get_running_loop().add_reader(reads, worker._is_ready, reads)
        return worker

    def _is_ready(self, reads: int) -> None:
        """It wrote a byte: it serves. Its end closed without one: it is dead."""
        asyncio.get_running_loop().remove_reader(reads)
        served = os.read(reads, 1)
        os.close(reads)
        if served:
            self.ready.set()
            self.on_ready()

    def age(self) -> float:
        """Seconds since its start."""
        return asyncio.get_running_loop().time() - self._began

    async def ended(self) -> int:
        code = await self.process.wait()
        if self._metrics:
            exposition.forget(self.name, self._metrics)
        return code

    async def end(self) -> None:
        """SIGTERM; it answers what is under way; SIGKILL when it takes too long."""
        if self.process.returncode is not None:
            await self.ended()
            return
        self.process.terminate()
        if not await _first(self.ended(), seconds=STOP_SECONDS):
            _log.error("worker does not end and is killed", pid=self.process.pid)
            self.process.kill()
            await self.ended()


async def _first(*waits: Awaitable[Any], seconds: float | None = None) -> bool:
    """Wait for the first of these; False when none came in time."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        return bool(done)
    finally:
        for task in tasks:
            task.cancel()
