"""One embedded PostgreSQL for a whole run of tests, and a fresh database in it for each test that asks."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from hub.db.embedded import EmbeddedPostgres
from hub.db.migrate import MIGRATIONS, SCHEMA_TABLE, upgrade

FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "300"}
ADAPTER_MIGRATIONS = Path(__file__).parents[2] / "cpo_adapter" / "storage" / "migrations"
ADAPTER_SCHEMA_TABLE = "adapter_schema_version"
NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class FreshDatabase:
    """A migrated, empty database: `app_dsn` as at run time, `owner_dsn` as migrations, `admin_dsn` as superuser."""

    name: str
    app_dsn: str
    owner_dsn: str
    admin_dsn: str


def migrate_hub_template(server: EmbeddedPostgres) -> str:
    server.ensure_database("hub_template", member_of="ocpi_hub_app", owner="hub_owner", app="hub_app")
    upgrade(server.dsn("hub_template", "hub_owner"), MIGRATIONS, SCHEMA_TABLE)
    return "hub_template"


def migrate_adapter_template(server: EmbeddedPostgres) -> str:
    server.ensure_database("adapter_template", member_of="ocpi_adapter_app", owner="adapter_owner", app="adapter_app")
    if (ADAPTER_MIGRATIONS / "env.py").exists():
        upgrade(server.dsn("adapter_template", "adapter_owner"), ADAPTER_MIGRATIONS, ADAPTER_SCHEMA_TABLE)
    return "adapter_template"


@asynccontextmanager
async def fresh_database(server: EmbeddedPostgres, template: str) -> AsyncIterator[FreshDatabase]:
    """A copy of the template, dropped at the end with whatever is still connected."""
    package = template.removesuffix("_template")
    name = f"{package}_{next(NUMBERS)}"
    owner, app = f"{package}_owner", f"{package}_app"
    admin = await asyncpg.connect(server.dsn("postgres"))
    try:
        await admin.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy OWNER {owner}")
        await admin.execute(f"REVOKE ALL ON DATABASE {name} FROM PUBLIC")
        await admin.execute(f"GRANT CONNECT ON DATABASE {name} TO {app}")
        yield FreshDatabase(name, server.dsn(name, app), server.dsn(name, owner), server.dsn(name))
    finally:
        await admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        await admin.close()
