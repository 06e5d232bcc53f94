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
from tests.faults.scenarios import SCENARIOS, CannotBeDone


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--kills", type=int, default=None, help="how often a process is killed in `kills`")
    parser.add_argument("--only", action="append", choices=list(SCENARIOS), help="one fault; may be repeated")
    given = parser.parse_args()
    print(f"HUB_FAULT_SEED={given.seed}", flush=True)
    names = given.only or list(SCENARIOS)
    ends = [_end(name, given.seed, given.kills if name == "kills" else None) for name in names]
    skipped = f", {ends.count('skipped')} skipped" if "skipped" in ends else ""
    print(f"{ends.count('passed')} passed, {ends.count('FAILED')} failed{skipped}")
    return 1 if "FAILED" in ends else 0


def _end(name: str, seed: int, times: int | None) -> str:
    scenario, began, said = SCENARIOS[name], time.monotonic(), ""
    with tempfile.TemporaryDirectory(prefix="faults ", ignore_cleanup_errors=True) as folder:
        try:
            said, end = json.encode(asyncio.run(scenario.run(Path(folder), seed, times))).decode(), "passed"
        except CannotBeDone as reason:
            said, end = str(reason), "skipped"
        except Exception:
            traceback.print_exc()
            end = "FAILED"
    print(f"{end}  {name} ({scenario.ids}) {time.monotonic() - began:.1f} s {said}", flush=True)
    return end


raise SystemExit(main())
