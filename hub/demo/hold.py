"""One demo at a time in one folder: two would take each other's data, and a reset the data of one that runs."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hub.demo.processes import DemoFailed

LOCK_NAME = "demo.lock"


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """The folder, made where it is missing, for this process alone; the kernel lets go of it also after kill -9.

    Raises DemoFailed when another demo has it or it cannot be used.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise DemoFailed(f"{folder} cannot be used: {error.strerror}; name another --folder.") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise DemoFailed(f"A demo is running in {folder}; stop it with Ctrl-C, or name another --folder.") from None
    try:
        yield
    finally:
        os.close(descriptor)
