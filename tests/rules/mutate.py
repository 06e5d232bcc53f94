"""`python -m tests.rules.mutate [X-12 ...]`: breaks rules in a copy of the tree and runs the tests that name them.

A mutant is red when one of its rule's tests fails; tests that fail without it do not count. Exit 1 below 90 of 100.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.rules.catalogue import README
from tests.rules.collect import by_rule, collect
from tests.rules.mutants import MUTANTS, Mutant

ROOT = README.parent
COPIED = ("hub", "ocpi_modules", "cpo_adapter", "tests", "openapi", "pyproject.toml", "README.md")
MUTANT_SECONDS = 120
BASELINE_SECONDS = 900
FAILED = 1
WANTED = 0.9
QUICK_FIRST = ("tests/ocpi_modules", "tests/hub", "tests/scenarios")


def main(only: Sequence[str]) -> int:
    chosen = [mutant for mutant in MUTANTS if not only or mutant.rule in only]
    selected = {id_: sorted(nodes, key=_speed) for id_, nodes in by_rule(collect()).items()}
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        tree = Path(folder)
        copy_to(tree)
        red_already = failing(tree, sorted({node for mutant in chosen for node in selected.get(mutant.rule, ())}))
        for node in red_already:
            print(f"fails without a mutation: {node}")
        red = 0
        for mutant in chosen:
            tests = [node for node in selected.get(mutant.rule, ()) if node not in red_already]
            verdict = judge(tree, mutant, tests)
            red += verdict == "red"
            print(f"{mutant.rule:6} {verdict:9} {mutant.file}: {mutant.old.strip()[:70]!r}", flush=True)
    print(f"{red} of {len(chosen)} mutants turn a test red")
    return 0 if red >= WANTED * len(chosen) else 1


def copy_to(tree: Path) -> None:
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tree / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        else:
            shutil.copy(source, tree / name)


def failing(tree: Path, tests: Sequence[str]) -> set[str]:
    """Which of the tests fail in the untouched copy."""
    done = _pytest(tree, tests, BASELINE_SECONDS, "-rfE")
    lines = done.stdout.splitlines()
    return {line.split()[1].partition("[")[0] for line in lines if line.startswith(("FAILED ", "ERROR "))}


def judge(tree: Path, mutant: Mutant, tests: Sequence[str]) -> str:
    """`red`, `green`, `no tests`, `stale` (the text is not there once any more), `broken` (nothing could run) or `slow`."""
    path = tree / mutant.file
    before = path.read_text()
    if before.count(mutant.old) != 1:
        return "stale"
    if not tests:
        return "no tests"
    path.write_text(before.replace(mutant.old, mutant.new))
    try:
        done = _pytest(tree, tests, MUTANT_SECONDS, "-x")
    except subprocess.TimeoutExpired:
        return "slow"
    finally:
        path.write_text(before)
    return {0: "green", FAILED: "red"}.get(done.returncode, "broken")


def _pytest(tree: Path, tests: Sequence[str], seconds: int, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-B", "-m", "pytest", "--tb=no", *options, *tests]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, timeout=seconds)


def _speed(node: str) -> tuple[int, str]:
    rank = next((rank for rank, folder in enumerate(QUICK_FIRST) if node.startswith(folder)), len(QUICK_FIRST))
    return rank, node


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
