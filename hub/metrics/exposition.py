"""The metrics of this process, or those of all workers of one parent, who share a folder of small files.

prometheus_client looks for the folder in the environment. A worker writes under a name that its parent gave it and gives to
nobody else while it lives; its successor goes on where it ended, so that there are never more files than two for a worker.
Nobody is kept from serving by it: who cannot use the folder counts alone.
"""

import os
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog
from prometheus_client import CONTENT_TYPE_LATEST as CONTENT_TYPE
from prometheus_client import CollectorRegistry, disable_created_metrics, generate_latest, multiprocess, values
from prometheus_client.core import Metric

__all__ = ["CONTENT_TYPE", "FOLDER", "Exposition", "forget", "share_as", "stay_alone"]

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
ROOM = {"counter": 1 << 20, "gauge_livesum": 1 << 16, "histogram": 1 << 18}
"""Bytes of each file, had before anything is counted: where the disk is full, a write to a mapped file kills its process."""
_shared: Any = multiprocess
_values: Any = values
"""Neither has types."""
_UNREADABLE = (OSError, ValueError, RuntimeError, struct.error)
_log = structlog.get_logger("hub.metrics")
disable_created_metrics()  # type: ignore[no-untyped-call]


def share_as(name: str) -> None:
    """From now on count in files of this name, in the folder; before anything is counted. Alone where there is none to use."""
    folder = os.environ.get(FOLDER)
    if folder and _has_room(Path(folder), name):
        _values.ValueClass = _values.MultiProcessValue(lambda: name)
    else:
        stay_alone()


def stay_alone() -> None:
    """Count in this process, whatever folder somebody else put into the environment; before anything is counted."""
    os.environ.pop(FOLDER, None)
    _values.ValueClass = _values.MutexValue


def _has_room(folder: Path, name: str) -> bool:
    """Every file of this name is there, with its room."""
    try:
        for kind, room in ROOM.items():
            _reserve(folder / f"{kind}_{name}.db", room)
    except OSError as error:
        _log.warning("each worker counts alone", reason=error.strerror or type(error).__name__)
        return False
    return True


def _reserve(path: Path, room: int) -> None:
    """A file with this much of the disk behind it, whole at once; one that cannot be read is begun anew. Raises OSError."""
    try:
        for _ in _shared.MmapedDict.read_all_values_from_file(str(path)):
            pass
        return
    except FileNotFoundError:
        pass
    except _UNREADABLE:
        path.unlink()
    new = path.with_suffix(".new")
    try:
        with new.open("wb") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, room)
        new.rename(path)
    finally:
        new.unlink(missing_ok=True)


def forget(name: str, folder: str) -> None:
    """What a worker that ended had at the moment; what it counted stays."""
    with suppress(OSError):
        _shared.mark_process_dead(name, folder)


class Exposition:
    """Whatever counts registers at `registry`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

    def text(self, facts: Iterable[Metric]) -> bytes:
        """In the text format of Prometheus, with `facts` behind what was counted; the facts alone where that cannot be read.

        May take half a second of CPU with hundreds of parties and many workers: not for the event loop.
        """
        return generate_latest(_Whole([self._counted(), facts]))

    def _counted(self) -> Iterable[Metric]:
        folder = os.environ.get(FOLDER)
        if not folder:
            return self.registry.collect()
        try:
            return list(_shared.MultiProcessCollector(None, folder).collect())
        except _UNREADABLE as error:
            _log.warning("what the workers counted cannot be read", reason=str(error))
            return ()


class _Whole(CollectorRegistry):
    def __init__(self, parts: Iterable[Iterable[Metric]]) -> None:
        super().__init__()
        self._parts = parts

    def collect(self) -> Iterator[Metric]:
        for part in self._parts:
            yield from part
