"""What the senders did and what they were told: the ground the checkers stand on, apart from anything the hub says of itself."""

from dataclasses import dataclass, field

from tests.faults.states import State

Key = tuple[str, str]
"""Module and id."""


@dataclass(frozen=True)
class Acknowledged:
    """`state` is None for an object that was deleted; `number` counts what was acknowledged."""

    state: State | None
    number: int


@dataclass
class History:
    """`objects`: the last state of each object that was answered 1000; `cdrs`: SHA-256 and canonical hash of each CDR, by id.

    `answers` counts (module, HTTP status, OCPI status); status 0 stands for a connection that broke or a time that ran out.
    """

    objects: dict[Key, Acknowledged] = field(default_factory=dict)
    cdrs: dict[str, tuple[bytes, bytes]] = field(default_factory=dict)
    answers: dict[tuple[str, int, int], int] = field(default_factory=dict)
    slowest: float = 0.0
    number: int = 0
    succeeded: int = 0
    """How many requests were answered 1000."""

    def acknowledged(self, key: Key, state: State | None) -> None:
        self.number += 1
        self.objects[key] = Acknowledged(state, self.number)

    def answered(self, module: str, http_status: int, status_code: int, seconds: float) -> None:
        key = (module, http_status, status_code)
        self.answers[key] = self.answers.get(key, 0) + 1
        self.succeeded += status_code == 1000
        self.slowest = max(self.slowest, seconds)

    def standing(self, *modules: str, since: int = 0) -> dict[Key, State]:
        """What there is of these modules, of what was acknowledged after `since`."""
        found = {key: last for key, last in self.objects.items() if key[0] in modules and last.number > since}
        return {key: last.state for key, last in found.items() if last.state is not None}

    @property
    def unanswered(self) -> int:
        return sum(count for (_, http_status, _), count in self.answers.items() if http_status == 0)
