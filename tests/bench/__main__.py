"""`python -m tests.bench [B-6 ...]`: one JSON line for each goal. Nothing here is asserted but that answers are right."""

import json
import sys
from collections.abc import Callable, Iterator
from itertools import chain

from tests.bench import (
    catching_up,
    deep_pages,
    fan_out,
    one_of_hundred,
    pages_over_http,
    promised,
    routed,
    stored,
    two_workers,
)
from tests.bench.rounds import Line

GOALS: dict[str, Callable[[], Iterator[Line]]] = {
    "B-1": routed.run_b1,
    "B-2": routed.run_b2,
    "B-3": routed.run_b3,
    "B-4": stored.run,
    "B-5": fan_out.run,
    "B-6": deep_pages.run,
    "B-7": pages_over_http.run,
    "B-8": lambda: chain(two_workers.run(), one_of_hundred.run()),
    "B-10": catching_up.run,
    "promises": promised.run,
}


def main(wanted: list[str]) -> int:
    unknown = [name for name in wanted if name not in GOALS]
    if unknown:
        print(f"There is no benchmark {', '.join(unknown)}; there are {', '.join(GOALS)}.", file=sys.stderr)
        return 2
    for name in wanted or GOALS:
        for line in GOALS[name]():
            print(json.dumps(line.document), flush=True)
    return 0


sys.exit(main(sys.argv[1:]))
