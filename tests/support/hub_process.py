"""`python -m hub` as processes of their own, on an embedded database in the test's folder or one of the run's databases."""

import base64
import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ocpi_modules import json
from tests.support.family import children
from tests.support.ports import free_ports

PATIENCE_SECONDS = 30.0
SECRET_KEY = base64.b64encode(b"k" * 32).decode()


def wait_until(true: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> None:
    """Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError("this did not happen")
        time.sleep(0.02)


class HubProcess:
    """One hub: its settings, its commands, and its serving process. `log` is what it wrote to standard error."""

    def __init__(
        self, folder: Path, database_url: str, migrate_url: str = "", program: Path | None = None, **settings: str
    ) -> None:
        """`program`: the checkout whose program it is, by default this one."""
        self.program = program
        self.run_by: tuple[str, ...] = ()
        """A module, with its arguments, that runs the serving process for a test."""
        self.port, self.admin_port = free_ports(2)
        self.log = folder / "hub.log"
        self._process: subprocess.Popen[bytes] | None = None
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HUB_", "ADAPTER_"))}
        self.environ = kept | {
            "HUB_PORT": str(self.port),
            "HUB_ADMIN_PORT": str(self.admin_port),
            "HUB_COUNTRY_CODE": "NL",
            "HUB_PARTY_ID": "HUB",
            "HUB_SECRET_KEY": SECRET_KEY,
            "HUB_ALLOW_INSECURE": "true",
            "HUB_DATABASE_URL": database_url,
            **({"HUB_DATABASE_MIGRATE_URL": migrate_url} if migrate_url else {}),
            **settings,
        }

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def versions_url(self) -> str:
        return f"{self.url}/ocpi/versions"

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        assert self._process is not None
        return self._process

    def run(self, *arguments: str, given: str = "", **settings: str) -> "subprocess.CompletedProcess[str]":
        """A command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "hub", *arguments],
            env=self.environ | settings,
            input=given,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=self.program,
        )

    def json(self, *arguments: str, given: str = "") -> Any:
        """What a successful command with --json printed."""
        done = self.run(*arguments, "--json", given=given)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("\n") == 1, done.stdout
        return json.decode(done.stdout.encode())

    def invite(self, *parties: str) -> str:
        """A Token A."""
        named = [word for party in parties for word in ("--party", party)]
        return str(self.json("invite", *named)["token_a"])

    def start(self, *arguments: str) -> None:
        """`serve`, not waited for."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *self.run_by, "hub", "serve", *arguments],
                env=self.environ,
                stdout=log,
                stderr=log,
                cwd=self.program,
            )

    @contextlib.contextmanager
    def serving(self, *arguments: str) -> Iterator[None]:
        """`serve` until the end of the block; waits until it says that it serves."""
        self.start(*arguments)
        try:
            wait_until(lambda: self.says("The hub serves") or self.process.poll() is not None)
            assert self.process.poll() is None, self.log.read_text()
            yield
        finally:
            self.stop()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise

    def says(self, words: str) -> bool:
        return self.log.exists() and words in self.log.read_text(errors="replace")

    def workers(self) -> list[int]:
        """Process ids of the workers, from the kernel."""
        return [pid for pid in children(self.process.pid) if b"worker" in _command_line(pid)]

    def ready(self) -> tuple[int, Mapping[str, Any]]:
        """/readyz: HTTP status and document."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.admin_port}/readyz", timeout=5) as response:
                return response.status, json.decode(response.read())
        except urllib.error.HTTPError as error:
            return error.code, json.decode(error.read())


def is_alive(pid: int) -> bool:
    """Whether a process runs (and is no zombie)."""
    return b"worker" in _command_line(pid)


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
