# ruff: noqa: E501
"""`python -m tests.simulation.mutants [NAME ...]`: breaks delivery in a copy of the tree, and shows what notices.

What stands in SQL is broken there and must be noticed by the tests on PostgreSQL; the same mistake in the database of the
simulation must be noticed by an invariant.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from tests.rules.mutate import copy_to

SEEDS = 100
SECONDS = 300
DESTINATIONS, SENDING, WORKER = "hub/delivery/destinations.py", "hub/delivery/sending.py", "hub/delivery/worker.py"
MEMORY, REPOSITORY, LOG = (
    "tests/simulation/memory.py",
    "hub/delivery/repository.py",
    "hub/objects/changelog_repository.py",
)
OTHER_TESTS = (
    "tests/hub/delivery/test_store_contract.py",
    "tests/hub/objects/test_changelog.py",
    "tests/simulation/test_scenarios.py",
)


class Mutant(NamedTuple):
    """Replace `old`, which stands once in `file`, by `new`."""

    name: str
    file: str
    old: str
    new: str


MUTANTS = (
    Mutant(
        "no fencing",
        MEMORY,
        "return held if held is not None and held.epoch == destination.epoch else None",
        "return held",
    ),
    Mutant(
        "no fencing in SQL",
        REPOSITORY,
        '"WHERE own.party = given.party AND own.epoch = given.epoch "\n            "RETURNING own.party',
        '"WHERE own.party = given.party "\n            "RETURNING own.party',
    ),
    Mutant("sends to the end of the lease", WORKER, "SENDING_PART = 0.8", "SENDING_PART = 2.0"),
    Mutant(
        "cursor moved before success",
        DESTINATIONS,
        "if key is not None and not self._settled(key, version):",
        "if key is not None and key not in self.pending and not self._settled(key, 0):",
    ),
    Mutant("cursor on seq alone", MEMORY, "Row(Position(own.xid, self.next_seq), key", "Row(Position(0, self.next_seq), key"),
    Mutant("no snapshot bound", MEMORY, "return min(self.running, default=self.next_xid)", "return self.next_xid"),
    Mutant(
        "cursor on seq alone in SQL",
        LOG,
        '"WHERE (xid, seq) > ($1::text::xid8, $2::bigint) AND (xid, seq) <= ($3::text::xid8, $4::bigint) AND audience',
        '"WHERE seq > $2::bigint AND $1 <> $3 AND (xid, seq) <= ($3::text::xid8, $4::bigint) AND audience',
    ),
    Mutant("no snapshot bound in SQL", LOG, "AND xid < pg_snapshot_xmin(pg_current_snapshot()) ", ""),
    Mutant("two states of an object at once", DESTINATIONS, "        if key in self.in_flight:\n", "        if False:\n"),
    Mutant(
        "an old state is good for ever",
        "hub/delivery/states.py",
        "known[0].version >= version and self._clock() < known[1] + FRESH_SECONDS",
        "True",
    ),
    Mutant(
        "PATCH after an attempt",
        DESTINATIONS,
        "        self.delivered.pop(pending.key, None)\n        self._release(pending)\n        self.want(Pending(pending.key, pending.version, owed",
        "        self._release(pending)\n        self.want(Pending(pending.key, pending.version, pending.fresh, owed",
    ),
    Mutant("PATCH onto anything", DESTINATIONS, "return fresh.version == 1 or self", "return True or self"),
    Mutant(
        "entitlement asked too early",
        SENDING,
        "elif attempt is None or not self._audience.includes(destination.party, platform, pending.key):",
        "elif attempt is None:",
    ),
    Mutant("an absent receiver is remembered", SENDING, "        destination.forget()\n        destination.skipping", "        destination.skipping"),
    Mutant("a debt is settled by any version", MEMORY, "if known is None or known[0].version <= version:", "if True:"),
    Mutant("told but not read again", DESTINATIONS, "            self.unsettled.append((change.position, change.key, change.version))\n", ""),
)  # fmt: skip


def main(only: list[str]) -> int:
    chosen = [mutant for mutant in MUTANTS if not only or mutant.name in only]
    caught = 0
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        tree = Path(folder)
        copy_to(tree)
        for mutant in chosen:
            verdict = judge(tree, mutant)
            caught += verdict not in ("green", "slow")
            print(f"{mutant.name:36} {verdict}", flush=True)
    print(f"{caught} of {len(chosen)} mutants are noticed")
    return 0 if caught == len(chosen) else 1


def judge(tree: Path, mutant: Mutant) -> str:
    """The invariants or tests that turned red, or `green`."""
    path = tree / mutant.file
    before = path.read_text()
    assert before.count(mutant.old) == 1, (
        f"{mutant.name}: its text stands {before.count(mutant.old)} times in {mutant.file}"
    )
    path.write_text(before.replace(mutant.old, mutant.new))
    try:
        seeds = _run(tree, "-m", "tests.simulation", "--seeds", str(SEEDS), "--until-red")
        names = sorted(set(re.findall(r"^seed \d+: ([^:]+):", seeds.stdout, re.MULTILINE)))
        if names or seeds.returncode:
            return ", ".join(names) or "red"
        tests = _run(tree, "-m", "pytest", "--tb=no", "-rf", *OTHER_TESTS)
        return ", ".join(re.findall(r"^FAILED \S+::(\w+)", tests.stdout, re.MULTILINE)) or "green"
    except subprocess.TimeoutExpired:
        return "slow"
    finally:
        path.write_text(before)


def _run(tree: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-B", *command], cwd=tree, capture_output=True, text=True, timeout=SECONDS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
