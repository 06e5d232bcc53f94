"""What a hub of the fault suite is told besides its settings: a clock that jumps, names that do not resolve, and to count.

Everything is done from outside before the program runs: the product has no hook for it. Without its variable nothing is altered.
"""

import asyncio
import datetime
import importlib
import mmap
import os
import signal
import socket
import struct
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from ocpi_modules import json

CLOCK, NAMES, TASKS = "FAULT_CLOCK", "FAULT_NAMES", "FAULT_TASKS"
SLOW_SECONDS = 20


class JumpingClock:
    """A file of 8 bytes that every process maps: how many seconds its clock is ahead. `set` is for whoever breaks."""

    def __init__(self, file: Path) -> None:
        if not file.exists():
            file.write_bytes(bytes(8))
        with file.open("r+b") as opened:
            self._ahead = mmap.mmap(opened.fileno(), 8)

    def set(self, seconds: float) -> None:
        self._ahead[:] = struct.pack("d", seconds)

    def __call__(self) -> datetime.datetime:
        (ahead,) = struct.unpack("d", self._ahead)
        return datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=ahead)


def set_names(file: Path, answers: Mapping[str, str]) -> None:
    """Names and what the resolver says of them: an address, `fails`, or `slow` (fails after SLOW_SECONDS)."""
    new = file.with_suffix(".new")
    new.write_bytes(json.encode(dict(answers)))
    new.replace(file)


def alter(environ: Mapping[str, str]) -> None:
    """In the process itself, before its program begins."""
    if file := environ.get(CLOCK):
        _replace_clock(JumpingClock(Path(file)))
    if file := environ.get(NAMES):
        _replace_resolver(Path(file))
    if file := environ.get(TASKS):
        _count_on_demand(Path(file))


def _replace_clock(clock: JumpingClock) -> None:
    for name in ("hub.command_line.serving", "hub.command_line.databases", "hub.command_line.tell"):
        vars(importlib.import_module(name))["now"] = clock


def _replace_resolver(file: Path) -> None:
    original = socket.getaddrinfo

    def resolve(host: Any, *arguments: Any, **named: Any) -> Any:
        said = json.decode(file.read_bytes()).get(str(host), host)
        if said == "slow":
            time.sleep(SLOW_SECONDS)
        if said in ("slow", "fails"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return original(said, *arguments, **named)

    socket.getaddrinfo = resolve


def _count_on_demand(file: Path) -> None:
    """SIGUSR2: write how many tasks the event loop has."""

    def count(_: int, __: FrameType | None) -> None:
        try:
            number = len(asyncio.all_tasks(asyncio.get_running_loop()))
        except RuntimeError:  # between two rounds of the loop, or a task ended just now
            return
        new = file.with_suffix(f".{os.getpid()}")
        new.write_text(str(number))
        new.replace(file)

    signal.signal(signal.SIGUSR2, count)
