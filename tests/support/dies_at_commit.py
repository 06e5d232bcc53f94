"""`python -m tests.support.dies_at_commit FLAG MODULE ARGUMENTS...`: runs MODULE, and loses what it is about to commit.

Once the file FLAG names one of WRITES, a transaction that made this write stays open for a moment, and then the process kills
itself with SIGKILL: whoever was answered before the commit has seen the answer, and nothing of it is stored.
"""

import asyncio
import contextlib
import functools
import importlib
import os
import runpy
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from hub.db.engine import Database

WRITES = (
    ("hub.objects.repository", "log_change"),
    ("hub.objects.batch_repository", "add_objects"),
    ("hub.objects.batch_repository", "update_objects"),
    ("hub.clearing.repository", "insert_cdr"),
)
LINGERS_SECONDS = 0.5
_wrote: set[int] = set()
"""Connections with a write that is to be lost."""


def arm(flag: Path) -> None:
    for module, name in WRITES:
        owner = importlib.import_module(module)
        setattr(owner, name, _noticed(getattr(owner, name), flag))
    Database.transaction = _deadly(Database.transaction)  # type: ignore[method-assign]


def _noticed(write: Callable[..., Any], flag: Path) -> Callable[..., Any]:
    @functools.wraps(write)
    async def noticed(connection: Any, *arguments: Any, **named: Any) -> Any:
        if flag.exists() and flag.read_text() == write.__name__:
            _wrote.add(id(connection))
        return await write(connection, *arguments, **named)

    return noticed


def _deadly(transaction: Callable[..., Any]) -> Callable[..., Any]:
    @contextlib.asynccontextmanager
    async def deadly(self: Database, deadline: float | None = None) -> AsyncIterator[Any]:
        async with transaction(self, deadline) as connection:
            yield connection
            if id(connection) in _wrote:
                await asyncio.sleep(LINGERS_SECONDS)
                os.kill(os.getpid(), signal.SIGKILL)

    return deadly


def main() -> None:
    flag, module, *arguments = sys.argv[1:]
    arm(Path(flag))
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
