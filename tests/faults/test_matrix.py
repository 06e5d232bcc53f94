"""Every fault of the matrix is done somewhere, and what the table names is there."""

import re
from pathlib import Path

import pytest

from tests.faults.matrix import MATRIX
from tests.faults.scenarios import SCENARIOS

ROOT = Path(__file__).parents[2]
ALL = [f"F-{number:02}" for number in range(1, 53)]


def test_every_fault_of_the_matrix_has_a_place() -> None:
    assert list(MATRIX) == ALL
    assert not [id for id, place in MATRIX.items() if not place.scenarios and not place.tests]


@pytest.mark.parametrize("id", MATRIX)
def test_a_place_is_one_that_exists(id: str) -> None:
    for name in MATRIX[id].scenarios:
        assert id in SCENARIOS[name].ids.split(), f"the scenario {name} does not say that it does {id}"
    for test in MATRIX[id].tests:
        file, _, function = test.partition("::")
        assert re.search(rf"def {function}\(", (ROOT / file).read_text()), test


def test_every_fault_a_scenario_names_is_in_the_table() -> None:
    for name, scenario in SCENARIOS.items():
        for id in (id for id in scenario.ids.split() if id.startswith("F-")):
            assert name in MATRIX[id].scenarios, f"{id} does not name the scenario {name}"
