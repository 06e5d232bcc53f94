"""The demo's children: started in their own process group, watched, stopped in reverse order."""

import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path

from ocpi_modules.http.listener import plain_bind

STOP_SECONDS = 15


class DemoFailed(Exception):
    """One sentence: what went wrong and what to do."""


class Processes:
    """Children by their names; each writes to a log file of its own in `logs`."""

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        logs.mkdir(parents=True, exist_ok=True)
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, command: list[str], environ: Mapping[str, str]) -> None:
        with (self.logs / f"{name}.log").open("ab") as log:
            self._children[name] = subprocess.Popen(  # noqa: S603
                command,
                env=dict(environ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def run(
        self, name: str, command: list[str], environ: Mapping[str, str], *, given: str = "", seconds: int = 60
    ) -> str:
        """Run a command to its end and return what it printed; `given` goes to its standard input."""
        try:
            done = subprocess.run(  # noqa: S603
                command, env=dict(environ), input=given, capture_output=True, text=True, timeout=seconds, check=False
            )
        except subprocess.TimeoutExpired:
            raise DemoFailed(f"{name} did not finish within {seconds} s.") from None
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip().splitlines()
            raise DemoFailed(f"{name} failed: {said[-1] if said else f'exit code {done.returncode}'}")
        return done.stdout

    def wait_until(self, what: str, true: Callable[[], bool], seconds: float, *, of: tuple[str, ...] = ()) -> None:
        """Wait for `true`, at most `seconds`; a child in `of` that ended is a failure at once."""
        deadline = time.monotonic() + seconds
        while not true():
            for name in of:
                self._refuse_dead(name)
            if time.monotonic() > deadline:
                raise DemoFailed(f"{what} did not happen within {seconds:g} s; the logs are in {self.logs}.")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop all, the last started first."""
        for child in reversed(list(self._children.values())):
            if child.poll() is None:
                child.terminate()
        for child in reversed(list(self._children.values())):
            try:
                child.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        self._children.clear()

    def _refuse_dead(self, name: str) -> None:
        child = self._children[name]
        if child.poll() is not None:
            raise DemoFailed(f"{name} ended with exit code {child.returncode}: {self._last_line(name)}")

    def _last_line(self, name: str) -> str:
        lines = (self.logs / f"{name}.log").read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it printed nothing"


def answers(url: str) -> bool:
    """Whether a GET of `url` succeeds now."""
    try:
        with urllib.request.urlopen(url, timeout=2) as response:  # noqa: S310
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def free_port(host: str, wanted: int) -> int:
    """`wanted`, or the next port above it that nobody listens on."""
    for port in range(wanted, min(wanted + 200, 65536)):
        try:
            plain_bind(host, port)
        except OSError:
            continue
        return port
    raise DemoFailed(f"No free port from {wanted} to {wanted + 199}; stop what listens there.")


def environment(**settings: str) -> dict[str, str]:
    """Our own environment without HUB_* and ADAPTER_*, and with these."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HUB_", "ADAPTER_"))}
    return kept | settings
