"""An adapter that does not run, and its clock."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cpo_adapter.app import Adapter, create_adapter
from cpo_adapter.storage import token_repository
from ocpi_modules import json
from tests.cpo_adapter.running_adapter import settings_of, token
from tests.cpo_adapter.still_adapter import AT, Clock
from tests.support.postgres import FreshDatabase


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def adapter(adapter_database: FreshDatabase, tmp_path: Path, clock: Clock) -> AsyncIterator[Adapter]:
    """Built but not running: the test calls what the loops would."""
    adapter = await create_adapter(settings_of(adapter_database, tmp_path), clock)
    async with adapter.database.connection() as connection:
        await token_repository.put_token(connection, "DE", "EMS", "driver01", "APP_USER", json.encode(token()), AT)
    yield adapter
    await adapter.close()
