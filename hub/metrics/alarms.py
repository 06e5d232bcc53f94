"""What an operator is told aloud, in the log and as a number."""

from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry, Counter


class Alarms:
    """Called with an event, which is one of few, and what the log says of it."""

    def __init__(self, registry: CollectorRegistry, log: Callable[..., Any]) -> None:
        self._log = log
        self._told = Counter("ocpihub_alarms", "Alarms in the log, by event", ("event",), registry=registry)

    def __call__(self, event: str, **fields: Any) -> None:
        self._told.labels(event).inc()
        self._log(event, **fields)
