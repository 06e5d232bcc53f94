"""How long to wait after failures, and how many pushes may be under way at once. Pure (Q-01, Q-08, Q-10, Q-11)."""

from dataclasses import dataclass

FAILURES_UNTIL_OPEN = 3
QUICK_SECONDS = 1.0
STEP_SECONDS = 30.0
FIRST_HOUR_SECONDS = 300.0
LATER_SECONDS = 900.0
JITTER = 0.2
MOST_RETRY_AFTER_SECONDS = 3600.0
OBJECT_SECONDS = (2.0, 30.0)
"""Before the second and the third attempt at an object that was refused; then it is quarantined."""
MOST_DAYS = 5
"""Until an operator is told of what was tried all the time (Q-01)."""


def opens(failures: int) -> bool:
    """Whether this many failures in a row stop everything but probes (F-15)."""
    return failures >= FAILURES_UNTIL_OPEN


def destination_delay(failures: int, seconds_failing: float, chance: float, retry_after: float | None = None) -> float:
    """Seconds until the next attempt: 30 s a step up to 5 minutes, after an hour 15 minutes, spread by 20 %.

    `chance` is random in [0, 1). `retry_after` is what the receiver asked for, obeyed up to an hour (F-23).
    """
    if retry_after is not None:
        return min(max(retry_after, QUICK_SECONDS), MOST_RETRY_AFTER_SECONDS)
    if not opens(failures):
        delay = QUICK_SECONDS * failures
    elif seconds_failing >= 3600:
        delay = LATER_SECONDS
    else:
        delay = min(STEP_SECONDS * (failures - FAILURES_UNTIL_OPEN + 1), FIRST_HOUR_SECONDS)
    return delay * (1 + JITTER * (2 * chance - 1))


def object_delay(attempts: int, chance: float) -> float | None:
    """Seconds until a refused object is tried again; None: not before it changes or an operator says so."""
    if attempts > len(OBJECT_SECONDS):
        return None
    return OBJECT_SECONDS[attempts - 1] * (1 + JITTER * (2 * chance - 1))


def passing_delay(attempts: int, chance: float) -> float | None:
    """Seconds until an object is tried again that a hub could not bring to its receiver, while others arrive: as one that was
    refused, then as a destination that fails. None after five days, when an operator is told (Q-01)."""
    quick, first_hour = len(OBJECT_SECONDS), int(3600 / FIRST_HOUR_SECONDS)
    if attempts <= quick:
        return object_delay(attempts, chance)
    if attempts > quick + first_hour + MOST_DAYS * 86_400 / LATER_SECONDS:
        return None
    delay = FIRST_HOUR_SECONDS if attempts <= quick + first_hour else LATER_SECONDS
    return delay * (1 + JITTER * (2 * chance - 1))


def spread(backlogged: int, chance: float) -> float:
    """Seconds a destination waits before it begins again after an outage of ours: over min(30 s, ten a second)."""
    return chance * min(30.0, backlogged / 10)


@dataclass
class Concurrency:
    """Pushes under way to one destination: one more for every 20 successes, half after a timeout."""

    limit: int = 4
    most: int = 20
    successes: int = 0

    def succeeded(self) -> None:
        self.successes += 1
        if self.successes >= 20:
            self.successes = 0
            self.limit = min(self.limit + 1, self.most)

    def timed_out(self) -> None:
        self.successes = 0
        self.limit = max(1, self.limit // 2)
