"""How sides are measured: in turns, several rounds, the median of each."""

import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

ROUNDS = 5
_CORES = "BENCH_CORES"
if hasattr(os, "sched_getaffinity"):
    os.environ.setdefault(_CORES, ",".join(map(str, sorted(os.sched_getaffinity(0)))))
"""What there was before anything was pinned: told to the processes started from here, which inherit their starter's one core."""


@dataclass(frozen=True)
class Line:
    """One goal: `ratio` is ours / other; the goal is a most where `lower_is_better`, else a least.

    `other` is None where the other side is not installed here.
    """

    id: str
    ours: float
    other: float | None
    unit: str
    goal: float
    lower_is_better: bool

    @property
    def document(self) -> dict[str, object]:
        ratio = None if self.other is None else self.ours / self.other
        met = None if ratio is None else ratio <= self.goal if self.lower_is_better else ratio >= self.goal
        figures = {
            "ours": round(self.ours, 1),
            "other": None if self.other is None else round(self.other, 1),
            "unit": self.unit,
            "ratio": None if ratio is None else round(ratio, 4),
        }
        return {"id": self.id, **figures, "goal": self.goal, "met": met}


Side = TypeVar("Side")


async def interleaved(sides: Mapping[Side, Callable[[], Awaitable[float]]], rounds: int = ROUNDS) -> dict[Side, float]:
    """The median figure of each side; the first round only warms up."""
    figures: dict[Side, list[float]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        for name, measure in sides.items():
            figure = await measure()
            if number:
                figures[name].append(figure)
    return {name: median(values) for name, values in figures.items()}


def pin(core: int, pid: int = 0) -> None:
    """Keep a process, and what it starts from now on, on one core, where the machine has several."""
    if hasattr(os, "sched_setaffinity"):
        cores = os.environ[_CORES].split(",")
        os.sched_setaffinity(pid, {int(cores[core % len(cores)])})


def cpu_seconds(pid: int) -> float:
    """What the first thread of a process has used so far (Linux)."""
    with open(f"/proc/{pid}/schedstat", encoding="ascii") as file:
        return int(file.read().split()[0]) / 1e9
