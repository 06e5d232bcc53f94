"""A copy of the tree with one thing broken in it, and what somebody who looks at it says."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
COPIED = ("hub", "ocpi_modules", "cpo_adapter", "tests", "openapi", "pyproject.toml", "README.md")
GREEN, STALE, SLOW = "green", "stale", "slow"
"""Nothing noticed; the text to be replaced does not stand there once any more; it took too long."""


class Mutant(NamedTuple):
    """Replace `old`, which stands once in `file`, by `new`. `name`: the rule this breaks, or the mistake it is."""

    name: str
    file: str
    old: str
    new: str


def copy_to(tree: Path) -> None:
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tree / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        else:
            shutil.copy(source, tree / name)


def judge(tree: Path, mutant: Mutant, look: Callable[[], str]) -> str:
    """What `look` says while the mutant is in the copy, or that it is stale or slow."""
    path = tree / mutant.file
    before = path.read_text()
    if before.count(mutant.old) != 1:
        return STALE
    path.write_text(before.replace(mutant.old, mutant.new))
    try:
        return look()
    except subprocess.TimeoutExpired:
        return SLOW
    finally:
        path.write_text(before)


def run(tree: Path, seconds: int, *command: str) -> "subprocess.CompletedProcess[str]":
    """Python in the copy; so are the processes it starts. Raises TimeoutExpired."""
    return subprocess.run(
        [sys.executable, "-B", *command],
        cwd=tree,
        env=os.environ | {"PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
        timeout=seconds,
    )
