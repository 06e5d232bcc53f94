"""`python -m tests.simulation [--seeds N] [--first SEED]`: lives through N seeds; prints each that fails and how to repeat it."""

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.invariants import Violated
from tests.simulation.world import simulate


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seeds", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--until-red", action="store_true", help="end at the first that fails")
    given = parser.parse_args()
    seeds = range(given.first, given.first + given.seeds)
    failed, spent, pushes = 0, [], 0
    with ProcessPoolExecutor(given.processes) as pool:
        for seed, sentence, seconds, sent in pool.map(one, seeds, chunksize=4):
            spent.append(seconds)
            pushes += sent
            if sentence:
                failed += 1
                print(
                    f"seed {seed}: {sentence}\n  again: python -m tests.simulation --first {seed} --seeds 1", flush=True
                )
                if given.until_red:
                    pool.shutdown(wait=False, cancel_futures=True)
                    break
    mean, most = sum(spent) / len(spent), max(spent)
    print(f"{pushes} pushes; CPU seconds a seed: mean {mean:.3f}, most {most:.3f}")
    print(f"{len(spent) - failed} passed, {failed} failed")
    return 1 if failed else 0


def one(seed: int) -> tuple[int, str, float, int]:
    """(seed, what was violated or nothing, CPU seconds, pushes)."""
    began, pushes, sentence = time.process_time(), 0, ""
    try:
        pushes = simulate(seed)
    except Violated as violated:
        sentence = str(violated)
    return seed, sentence, time.process_time() - began, pushes


if __name__ == "__main__":
    sys.exit(main())
