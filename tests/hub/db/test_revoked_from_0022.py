"""Tokens and debts of a database before what is revoked was marked: they go first as those that come later."""

from pathlib import Path

import asyncpg
import pytest

from hub.db.embedded import EmbeddedPostgres
from hub.db.migrate import upgrade
from tests.hub.db.old_database import old_database

OBJECTS = [
    ("tokens", "INVALID", '{"uid":"INVALID","valid":false,"whitelist":"ALLOWED"}'),
    ("tokens", "NEVER", '{"uid":"NEVER","valid":true,"whitelist":"NEVER"}'),
    ("tokens", "VALID", '{"uid":"VALID","valid":true,"whitelist":"ALLOWED","visual_number":"\\"valid\\":false"}'),
    ("locations", "LOC", '{"id":"LOC","valid":false}'),
]


@pytest.mark.rule("Q-16")
async def test_what_is_revoked_already_is_marked_and_what_a_former_program_writes_still_fits(
    postgres_server: EmbeddedPostgres, tmp_path: Path
) -> None:
    async with old_database(postgres_server, tmp_path, "0022") as owner:
        connection = await asyncpg.connect(owner)
        insert = (
            "INSERT INTO kept_object (owner, module, key_folded, audience, created_seq, version, last_updated, body) "
            "VALUES ('DE*MSP', $1, $2, '*', 1, 1, now(), convert_to($3, 'UTF8'))"
        )
        owe = (
            "INSERT INTO undelivered (party, owner, module, key_folded, audience, version, attempts, next_attempt_at, "
            "last_error) SELECT 'NL*CPO', owner, module, key_folded, audience, version, 1, now(), '' FROM kept_object"
        )
        await connection.execute(
            "INSERT INTO destination (party, platform_id, system_identifier, cursor_xid, cursor_seq) "
            "VALUES ('NL*CPO', gen_random_uuid(), 1, '0', 0)"
        )
        await connection.executemany(insert, OBJECTS)
        await connection.execute(owe)
        upgrade(owner)
        for table in ("kept_object", "undelivered"):
            rows = await connection.fetch(f"SELECT key_folded FROM {table} WHERE revoked ORDER BY key_folded")
            assert [row["key_folded"] for row in rows] == ["INVALID", "NEVER"]
        await connection.execute(insert, "tokens", "LATER", OBJECTS[0][2])
        await connection.execute("INSERT INTO delivery_worker (worker, seen_at) VALUES (gen_random_uuid(), now())")
        await connection.close()
