"""A hub as a supervisor keeps it: forked from the nursery, its log kept through all its lives, its death accounted for."""

import contextlib
import resource
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.faults import altered
from tests.faults.nursery import Child, Nursery
from tests.support.hub_process import HubProcess


@dataclass(frozen=True)
class Use:
    """What a process uses: KiB, and numbers of open descriptors, threads and tasks."""

    memory: int
    descriptors: int
    threads: int
    tasks: int


class KeptHub(HubProcess):
    """`child` is the life it leads now, `told` the signal that is to end it, None while it shall live."""

    def __init__(self, folder: Path, nursery: Nursery, url: str, migrate_url: str, **settings: str) -> None:
        folder.mkdir()
        super().__init__(folder, url, migrate_url, None, **settings)
        self.environ[altered.CLOCK] = str(folder / "clock")
        self.environ[altered.NAMES] = str(folder / "names")
        self.environ[altered.TASKS] = str(folder / "tasks")
        self.clock = altered.JumpingClock(folder / "clock")
        self.told: signal.Signals | None = None
        self.starved = False
        self.lives = 0
        self._folder = folder
        self._nursery = nursery
        self._began_at = 0
        self._child: Child | None = None
        self.names()

    @property
    def child(self) -> Child:
        assert self._child is not None
        return self._child

    def names(self, **answers: str) -> None:
        """What its resolver says of names (see altered.py)."""
        altered.set_names(self._folder / "names", answers)

    def start(self, *arguments: str) -> None:
        self._began_at = self.log.stat().st_size if self.log.exists() else 0
        self.told, self.starved = None, False
        self._child = self._nursery.start(["serve", *arguments], self.environ, self.log)
        self.lives += 1

    def tell(self, number: signal.Signals) -> None:
        """Send it; of those that end a process it is remembered that it was told to."""
        if number in (signal.SIGKILL, signal.SIGTERM):
            self.told = number
        self.child.send_signal(number)

    def ended_as_told(self) -> bool:
        """C7: whether a process that is gone was killed by us and by nothing else, or had no more memory to go on with."""
        code = self.child.poll()
        return code is None or self.starved or (self.told is not None and code in (0, -self.told))

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.tell(number)
        return self.child.wait(30)

    def says(self, words: str) -> bool:
        """In its present life."""
        return words in self.words()

    def words(self, *, ever: bool = False) -> str:
        """Its log, of its present life or of all."""
        if not self.log.exists():
            return ""
        with self.log.open("rb") as log:
            log.seek(0 if ever else self._began_at)
            return log.read().decode(errors="replace")

    def use(self) -> Use:
        """Raises OSError when it is gone, TimeoutError when it does not count its tasks."""
        status = _status(self.child.pid)
        descriptors = len(list(Path(f"/proc/{self.child.pid}/fd").iterdir()))
        return Use(_kib(status["VmRSS"]), descriptors, int(status["Threads"]), self._tasks())

    def limit(self, kind: int, value: int) -> None:
        """A limit of the kernel for the present life (prlimit). What gets no more memory may end anyhow: C code does not ask."""
        self.starved = kind == resource.RLIMIT_AS
        resource.prlimit(self.child.pid, kind, (value, value))

    def address_space(self) -> int:
        """Bytes."""
        return _kib(_status(self.child.pid)["VmSize"]) * 1024

    def _tasks(self) -> int:
        file = self._folder / "tasks"
        for _ in range(20):
            file.unlink(missing_ok=True)
            self.child.send_signal(signal.SIGUSR2)
            deadline = time.monotonic() + 0.5
            while time.monotonic() < deadline:
                with contextlib.suppress(FileNotFoundError):
                    return int(file.read_text())
                time.sleep(0.01)
        raise TimeoutError("the process does not count its tasks")


def _status(pid: int) -> Mapping[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _kib(text: str) -> int:
    return int(text.split()[0])
