"""The tables as the code describes them are the tables as the migrations make them."""

import asyncpg
import pytest
from sqlalchemy import MetaData

from hub.agreements import tables as agreements
from hub.clearing import tables as clearing
from hub.clientinfo import tables as clientinfo
from hub.delivery import tables as delivery
from hub.objects import tables as objects
from hub.pulls import tables as pulls
from hub.retention import tables as retention
from hub.routing import tables as routing
from hub.traces import tables as traces
from tests.support.postgres import FreshDatabase


@pytest.mark.parametrize(
    "metadata",
    [m.METADATA for m in (agreements, clearing, clientinfo, delivery, objects, pulls, retention, routing, traces)],
)
async def test_columns_keys_and_nullability_agree(hub_database: FreshDatabase, metadata: MetaData) -> None:
    connection = await asyncpg.connect(hub_database.owner_dsn)
    try:
        for table in metadata.tables.values():
            rows = await connection.fetch(
                "SELECT column_name, is_nullable FROM information_schema.columns WHERE table_name = $1", table.name
            )
            assert {row["column_name"]: row["is_nullable"] == "YES" for row in rows} == {
                column.name: bool(column.nullable) for column in table.columns
            }
            keys = await connection.fetch(
                "SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey) "
                "WHERE i.indrelid = $1::regclass AND i.indisprimary",
                table.name,
            )
            assert {row["attname"] for row in keys} == {column.name for column in table.primary_key}
    finally:
        await connection.close()
