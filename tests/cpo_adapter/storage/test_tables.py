"""The migrations make what tables.py says."""

import asyncpg

from cpo_adapter.storage import migrate
from cpo_adapter.storage.tables import METADATA
from tests.support.postgres import FreshDatabase

COLUMNS = """SELECT table_name, column_name, is_nullable = 'YES' AS nullable FROM information_schema.columns
             WHERE table_schema = 'public' AND table_name <> 'adapter_schema_version'"""
KEYS = """SELECT conrelid::regclass::text AS name, array_agg(attname::text ORDER BY attname) AS columns
          FROM pg_constraint JOIN pg_attribute ON attrelid = conrelid AND attnum = ANY(conkey)
          WHERE contype = 'p' AND connamespace = 'public'::regnamespace GROUP BY conrelid"""


async def test_the_migrations_make_the_tables(adapter_database: FreshDatabase) -> None:
    connection = await asyncpg.connect(adapter_database.owner_dsn)
    try:
        columns = {(row["table_name"], row["column_name"], row["nullable"]) for row in await connection.fetch(COLUMNS)}
        keys = {row["name"]: row["columns"] for row in await connection.fetch(KEYS)}
    finally:
        await connection.close()
    said = {
        (table.name, column.name, bool(column.nullable))
        for table in METADATA.tables.values()
        for column in table.columns
    }
    assert columns == said
    keys.pop("adapter_schema_version")
    assert keys == {name: sorted(c.name for c in table.primary_key) for name, table in METADATA.tables.items()}


async def test_migrating_twice_changes_nothing_and_the_program_sees_it_is_done(adapter_database: FreshDatabase) -> None:
    await migrate.upgrade(adapter_database.owner_dsn)
    assert await migrate.pending(adapter_database.app_dsn) == []
