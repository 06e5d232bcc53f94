"""Processes by the kernel's word (Linux): the children of one, and one or all of them standing still."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

STANDSTILL_SECONDS = 5.0
ENDED_OR_STOPPED = "TZX"


def children(pid: int) -> list[int]:
    """Those of the first thread of the process, also those that ended and were not yet waited for."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


@contextlib.contextmanager
def standing_still(pid: int, *, with_children: bool = True) -> Iterator[None]:
    """SIGSTOP, and SIGCONT at the end. The parent first: once it stands it waits for no child, so that
    none of the children listed then can leave its process id to nobody before it is told."""
    told = [pid]
    try:
        _stop(pid)
        for child in children(pid) if with_children else []:
            told.append(child)
            _stop(child)
        yield
    finally:
        for one in reversed(told):
            os.kill(one, signal.SIGCONT)


def _stop(pid: int) -> None:
    """Returns when the kernel says that it stands. Raises TimeoutError."""
    os.kill(pid, signal.SIGSTOP)
    until = time.monotonic() + STANDSTILL_SECONDS
    while _state(pid) not in ENDED_OR_STOPPED:
        if time.monotonic() > until:
            raise TimeoutError(f"process {pid} was told to stand still and runs")
        time.sleep(0.001)


def _state(pid: int) -> str:
    """The letter of proc(5): R, S, D, T, Z, X."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[0]
