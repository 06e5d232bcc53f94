"""A selection of `make faults` in every run: the same faults, fewer times, in two worlds instead of one each."""

from pathlib import Path

import pytest

from tests.faults.scenarios import SCENARIOS, one_after_the_other

KILLS = 25
TIMES = {
    "database crashes": 2,
    "database fails over": 1,
    "connections killed": 4,
    "commits unknown": 4,
    "network faults": 3,
    "bad answers": 3,
    "clock jumps": 2,
    "log full": 1,
    "redis breaks": 1,
}
SEED = 20_261_126


@pytest.mark.timeout(300)
@pytest.mark.rule("Q-03", "F-01", "F-02")
async def test_nothing_acknowledged_is_lost_by_kill_9(tmp_path: Path) -> None:
    print(await SCENARIOS["kills"].run(tmp_path, SEED, KILLS))


@pytest.mark.timeout(300)
@pytest.mark.rule("Q-04", "F-07", "F-09", "F-10", "F-13", "F-14", "F-23", "F-48")
async def test_nothing_acknowledged_is_lost_by_what_breaks_beside_the_hub(tmp_path: Path) -> None:
    async for name, figures in one_after_the_other(tmp_path, SEED, TIMES):
        print(name, figures)
