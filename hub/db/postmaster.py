"""Which PostgreSQL server runs on a data directory, and how it is stopped. Standard library only: the guard runs alone.

The cluster's own `postmaster.pid` names the server. After a kill -9 that file stays, and its pid may belong to another
program by then; so a server counts as running only if a process of that pid is a PostgreSQL started when the file says,
or its socket answers.
"""

import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

PORT = 5432
POLL_SECONDS = 0.02
STOP_SECONDS = 15.0
CLOCK_SLACK_SECONDS = 5.0


@dataclass(frozen=True)
class Postmaster:
    """What `postmaster.pid` tells: process id, start (seconds since 1970), socket directory, and its last status word."""

    pid: int
    started: int
    socket_directory: str
    status: str


def read_postmaster(data: Path) -> Postmaster | None:
    """The server named by the data directory, alive or not; None if the file is missing or just being written."""
    try:
        lines = (data / "postmaster.pid").read_text(encoding="utf-8", errors="replace").splitlines()
        return Postmaster(int(lines[0]), int(lines[2]), *("".join(lines[at : at + 1]).strip() for at in (4, 7)))
    except (OSError, ValueError, IndexError):
        return None


def find_running(data: Path) -> Postmaster | None:
    """The server that runs on this data directory now, also one that is frozen or has lost its socket."""
    found = read_postmaster(data)
    if found is None or not _is_postgres(found.pid):
        return None
    return found if answers(found) or _started_at(found.pid, found.started) else None


def answers(server: Postmaster) -> bool:
    """True if the server's socket takes a connection (a frozen server's does too)."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(f"{server.socket_directory}/.s.PGSQL.{PORT}")
        except (OSError, ValueError):
            return False
    return True


def stop(data: Path, kind: signal.Signals = signal.SIGINT, seconds: float = STOP_SECONDS) -> bool:
    """Stop the server: SIGINT is PostgreSQL's fast stop, SIGQUIT the immediate one, which follows after half the time.

    Returns False if it still runs when the time is over.
    """
    server = find_running(data)
    if server is None:
        return True
    deadline = time.monotonic() + seconds
    _send(server.pid, kind)
    _send(server.pid, signal.SIGCONT)
    if _wait_until(lambda: _is_gone(data, server), deadline - seconds / 2):
        return True
    _send(server.pid, signal.SIGQUIT)
    return _wait_until(lambda: _is_gone(data, server), deadline)


def take_lock(path: Path, seconds: float, shared: bool = False) -> int | None:
    """An open descriptor that holds a flock on the file, or None if others held it all that time."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX

    def taken() -> bool:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    if _wait_until(taken, time.monotonic() + seconds):
        return descriptor
    os.close(descriptor)
    return None


@contextlib.contextmanager
def only_user(directory: Path, seconds: float) -> Iterator[bool]:
    """Whether nobody uses the server just now; nobody can begin to while the block runs."""
    descriptor = take_lock(directory / "users.lock", seconds)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _wait_until(holds: Callable[[], bool], deadline: float) -> bool:
    while not holds():
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _is_gone(data: Path, server: Postmaster) -> bool:
    now = read_postmaster(data)
    return now is None or now.pid != server.pid or not _is_postgres(server.pid)


def _send(pid: int, kind: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, kind)


def _is_postgres(pid: int) -> bool:
    """By the name of the process; a zombie is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return not Path("/proc/self/stat").exists() and "postgres" in _ps(pid)
    name, rest = stat[stat.index("(") + 1 :].rsplit(")", 1)
    return name == "postgres" and rest.split()[0] not in {"Z", "X"}


def _started_at(pid: int, started: int) -> bool:
    try:
        ticks = int(
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rsplit(")", 1)[1].split()[19]
        )
        kernel = Path("/proc/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    boot = next(int(line.split()[1]) for line in kernel.splitlines() if line.startswith("btime"))
    return abs(boot + ticks / os.sysconf("SC_CLK_TCK") - started) < CLOCK_SLACK_SECONDS


def _ps(pid: int) -> str:
    listing = ["/bin/ps", "-o", "comm=", "-p", str(pid)]
    return subprocess.run(listing, capture_output=True, text=True, timeout=5, check=False).stdout  # noqa: S603
