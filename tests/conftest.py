"""Fixtures of the whole run: one PostgreSQL, one migrated template for each package, a fresh database for each test."""

from collections.abc import AsyncIterator, Iterator

import pytest

from hub.db.embedded import EmbeddedPostgres, open_embedded
from tests.support.postgres import FAST, FreshDatabase, fresh_database, migrate_adapter_template, migrate_hub_template


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    with open_embedded(tmp_path_factory.mktemp("postgres"), FAST) as server:
        yield server


@pytest.fixture(scope="session")
def hub_template(postgres_server: EmbeddedPostgres) -> str:
    return migrate_hub_template(postgres_server)


@pytest.fixture(scope="session")
def adapter_template(postgres_server: EmbeddedPostgres) -> str:
    return migrate_adapter_template(postgres_server)


@pytest.fixture
async def hub_database(postgres_server: EmbeddedPostgres, hub_template: str) -> AsyncIterator[FreshDatabase]:
    async with fresh_database(postgres_server, hub_template) as database:
        yield database


@pytest.fixture
async def adapter_database(postgres_server: EmbeddedPostgres, adapter_template: str) -> AsyncIterator[FreshDatabase]:
    async with fresh_database(postgres_server, adapter_template) as database:
        yield database
