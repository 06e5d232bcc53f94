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

CHARGE = """INSERT INTO charge (session_id, charger_key, connector_id, transaction_id, start_key, state, opening, answer,
                held_because, created_at)
            VALUES (gen_random_uuid(), 'cp-1', 1, $1, 'start ' || $1::integer, $2, '', '', $3, now())"""


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


async def test_a_database_of_the_first_program_keeps_its_charges_and_looks_up_what_was_held(
    adapter_database: FreshDatabase,
) -> None:
    held = "It began while the charger was offline, with a token that nobody here knows."
    connection = await asyncpg.connect(adapter_database.owner_dsn)
    try:
        await connection.execute("ALTER TABLE charge DROP answer_undelivered, DROP look_up_at, DROP lookups")
        await connection.execute(
            "DROP INDEX charge_held, charge_of_charger; UPDATE adapter_schema_version SET version_num = '0001'"
        )
        assert await migrate.pending(adapter_database.app_dsn) == ["0002", "0003"]
        for number, reason in enumerate([held, "Held for an operator: no start was received.", None]):
            await connection.execute(CHARGE, number, "HELD" if reason else "OPEN", reason)
        await migrate.upgrade(adapter_database.owner_dsn)
        await connection.execute(CHARGE, 3, "OPEN", None)
        rows = await connection.fetch("SELECT * FROM charge ORDER BY transaction_id")
    finally:
        await connection.close()
    assert [row["look_up_at"] is not None for row in rows] == [True, False, False, False]
    assert {(row["answer_undelivered"], row["lookups"]) for row in rows} == {(False, 0)}
