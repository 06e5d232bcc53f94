"""A real PostgreSQL in a directory of ours: for the demo, development and tests, with nothing installed or configured.

The life of a server: whoever opens the directory first starts it, the next ones join it, the last one out stops it.
Three flocks in the directory keep the count, so that kill -9 of any program counts as leaving: `start.lock` is held
while somebody starts or stops, `users.lock` is shared by all users, `guard.lock` is held by the guard (see
embedded_guard.py). Take them in that order. Beside them lie `data` (the cluster), `postgres.log`, and `socket`, which
names a short private folder: a socket path may have 107 bytes, a directory's path any length. For the same reason the
server is given its data directory as the folder it starts in, so neither a long path nor closed parents hinder it.
"""

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from signal import SIGINT, SIGQUIT
from types import TracebackType
from typing import Self
from urllib.parse import quote

from hub.db import cluster, databases, embedded_guard, postmaster
from hub.db.cluster import SUPERUSER
from hub.db.postgres_binaries import EmbeddedPostgresError, copy_for, find_binaries, is_readable_to_all

__all__ = ["EmbeddedPostgres", "EmbeddedPostgresError", "open_embedded"]

SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%a %u@%d ",
    "log_checkpoints": "off",
    "jit": "off",
    "autovacuum_naptime": "10s",
    "idle_in_transaction_session_timeout": "60s",
}


class EmbeddedPostgres:
    """One use of an embedded server, from `open` to `close`. Not for use by several threads at once."""

    def __init__(self, directory: Path, settings: Mapping[str, str] | None = None, seconds: float = 60.0) -> None:
        self.directory = Path(os.path.abspath(directory.expanduser()))
        self._settings = {**SETTINGS, **(settings or {})}
        self._seconds = seconds
        self._users: int | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    @classmethod
    def open(cls, directory: Path, settings: Mapping[str, str] | None = None, seconds: float = 60.0) -> Self:
        """Start or join the server of this directory, which is made if missing; ready for connections within `seconds`.

        `settings` are added to postgresql.conf by the one who starts it. Raises EmbeddedPostgresError.
        """
        server = cls(directory, settings, seconds)
        cluster.prepare_directory(server.directory)
        with server._start_lock():
            users = postmaster.take_lock(server.directory / "users.lock", seconds, shared=True)
            if users is None:
                raise EmbeddedPostgresError(f"The server in {server.directory} is being stopped; try again.")
            try:
                server._start_or_join()
            except BaseException:
                os.close(users)
                server._forget_failed_start()
                raise
            server._users = users
        return server

    def close(self) -> None:
        """Leave; the last one out stops the server and waits for its end. A second call does nothing."""
        if self._users is None:
            return
        os.close(self._users)
        self._users = None
        if embedded_guard.stop_if_unused(self.directory):
            embedded_guard.is_guarded(self.directory, seconds=5)
        self._reap()

    def stop(self, immediate: bool = False) -> None:
        """Stop the server under all its users (tests and drills); `immediate` as in a crash. `start` brings it back."""
        with self._start_lock():
            stopped = postmaster.stop(self.data, SIGQUIT if immediate else SIGINT)
            if not stopped or embedded_guard.is_guarded(self.directory, seconds=5):
                raise EmbeddedPostgresError(f"The server in {self.directory} does not stop.{self._log_tail()}")

    def start(self) -> None:
        """Bring a stopped or crashed server back, at the same addresses; nothing if it runs."""
        with self._start_lock():
            self._start_or_join()

    @property
    def data(self) -> Path:
        """The cluster's data directory."""
        return self.directory / "data"

    @property
    def pid(self) -> int:
        """Process id of the postmaster. Raises EmbeddedPostgresError if it does not run."""
        if (found := postmaster.find_running(self.data)) is None:
            raise EmbeddedPostgresError(f"The server in {self.directory} does not run.{self._log_tail()}")
        return found.pid

    def dsn(self, database: str = "hub", user: str = SUPERUSER) -> str:
        """A URL for asyncpg, and for SQLAlchemy once its driver is named; it outlives restarts of the server."""
        folder = quote((self.directory / "socket").read_text(encoding="utf-8").strip(), safe="/")
        return f"postgresql://{quote(user)}@/{quote(database)}?host={folder}&port={postmaster.PORT}"

    def owner_dsn(self, database: str = "hub") -> str:
        """For migrations."""
        return self.dsn(database, f"{database}_owner")

    def app_dsn(self, database: str = "hub") -> str:
        """For everything that runs: a plain member role, neither superuser nor owner (contracts section 3, Roles)."""
        return self.dsn(database, f"{database}_app")

    def ensure_database(self, name: str, member_of: str, owner: str | None = None, app: str | None = None) -> None:
        """Make the database and its roles where missing; safe to call from several programs at once.

        `member_of` is the NOLOGIN role that migrations grant to; `app` (default `<name>_app`) is made its member.
        """
        owner, app = owner or f"{name}_owner", app or f"{name}_app"
        databases.ensure_database(self.dsn(SUPERUSER), name, member_of, owner, app)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextlib.contextmanager
    def _start_lock(self) -> Iterator[None]:
        lock = postmaster.take_lock(self.directory / "start.lock", self._seconds)
        if lock is None:
            raise EmbeddedPostgresError(
                f"Another program has been starting the server in {self.directory} for too long."
            )
        try:
            yield
        finally:
            os.close(lock)

    def _start_or_join(self) -> None:
        running = postmaster.find_running(self.data)
        if running is not None and not postmaster.answers(running):
            postmaster.stop(self.data)  # its socket was deleted: nobody can reach it any more
            running = None
        if running is None:
            self._start()
        elif not embedded_guard.is_guarded(self.directory):
            self._guard = embedded_guard.launch(self.directory, None, "/", None)

    def _forget_failed_start(self) -> None:
        with postmaster.only_user(self.directory, 0.05) as unused:
            if unused:
                embedded_guard.stop_and_forget(self.directory)

    def _start(self) -> None:
        if embedded_guard.is_guarded(self.directory, seconds=10):
            raise EmbeddedPostgresError(
                f"{self.directory} is in use from another container; give each its own directory."
            )
        run_as = cluster.choose_user(self.data)
        binaries = find_binaries(cluster.major_of(self.data))
        folder = cluster.private_folder(self.directory / "socket", run_as)
        if run_as is not None and not is_readable_to_all(binaries):
            binaries = copy_for(binaries, folder)
        if not self.data.exists():
            cluster.initialise(self.data, binaries, run_as, self._settings)
        cluster.write_settings(self.data, {**self._settings, "unix_socket_directories": str(folder)}, run_as)
        cluster.shorten_log(self.directory / "postgres.log")
        where = cluster.WORKING_DIRECTORY if cluster.WORKING_DIRECTORY.exists() else self.data
        argv = [str(binaries.bin / "postgres"), "-D", str(where)]
        self._reap()
        self._guard = embedded_guard.launch(self.directory, argv, str(self.data), run_as)
        self._wait_until_ready(self._guard)

    def _wait_until_ready(self, guard: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + self._seconds
        while (found := postmaster.find_running(self.data)) is None or found.status != "ready":
            if guard.poll() is not None:
                raise EmbeddedPostgresError(f"PostgreSQL did not start in {self.directory}.{self._log_tail()}")
            if time.monotonic() > deadline:
                raise EmbeddedPostgresError(
                    f"PostgreSQL in {self.directory} was not ready within {self._seconds:g} s; "
                    f"it may still be recovering: try again.{self._log_tail()}"
                )
            time.sleep(postmaster.POLL_SECONDS)

    def _reap(self) -> None:
        if self._guard is not None and self._guard.poll() is not None:
            self._guard = None

    def _log_tail(self, lines: int = 5) -> str:
        try:
            log = (self.directory / "postgres.log").read_bytes()[-4000:].decode("utf-8", "replace").splitlines()
        except OSError:
            return ""
        return " The end of its log:\n" + "\n".join(log[-lines:]) if log else ""


def open_embedded(
    directory: Path, settings: Mapping[str, str] | None = None, seconds: float = 60.0
) -> EmbeddedPostgres:
    """`with open_embedded(path) as server:` is EmbeddedPostgres.open and, at the end, close."""
    return EmbeddedPostgres.open(directory, settings, seconds)
