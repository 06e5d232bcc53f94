"""How a process fares, noted every second; all workers together are their sum."""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge

PAUSE_SECONDS = 1.0
Number = Callable[[], int]


class Vitals:
    """`waiting`: how many writes stand in each queue; `failing`: how many loops fail; the others are numbers that only grow."""

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        waiting: Mapping[str, Number],
        failing: Number,
        standstills: Number,
        lines_dropped: Number,
        turned_away: Mapping[str, int],
        reasons: tuple[str, ...],
    ) -> None:
        gauge = partial(Gauge, registry=registry, multiprocess_mode="livesum")
        writes = gauge("ocpihub_waiting_writes", "Writes that wait for PostgreSQL, by queue", ("queue",))
        loops = gauge("ocpihub_failing_loops", "Background loops that fail; the log says why")
        still = Counter(
            "ocpihub_loop_standstills", "The event loop stood still for 2 s or more (F-49)", registry=registry
        )
        lines = Counter("ocpihub_dropped_log_lines", "Log lines that could not be written", registry=registry)
        away = Counter(
            "ocpihub_turned_away_requests",
            "Refused before they were looked at, by reason",
            ("reason",),
            registry=registry,
        )
        self._states = [(writes.labels(queue), length) for queue, length in waiting.items()] + [(loops, failing)]
        self._followers = [
            _Follower(still, standstills),
            _Follower(lines, lines_dropped),
            *(_Follower(away.labels(reason), partial(turned_away.__getitem__, reason)) for reason in reasons),
        ]

    async def run(self) -> None:
        """Note for ever."""
        while True:
            self.note()
            await asyncio.sleep(PAUSE_SECONDS)

    def note(self) -> None:
        """What is so now."""
        for gauge, number in self._states:
            gauge.set(number())
        for follower in self._followers:
            follower.follow()


class _Follower:
    """Counts by how much a number grew since it looked last; what it was before is counted already, by a hub that began anew."""

    def __init__(self, counter: Counter, number: Number) -> None:
        self._counter = counter
        self._number = number
        self._seen = number()

    def follow(self) -> None:
        now = self._number()
        self._counter.inc(now - self._seen)
        self._seen = now
