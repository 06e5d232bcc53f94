"""The real migration of agreements, on a database as the program before it left it: two rows of two parties become one."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from hub.db.embedded import EmbeddedPostgres
from hub.db.migrate import upgrade
from tests.hub.db.old_database import old_database

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
async def owner(postgres_server: EmbeddedPostgres, tmp_path: Path) -> AsyncIterator[str]:
    """The owner's URL of a database as it was before agreements had dates."""
    async with old_database(postgres_server, tmp_path, BEFORE) as dsn:
        yield dsn


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
