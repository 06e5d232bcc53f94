"""What doctor says."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """`mend` is a command, or what to do where no command can."""

    level: Literal["problem", "advice"]
    what: str
    why: str
    mend: str
