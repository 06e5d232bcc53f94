"""A migrated database full of Locations of one owner, written by one statement."""

import contextlib
import importlib
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg

from hub.db.embedded import EmbeddedPostgres, open_embedded
from ocpi_modules import json
from tests.support import objects
from tests.support.postgres import FreshDatabase, fresh_database, migrate_hub_template

SEED = """
    INSERT INTO kept_object (owner, module, key_folded, audience, created_seq, version, last_updated, body, listed)
    SELECT 'NL*CPO', 'locations', 'LOC' || n, '*', n + 1, 1, '2026-03-01T12:00:00Z',
        convert_to(replace($2, '@', 'LOC' || n), 'UTF8'), true
    FROM generate_series(0, $1 - 1) AS n
"""


def template() -> str:
    """A Location of about 1 kB with `@` for its id."""
    small = objects.location(id="@", country_code="NL", party_id="CPO")
    wanted = (
        "country_code",
        "party_id",
        "id",
        "publish",
        "name",
        "address",
        "city",
        "country",
        "coordinates",
        "time_zone",
    )
    short = {name: small[name] for name in (*wanted, "last_updated") if name in small}
    connector = objects.connector()
    evse = {
        "uid": "E1",
        "evse_id": "NL*CPO*E1",
        "status": "AVAILABLE",
        "connectors": [connector],
        "last_updated": objects.WHEN,
    }
    return json.encode(short | {"evses": [evse]}).decode()


def id_at(offset: int) -> str:
    return f"LOC{offset}"


@contextlib.contextmanager
def server() -> Iterator[EmbeddedPostgres]:
    with (
        tempfile.TemporaryDirectory() as folder,
        open_embedded(Path(folder) / "pg", {"shared_buffers": "2GB"}) as running,
    ):
        yield running


@contextlib.asynccontextmanager
async def filled(running: EmbeddedPostgres, locations: int) -> AsyncIterator[FreshDatabase]:
    """The counters and the page map are made as the migration makes them."""
    counts = importlib.import_module("hub.db.migrations.versions.0003_lists").COUNTS
    async with fresh_database(running, migrate_hub_template(running)) as database:
        connection = await asyncpg.connect(database.admin_dsn)
        await connection.execute(SEED.replace("$1", str(locations)).replace("$2", quoted(template())))
        for statement in counts[2:]:
            await connection.execute(statement)
        await connection.execute("VACUUM ANALYZE")
        await connection.close()
        yield database


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
