"""The method tables of every module, asked of the hub: what is not offered at a path is 405 and names what is."""

import csv
from collections import defaultdict
from pathlib import Path

import pytest

from tests.scenarios.conftest import EMSP, World

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
RULES = {
    ("locations", "SENDER"): ["L-14"],
    ("locations", "RECEIVER"): ["L-17", "X-52", "X-53"],
    ("sessions", "SENDER"): ["S-07"],
    ("sessions", "RECEIVER"): ["S-08", "S-02"],
    ("cdrs", "SENDER"): ["D-17"],
    ("cdrs", "RECEIVER"): ["D-17", "D-14"],
    ("tariffs", "RECEIVER"): ["T-03"],
    ("tokens", "RECEIVER"): ["K-02"],
    ("chargingprofiles", "SENDER"): ["G-66"],
}


def offered() -> list[object]:
    """(module, interface, path, the methods of the specification) of every path, `tests/spec/endpoints.csv` turned round."""
    found: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    with (Path(__file__).parent.parent / "spec" / "endpoints.csv").open() as file:
        for row in csv.DictReader(file):
            if row["module"] not in ("versions", "credentials"):
                path = "/".join("X" if part.startswith("{") else part for part in row["path"].split("/"))
                found[row["module"], row["interface"], path].add(row["method"])
    return [
        pytest.param(
            *place,
            methods,
            marks=[pytest.mark.rule(*RULES[place[:2]])] if place[:2] in RULES else [],
            id="-".join(part.strip("/").replace("/", "_") for part in place),
        )
        for place, methods in found.items()
    ]


@pytest.mark.rule("X-75", "X-18")
@pytest.mark.parametrize(("module", "interface", "path", "methods"), offered())
async def test_a_path_takes_the_methods_of_the_specification_and_no_others(
    world: World, module: str, interface: str, path: str, methods: set[str]
) -> None:
    url = f"/{interface.lower()}/{module}{path}"
    for method in METHODS:
        body = b"{}" if method in ("POST", "PUT", "PATCH") else b""
        answer = await world.call(world.cpo, method, url, body, to=EMSP)
        if method in methods:
            assert answer.http_status != 405 or (module, interface) == ("hubclientinfo", "RECEIVER"), method
        else:
            assert answer.http_status == 405, method
            assert set(answer.headers["allow"].split(", ")) == methods
            assert answer.status_code == 2000
    assert {seen.method for seen in world.emsp.received(module=module)} <= methods
