"""`python -m tests.faults [--seed N] [--kills N] [--only NAME ...]`: every fault against real processes, then the checkers.

Prints the seed, a line for each fault with its figures, and last `N passed, N failed`. Exit 1 when one failed.
"""

import argparse
import asyncio
import random
import tempfile
import time
import traceback
from pathlib import Path

from ocpi_modules import json
from tests.faults.scenarios import SCENARIOS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--kills", type=int, default=None, help="how often a process is killed in `kills`")
    parser.add_argument("--only", action="append", choices=list(SCENARIOS), help="one fault; may be repeated")
    given = parser.parse_args()
    print(f"HUB_FAULT_SEED={given.seed}", flush=True)
    failed = 0
    names = given.only or list(SCENARIOS)
    for name in names:
        failed += not _passes(name, given.seed, given.kills if name == "kills" else None)
    print(f"{len(names) - failed} passed, {failed} failed")
    return 1 if failed else 0


def _passes(name: str, seed: int, times: int | None) -> bool:
    scenario, began = SCENARIOS[name], time.monotonic()
    with tempfile.TemporaryDirectory(prefix="faults ", ignore_cleanup_errors=True) as folder:
        try:
            figures = asyncio.run(scenario.run(Path(folder), seed, times))
        except Exception:
            traceback.print_exc()
            print(f"FAILED  {name} ({scenario.ids})", flush=True)
            return False
    seconds = round(time.monotonic() - began, 1)
    print(f"passed  {name} ({scenario.ids}) {seconds} s {json.encode(figures).decode()}", flush=True)
    return True


raise SystemExit(main())
