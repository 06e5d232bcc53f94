"""The guard of an embedded PostgreSQL: a process that starts the server and stops it after its last user is gone.

It reads one JSON document from standard input: `directory`, `argv`, `cwd`, `user` (`[uid, gid]` or null) and `lock` (an
inherited descriptor that holds guard.lock). With `argv` null it guards the server that runs already. Every user holds
a shared flock on users.lock; the kernel gives it back even after kill -9.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from hub.db import postmaster

LOOK_SECONDS = 0.2
START_LOCK_SECONDS = 120.0
PROGRAM = "import sys; sys.path.insert(0, sys.argv[1]); from hub.db.embedded_guard import main; main()"


def launch(directory: Path, argv: list[str] | None, cwd: str, user: list[int] | None) -> subprocess.Popen[bytes]:
    """Start the guard, detached. The caller holds start.lock. Raises TimeoutError if another guard lives on."""
    lock = postmaster.take_lock(directory / "guard.lock", 10)
    if lock is None:
        raise TimeoutError("another guard holds guard.lock")
    order = {"directory": str(directory), "argv": argv, "cwd": cwd, "user": user, "lock": lock}
    try:
        with (directory / "postgres.log").open("ab") as log:
            guard = subprocess.Popen(  # noqa: S603
                [sys.executable, "-I", "-c", PROGRAM, str(Path(__file__).parents[2])],
                stdin=subprocess.PIPE, stdout=log, stderr=log, cwd="/", pass_fds=(lock,), start_new_session=True,
            )  # fmt: skip
    finally:
        os.close(lock)
    assert guard.stdin is not None
    guard.stdin.write(json.dumps(order).encode())
    guard.stdin.close()
    return guard


def is_guarded(directory: Path, seconds: float = 0) -> bool:
    """True if a guard still lives after that many seconds."""
    lock = postmaster.take_lock(directory / "guard.lock", seconds)
    if lock is not None:
        os.close(lock)
    return lock is None


def forget_stale_pid(data: Path) -> None:
    """Make a left-over postmaster.pid harmless. The caller has seen that no server runs.

    PostgreSQL refuses to start if any process has the old pid, unless that is its own parent; so our pid is written
    over it. Its second check, for surviving backends on the old shared memory, stays in force.
    """
    path = data / "postmaster.pid"
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    except FileNotFoundError:
        return
    if not lines:
        path.unlink()
        return
    with path.open("r+", encoding="utf-8") as file:
        file.write("".join([f"{os.getpid()}\n", *lines[1:]]))
        file.truncate()


def guard(order: dict[str, Any]) -> int:
    """Start the server if asked to, wait until it or its last user is gone, then stop it."""
    directory = Path(order["directory"])
    data = directory / "data"
    server = _start(order, data) if order["argv"] else None
    while server.poll() is None if server else postmaster.find_running(data) is not None:
        time.sleep(LOOK_SECONDS)
        with postmaster.only_user(directory, 0) as unused:
            pass
        if unused and stop_if_unused(directory):
            return 0
    return server.returncode if server else 0


def stop_if_unused(directory: Path) -> bool:
    """Stop the server unless somebody uses it; True if it was stopped."""
    lock = postmaster.take_lock(directory / "start.lock", START_LOCK_SECONDS)
    if lock is None:
        return False
    try:
        with postmaster.only_user(directory, 0.05) as unused:
            if unused:
                stop_and_forget(directory)
            return unused
    finally:
        os.close(lock)


def stop_and_forget(directory: Path) -> None:
    """Stop the server and remove its private folder. The caller holds start.lock and is the only user."""
    if postmaster.stop(directory / "data"):
        note = directory / "socket"
        if note.exists():
            shutil.rmtree(note.read_text(encoding="utf-8").strip(), ignore_errors=True)
            note.unlink(missing_ok=True)


def _start(order: dict[str, Any], data: Path) -> "subprocess.Popen[bytes]":
    forget_stale_pid(data)
    return subprocess.Popen(  # noqa: S603
        order["argv"],
        cwd=order["cwd"],
        stdin=subprocess.DEVNULL,
        env=clean_environment(),
        umask=0o077,
        **as_user(order["user"]),
    )


def as_user(user: list[int] | None) -> dict[str, Any]:
    """What makes subprocess run a program as `[uid, gid]` and nobody's groups."""
    return {"user": user[0], "group": user[1], "extra_groups": []} if user else {}


def clean_environment() -> dict[str, str]:
    """Ours, without what would redirect PostgreSQL's programs or change their language."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
    return {**kept, "LC_ALL": "C", "TZ": "UTC"}


def main() -> None:
    """The guard's process: deaf to what ends the others, and ended by the end of the server."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    sys.exit(guard(json.loads(sys.stdin.read())))
