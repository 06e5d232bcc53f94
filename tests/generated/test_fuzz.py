"""A short fuzz run; `make fuzz` is the long one."""

from pathlib import Path
from random import Random

from tests.generated.calls import Generator
from tests.generated.fuzz import run
from tests.generated.hostile import break_it
from tests.generated.platforms import Platform
from tests.hub.network import CPO, EMSP
from tests.support.hub_process import HubProcess
from tests.support.postgres import FreshDatabase

REQUESTS = 1500


async def test_generated_requests_meet_no_unhandled_error(tmp_path: Path, hub_database: FreshDatabase) -> None:
    hub = HubProcess(tmp_path, hub_database.app_dsn, hub_database.owner_dsn, HUB_DEFAULT_POLICY="open")
    seed = Random().getrandbits(32)
    with hub.serving():
        report = await run(hub, REQUESTS, seed)
    shown = "\n".join([f"seed {seed}", *report.lines()])
    assert report.requests == REQUESTS, shown
    assert not report.unhandled, shown
    assert report.passed >= REQUESTS / 2, shown
    assert len(report.http) >= 4, shown


def test_the_same_seed_makes_the_same_requests() -> None:
    def requests() -> list[bytes]:
        platforms = [Platform({CPO: {"CPO"}}, "a", 1), Platform({EMSP: {"EMSP"}}, "b", 2)]  # type: ignore[dict-item]
        generator = Generator(platforms, 7, break_it)
        return [generator.call(number).wire() for number in range(200)]

    assert requests() == requests()
