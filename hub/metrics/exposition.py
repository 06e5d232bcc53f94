"""The metrics of this process, or those of all workers of one parent, who share a folder of small files.

prometheus_client looks for the folder in the environment. A worker writes under a name that its parent gave it and gives to
nobody else while it lives; its successor goes on where it ended, so that there are never more files than two for a worker.
"""

import os
from collections.abc import Iterable, Iterator
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST as CONTENT_TYPE
from prometheus_client import CollectorRegistry, disable_created_metrics, generate_latest, multiprocess, values
from prometheus_client.core import Metric

__all__ = ["CONTENT_TYPE", "FOLDER", "Exposition", "forget", "share_as"]

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_shared: Any = multiprocess
_values: Any = values
"""Neither has types."""
disable_created_metrics()  # type: ignore[no-untyped-call]


def share_as(name: str) -> None:
    """From now on count in a file of this name, in the folder; before anything is counted."""
    _values.ValueClass = _values.MultiProcessValue(lambda: name)


def forget(name: str, folder: str) -> None:
    """What a worker that ended had at the moment; what it counted stays."""
    _shared.mark_process_dead(name, folder)


class Exposition:
    """Whatever counts registers at `registry`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

    def text(self, facts: Iterable[Metric]) -> bytes:
        """In the text format of Prometheus, with `facts` behind what was counted."""
        return generate_latest(_Whole([self._counted(), facts]))

    def _counted(self) -> Iterable[Metric]:
        folder = os.environ.get(FOLDER)
        if not folder:
            return self.registry.collect()
        collected: Iterable[Metric] = _shared.MultiProcessCollector(None, folder).collect()
        return collected


class _Whole(CollectorRegistry):
    def __init__(self, parts: Iterable[Iterable[Metric]]) -> None:
        super().__init__()
        self._parts = parts

    def collect(self) -> Iterator[Metric]:
        for part in self._parts:
            yield from part
