"""One run through one party's list, as a value: where it stands and what it found."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from ocpi_modules.message import PartyId
from ocpi_modules.spec import ModuleID

PROGRESS = (
    "look", "next_url", "received", "pages", "objects", "changed", "vanished", "refused", "unnamed", "failures", "said", "flag",
)  # fmt: skip
FIRST, SECOND, TAKING_OUT = 1, 2, 3
"""The looks of a run; see `hub.pulls.tables.PullRow.look`."""


@dataclass(frozen=True)
class Run:
    """Counters are of the whole run but `received`, which counts the objects of this look."""

    party: PartyId
    module: ModuleID
    epoch: int
    whole: bool
    by_hand: bool
    began_at: datetime
    date_from: datetime | None
    look: int = FIRST
    next_url: str | None = None
    received: int = 0
    pages: int = 0
    objects: int = 0
    changed: int = 0
    vanished: int = 0
    refused: int = 0
    unnamed: int = 0
    failures: int = 0
    said: str = ""
    flag: str = ""

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "Run":
        names = {item.name for item in fields(cls)} - {"party", "module"}
        own = {name: row[name] for name in names}
        return cls(party=PartyId.read(row["party"]), module=ModuleID(row["module"]), **own)

    @property
    def key(self) -> tuple[str, str, int]:
        """(party, module, epoch), as every statement about it begins."""
        return str(self.party), str(self.module), self.epoch

    @property
    def progress(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in PROGRESS)
