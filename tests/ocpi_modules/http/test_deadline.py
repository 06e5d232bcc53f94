"""A deadline that is moved at every request."""

from dataclasses import dataclass, field
from typing import Any

from ocpi_modules.http.deadline import Deadline


@dataclass
class Loop:
    """Time that stands still, and timers that are called when it is moved on."""

    now: float = 100.0
    timers: list[tuple[float, Any]] = field(default_factory=list)

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Any) -> Any:
        timer = (when, callback)
        self.timers.append(timer)
        return Handle(self.timers, timer)

    def wait(self, until: float) -> None:
        while due := sorted(when for when, _ in self.timers if when <= until):
            timer = next(timer for timer in self.timers if timer[0] == due[0])
            self.timers.remove(timer)
            self.now = max(self.now, timer[0])
            timer[1]()
        self.now = until


@dataclass
class Handle:
    timers: list[tuple[float, Any]]
    timer: tuple[float, Any]

    def cancel(self) -> None:
        if self.timer in self.timers:
            self.timers.remove(self.timer)


def made() -> tuple[Loop, Deadline, list[float]]:
    loop, reached = Loop(), list[float]()
    return loop, Deadline(loop, lambda: reached.append(loop.now)), reached  # type: ignore[arg-type]


def test_it_is_reached_once_at_the_moment_it_was_last_set_to() -> None:
    loop, deadline, reached = made()
    for _ in range(50):
        deadline.within(10)
        loop.wait(loop.now + 1)
    loop.wait(500)
    assert reached == [159.0]


def test_it_can_be_moved_to_an_earlier_moment() -> None:
    loop, deadline, reached = made()
    deadline.within(10)
    deadline.within(3)
    loop.wait(500)
    assert reached == [103.0]


def test_taken_off_it_is_never_reached_and_can_be_set_again() -> None:
    loop, deadline, reached = made()
    deadline.within(10)
    deadline.off()
    loop.wait(105)
    deadline.within(10)
    loop.wait(500)
    assert reached == [115.0]


def test_requests_that_follow_each_other_share_one_timer() -> None:
    loop, deadline, _ = made()
    for _ in range(1000):
        deadline.within(10)
        assert len(loop.timers) == 1
        deadline.off()


def test_closed_it_leaves_no_timer_behind() -> None:
    loop, deadline, reached = made()
    deadline.within(10)
    deadline.close()
    assert loop.timers == []
    loop.wait(500)
    assert reached == []
