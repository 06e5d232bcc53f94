"""A selection of `make faults` in every run: the same faults, fewer times."""

from pathlib import Path

import pytest

from tests.faults.scenarios import SCENARIOS

TIMES = {"kills": 25, "database crashes": 3, "connections killed": 5, "network faults": 3, "bad answers": 4}
SEED = 20_261_126


@pytest.mark.timeout(300)
@pytest.mark.rule("Q-03", "Q-04", "F-01", "F-02", "F-07", "F-09", "F-18", "F-23")
@pytest.mark.parametrize("name", TIMES)
async def test_nothing_acknowledged_is_lost(name: str, tmp_path: Path) -> None:
    print(await SCENARIOS[name].run(tmp_path, SEED, TIMES[name]))
