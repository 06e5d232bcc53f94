"""What the senders did and what they were told: the ground the checkers stand on, apart from anything the hub says of itself."""

from dataclasses import dataclass, field


@dataclass
class History:
    """`acknowledged`: the last body of each object (module, id) that was answered 1000; `cdrs` likewise, by id.

    `answers` counts (module, HTTP status, OCPI status); status 0 stands for a connection that broke or a time that ran out.
    """

    acknowledged: dict[tuple[str, str], bytes] = field(default_factory=dict)
    cdrs: dict[str, bytes] = field(default_factory=dict)
    answers: dict[tuple[str, int, int], int] = field(default_factory=dict)
    slowest: float = 0.0

    def answered(self, module: str, http_status: int, status_code: int, seconds: float) -> None:
        key = (module, http_status, status_code)
        self.answers[key] = self.answers.get(key, 0) + 1
        self.slowest = max(self.slowest, seconds)

    @property
    def unanswered(self) -> int:
        return sum(count for (_, http_status, _), count in self.answers.items() if http_status == 0)
