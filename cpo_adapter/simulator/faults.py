"""What can go wrong with a charger, on order: each fault happens as often as it was asked for, then never again."""

from collections import Counter
from enum import StrEnum


class Fault(StrEnum):
    """`cut_before`: the socket dies instead of sending. `cut_after`: it dies before the answer is read. `duplicate`: the same
    message once more after its answer. `truncate`: a cut-off copy of the frame goes out first."""

    cut_before = "cut_before"
    cut_after = "cut_after"
    duplicate = "duplicate"
    truncate = "truncate"


class Faults:
    """The faults still to come, by kind and action."""

    def __init__(self) -> None:
        self._coming: Counter[tuple[Fault, str]] = Counter()

    def order(self, fault: Fault | str, action: str, times: int = 1) -> None:
        """Let `fault` happen to the next `times` messages of this action. Raises ValueError for an unknown fault."""
        self._coming[(Fault(fault), action)] += times

    def take(self, fault: Fault, action: str) -> bool:
        """True when this fault is due now; it is then used up."""
        if self._coming[(fault, action)] <= 0:
            return False
        self._coming[(fault, action)] -= 1
        return True
