"""A small hub for the tests of parties, registration and clientinfo."""

from collections.abc import AsyncIterator

import pytest

from tests.hub.support import SmallHub, small_hub
from tests.support.postgres import FreshDatabase


@pytest.fixture
async def hub(hub_database: FreshDatabase) -> AsyncIterator[SmallHub]:
    async with small_hub(hub_database.app_dsn) as running:
        yield running
