"""The rules (tests/spec/rules.csv) and the exceptions from having a test (tests/spec/rule_exceptions.csv)."""

import csv
import re
from dataclasses import dataclass
from pathlib import Path

SPEC = Path(__file__).parent.parent / "spec"
README = SPEC.parent.parent / "README.md"
CHECKLIST = SPEC.parent.parent.parent / "shared" / "ocpi-checklist.md"
"""The list the rules were taken from; it lies beside the project where it exists at all."""

BINDING = {"MUST", "MUST NOT", "MUST(d)", "MUST NOT(d)"}
OURS = {"HUB", "ALL", "Receiver"}
DUE = "due: "
PROMISES = re.compile(r"[FQBV]-\d+|S-(3[1-9]|[4-9]\d)")
"""Ids of other lists that may stand in a marker; they are not counted here. The rules of Sessions end at S-30."""


@dataclass(frozen=True)
class Rule:
    id: str
    level: str
    who: str
    section: str
    title: str

    @property
    def must_be_proven(self) -> bool:
        """A binding rule that concerns the hub, a line of section G, or a choice of section U."""
        return self.level in ("GUIDANCE", "DECISION") or (
            self.level in BINDING and bool(OURS & set(self.who.split("/")))
        )


def read_rules() -> dict[str, Rule]:
    with (SPEC / "rules.csv").open() as file:
        return {row["id"]: Rule(**row) for row in csv.DictReader(file)}


def read_exceptions() -> dict[str, str]:
    """id -> reason, or `due: <topic>` for what belongs to another piece of work."""
    with (SPEC / "rule_exceptions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len({row["id"] for row in rows}) == len(rows), "an id stands twice in rule_exceptions.csv"
    return {row["id"]: row["reason"] for row in rows}
