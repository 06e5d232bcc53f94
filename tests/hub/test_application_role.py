"""Whoever logs in, the hub runs with the rights of the application only: CDRs are insert-only for it (contracts 3, Roles)."""

import asyncpg
import pytest

from hub.app import APPLICATION_ROLE
from hub.db.engine import Database, open_pool
from tests.support.postgres import FreshDatabase


@pytest.mark.parametrize("login", ["admin_dsn", "app_dsn"])
@pytest.mark.parametrize("statement", ["UPDATE cdr SET body = ''", "DELETE FROM cdr", "DELETE FROM cdr_identity"])
async def test_no_login_may_change_a_cdr(hub_database: FreshDatabase, login: str, statement: str) -> None:
    pool = await open_pool(getattr(hub_database, login), application_name="test", role=APPLICATION_ROLE)
    database = Database(pool)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with database.connection() as connection:
                await connection.execute(statement)
    finally:
        await database.close()
