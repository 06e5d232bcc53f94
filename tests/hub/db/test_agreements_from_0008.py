"""The real migration of agreements, on a database as the program before it left it: two rows of two parties become one."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from hub.db.embedded import EmbeddedPostgres
from hub.db.migrate import MIGRATIONS, upgrade
from tests.support.postgres import NUMBERS

BEFORE = "0008"
CASES: list[tuple[list[str], list[str], list[list[str]]]] = [
    ([], [], [[]]),
    ([], ["cdrs", "sessions"], [["cdrs", "sessions"]]),
    (["cdrs", "tokens"], [], [["cdrs", "tokens"]]),
    (["tokens", "cdrs", "sessions"], ["sessions", "locations", "cdrs"], [["cdrs", "sessions"]]),
    (["cdrs"], ["tokens"], []),
]
"""The modules of the older and of the newer agreement of two parties, and of what is left of them."""


@pytest.fixture
def old_revisions(tmp_path: Path) -> Path:
    """The migrations up to the one before agreements had dates."""
    folder = tmp_path / "old"
    (folder / "versions").mkdir(parents=True)
    shutil.copy(MIGRATIONS / "env.py", folder)
    for path in MIGRATIONS.glob("versions/[0-9]*.py"):
        if path.stem[:4] <= BEFORE:
            shutil.copy(path, folder / "versions")
    return folder


@pytest.fixture
async def owner(postgres_server: EmbeddedPostgres, old_revisions: Path) -> AsyncIterator[str]:
    """The owner's URL of a database at revision 0008."""
    name = f"old_{next(NUMBERS)}"
    postgres_server.ensure_database(name, member_of="ocpi_hub_app", owner="hub_owner", app="hub_app")
    dsn = postgres_server.dsn(name, "hub_owner")
    upgrade(dsn, old_revisions)
    yield dsn
    admin = await asyncpg.connect(postgres_server.dsn("postgres"))
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


async def migrated(owner: str, *rows: tuple[str, str, list[str], int]) -> list[tuple[Any, ...]]:
    """Rows (cpo, emsp, modules, how many days old) as they stand after all migrations."""
    connection = await asyncpg.connect(owner)
    try:
        await connection.executemany(
            "INSERT INTO agreement (cpo, emsp, modules, created_at) VALUES ($1, $2, $3, now() - $4 * interval '1 day')",
            rows,
        )
        upgrade(owner)
        found = await connection.fetch("SELECT cpo, emsp, modules FROM agreement ORDER BY cpo, emsp")
        return [(row["cpo"], row["emsp"], row["modules"]) for row in found]
    finally:
        await connection.close()


@pytest.mark.rule("Q-16")
async def test_what_only_one_of_two_agreements_allowed_is_allowed_no_more(owner: str) -> None:
    """No module means all of them: where the two have none in common, no agreement is left."""
    others = [("NL*CPO", "FR*OTH", ["cdrs"]), ("NL*OWN", "NL*OWN", [])]
    before = [(cpo, emsp, given, 1) for cpo, emsp, given in others]
    after = list(others)
    for number, (older, newer, merged) in enumerate(CASES):
        for one, other in ((f"NL*A{number}X", f"DE*B{number}X"), (f"NL*C{number}X", f"BE*D{number}X")):
            before += [(other, one, newer, 1), (one, other, older, 2)]
            after += [(one, other, modules) for modules in merged]
    assert await migrated(owner, *before) == sorted(after)
