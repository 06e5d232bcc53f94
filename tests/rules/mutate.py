"""`python -m tests.rules.mutate [X-12 ...]`: breaks rules in a copy of the tree and runs the tests that name them.

A mutant is red when one of its rule's tests fails; tests that fail without it do not count. Exit 1 below 90 of 100.
"""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.rules.collect import by_rule, collect
from tests.rules.mutants import MUTANTS
from tests.support.mutation import GREEN, copy_to, judge, run

MUTANT_SECONDS = 120
BASELINE_SECONDS = 900
FAILED = 1
WANTED = 0.9
QUICK_FIRST = ("tests/ocpi_modules", "tests/hub", "tests/scenarios")


def main(only: Sequence[str]) -> int:
    chosen = [mutant for mutant in MUTANTS if not only or mutant.name in only]
    selected = {id_: sorted(nodes, key=_speed) for id_, nodes in by_rule(collect()).items()}
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        tree = Path(folder)
        copy_to(tree)
        red_already = failing(tree, sorted({node for mutant in chosen for node in selected.get(mutant.name, ())}))
        for node in red_already:
            print(f"fails without a mutation: {node}")
        red = 0
        for mutant in chosen:
            tests = [node for node in selected.get(mutant.name, ()) if node not in red_already]
            verdict = judge(tree, mutant, lambda tests=tests: _verdict(tree, tests))  # type: ignore[misc]
            red += verdict == "red"
            print(f"{mutant.name:6} {verdict:9} {mutant.file}: {mutant.old.strip()[:70]!r}", flush=True)
    print(f"{red} of {len(chosen)} mutants turn a test red")
    return 0 if red >= WANTED * len(chosen) else 1


def failing(tree: Path, tests: Sequence[str]) -> set[str]:
    """Which of the tests fail in the untouched copy."""
    done = _pytest(tree, tests, BASELINE_SECONDS, "-rfE")
    lines = done.stdout.splitlines()
    return {line.split()[1].partition("[")[0] for line in lines if line.startswith(("FAILED ", "ERROR "))}


def _verdict(tree: Path, tests: Sequence[str]) -> str:
    """`red`, `green`, `no tests` or `broken` (nothing could run)."""
    if not tests:
        return "no tests"
    done = _pytest(tree, tests, MUTANT_SECONDS, "-x")
    return {0: GREEN, FAILED: "red"}.get(done.returncode, "broken")


def _pytest(tree: Path, tests: Sequence[str], seconds: int, *options: str) -> "subprocess.CompletedProcess[str]":
    return run(tree, seconds, "-m", "pytest", "--tb=no", *options, *tests)


def _speed(node: str) -> tuple[int, str]:
    rank = next((rank for rank, folder in enumerate(QUICK_FIRST) if node.startswith(folder)), len(QUICK_FIRST))
    return rank, node


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
