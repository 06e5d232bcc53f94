"""One hub for this folder, with one worker and with four, and the eight platforms that registered with it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from hub.db.embedded import EmbeddedPostgres
from tests.scenarios.eight.platforms import Eight, eight_platforms
from tests.support.hub_process import HubProcess
from tests.support.postgres import fresh_database

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The platforms live as long as the run, and so must the loop they live in."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session", params=[1, 4], ids=["one worker", "four workers"])
async def eight(
    request: pytest.FixtureRequest,
    postgres_server: EmbeddedPostgres,
    hub_template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Eight]:
    """Every test uses objects of its own, so that none needs to clear up after another."""
    async with fresh_database(postgres_server, hub_template) as database:
        folder = tmp_path_factory.mktemp("eight")
        hub = HubProcess(folder, database.app_dsn, database.owner_dsn, HUB_DEFAULT_POLICY="open")
        with hub.serving("--workers", str(request.param)):
            async with eight_platforms(hub, request.param) as platforms:
                yield platforms
