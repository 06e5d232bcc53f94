"""A database as a program before this one left it."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

from hub.db.embedded import EmbeddedPostgres
from hub.db.migrate import MIGRATIONS, upgrade
from tests.support.postgres import NUMBERS


@asynccontextmanager
async def old_database(server: EmbeddedPostgres, folder: Path, revision: str) -> AsyncIterator[str]:
    """The owner's URL of a database at this revision (`0008`); `folder` is for the migrations up to it."""
    old = folder / "old"
    (old / "versions").mkdir(parents=True)
    shutil.copy(MIGRATIONS / "env.py", old)
    for path in MIGRATIONS.glob("versions/[0-9]*.py"):
        if path.stem[:4] <= revision:
            shutil.copy(path, old / "versions")
    name = f"old_{next(NUMBERS)}"
    server.ensure_database(name, member_of="ocpi_hub_app", owner="hub_owner", app="hub_app")
    dsn = server.dsn(name, "hub_owner")
    upgrade(dsn, old)
    yield dsn
    admin = await asyncpg.connect(server.dsn("postgres"))
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()
