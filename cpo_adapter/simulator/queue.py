"""The transaction messages a charger still owes: in order, kept over a loss of connection and, with a file, over a restart."""

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Owed:
    """A StartTransaction, MeterValues or StopTransaction of the charge `number`, with the timestamps of its event."""

    number: int
    action: str
    payload: dict[str, Any] = field(default_factory=dict)


class TransactionQueue:
    """First in, first out; a message leaves only after its answer (`done`)."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._owed: list[Owed] = []
        self._changed = asyncio.Condition()
        if path is not None and path.exists():
            self._owed = [Owed(**item) for item in json.loads(path.read_text())]

    def __len__(self) -> int:
        return len(self._owed)

    async def put(self, owed: Owed) -> None:
        await self._change(lambda: self._owed.append(owed))

    async def first(self) -> Owed:
        """The oldest message; waits while there is none."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._owed)
            return self._owed[0]

    async def done(self) -> None:
        """The oldest was answered."""
        await self._change(lambda: self._owed.pop(0))

    async def wait_empty(self) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: not self._owed)

    async def _change(self, change: Any) -> None:
        async with self._changed:
            change()
            if self._path is not None:
                _replace(self._path, json.dumps([vars(owed) for owed in self._owed]))
            self._changed.notify_all()


def _replace(path: Path, text: str) -> None:
    """Write so that a kill leaves the old text or the new."""
    temporary = path.with_name(path.name + ".new")
    temporary.write_text(text)
    temporary.replace(path)
