"""Processes that start quickly: one process imports the hub once, and every start is a fork of it.

Importing takes a second of CPU, which is most of a start; a thousand kills need a thousand starts. What is forked has no event
loop, no thread and no socket yet, and goes through `hub.__main__` with the arguments and the environment of its own, as after
`python -m hub`. A child is watched through a descriptor of the kernel, so that a signal never meets another process.

`python -m tests.faults.nursery` is the imported process: a line of JSON in for each start, a line out for each pid and each end.
"""

import contextlib
import ctypes
import importlib
import os
import selectors
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from ocpi_modules import json

PR_SET_PDEATHSIG = 1
IMPORTED = ("hub.__main__", "hub.serve", "hub.app", "hub.settings", "hub.command_line.databases", "uvloop")


class Child:
    """As much of `subprocess.Popen` as whoever breaks processes needs."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._handle = os.pidfd_open(pid)
        self._ended = threading.Event()

    def end(self, code: int) -> None:
        self.returncode = code
        self._ended.set()

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, negative for a signal. Raises subprocess.TimeoutExpired."""
        if not self._ended.wait(timeout):
            raise subprocess.TimeoutExpired("a forked hub", timeout or 0)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def close(self) -> None:
        os.close(self._handle)


class Nursery:
    """`with Nursery.running() as nursery:` then `nursery.start(arguments, environ, log)`, from any thread."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self._lock = threading.Lock()
        self._children: dict[int, Child] = {}
        self._born: list[Child] = []
        self._birth = threading.Semaphore(0)

    @classmethod
    @contextlib.contextmanager
    def running(cls) -> Iterator["Nursery"]:
        command = [sys.executable, "-m", "tests.faults.nursery"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            nursery = cls(process)
            listening = threading.Thread(target=nursery._listen, daemon=True)
            listening.start()
            try:
                yield nursery
            finally:
                assert process.stdin is not None
                process.stdin.close()  # it kills what is left, and ends
                listening.join()
                for child in nursery._children.values():
                    child.close()

    def start(self, arguments: Sequence[str], environ: Mapping[str, str], log: Path) -> Child:
        """A fork that runs `hub` with these arguments; `log` gets what it says on standard output and error."""
        order = {"arguments": list(arguments), "environ": dict(environ), "log": str(log)}
        with self._lock:
            assert self._process.stdin is not None
            self._process.stdin.write(json.encode(order) + b"\n")
            self._process.stdin.flush()
            if not self._birth.acquire(timeout=60):
                raise TimeoutError("the nursery does not answer")
            return self._born.pop()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            told = json.decode(line)
            if "code" in told:
                self._children.pop(told["pid"]).end(told["code"])
            else:
                child = self._children[told["pid"]] = Child(told["pid"])
                self._born.append(child)
                self._birth.release()


def _main() -> None:
    """Fork on demand; tell who was born and how each ended; kill the rest when nobody is there to order any more."""
    for name in IMPORTED:
        importlib.import_module(name)
    orders: dict[int, int] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(sys.stdin.buffer, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fd == sys.stdin.fileno():
                    line = sys.stdin.buffer.readline()  # one order at a time: nothing waits in its buffer
                    if not line:
                        return _bury(orders)
                    pid = _fork(json.decode(line))
                    handle = os.pidfd_open(pid)
                    orders[handle] = pid
                    selector.register(handle, selectors.EVENT_READ)
                    _tell(pid=pid)
                else:
                    handle = key.fd
                    selector.unregister(handle)
                    os.close(handle)
                    _end(orders.pop(handle))


def _fork(order: Mapping[str, Any]) -> int:
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    try:
        _become(order)
    except BaseException:
        traceback.print_exc()
    os._exit(1)


def _become(order: Mapping[str, Any]) -> None:
    """The child: nothing of the nursery stays but what was imported. It dies with the nursery."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    log: IO[bytes]
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    with Path(order["log"]).open("ab") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    os.closerange(3, 256)
    os.environ.clear()
    os.environ.update(order["environ"])
    sys.argv = ["hub", *order["arguments"]]
    altered = importlib.import_module("tests.faults.altered")
    altered.alter(os.environ)
    code: object = 1
    try:
        importlib.import_module("hub.__main__").main()
    except SystemExit as ended:
        code = ended.code
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 0)


def _tell(**what: int) -> None:
    sys.stdout.buffer.write(json.encode(what) + b"\n")
    sys.stdout.buffer.flush()


def _end(pid: int) -> None:
    _, status = os.waitpid(pid, 0)
    _tell(pid=pid, code=os.waitstatus_to_exitcode(status))


def _bury(orders: Mapping[int, int]) -> None:
    for pid in orders.values():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


if __name__ == "__main__":
    _main()
