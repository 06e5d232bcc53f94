"""doctor on a database that is ill in every way it knows; each finding names what, why and the command."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from hub.admin import doctor
from hub.admin.doctor import examine
from hub.admin.finding import Finding
from hub.db.engine import Database
from hub.parties.directory import Directory
from tests.hub.network import CPO, EMSP, Partner, register
from tests.hub.support import HUB, KEYS, opened
from tests.support.postgres import FreshDatabase

URL = "https://hub.example"


def now() -> datetime:
    return datetime.now(UTC)


async def every_finding(dsn: str, wide: str = "", *, prod: bool = False) -> list[Finding]:
    async with opened(dsn) as database, opened(wide or dsn) as wider:
        return await examine(database, Directory(database, KEYS, HUB, now), URL, now, wider, prod=prod)


async def findings(dsn: str, wide: str = "") -> list[Finding]:
    """Without what is said of the server of these tests, which is fast and not safe."""
    found = await every_finding(dsn, wide)
    return [finding for finding in found if "pg_reload_conf" not in finding.mend]


async def registered(dsn: str) -> UUID:
    partner = Partner(CPO, "CPO", port=9)
    async with opened(dsn) as database:
        await register(database, KEYS, partner)
    return partner.platform_id


async def execute(dsn: str, statement: str, *arguments: Any) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement, *arguments)
    finally:
        await connection.close()


@asynccontextmanager
async def transaction_open(dsn: str) -> AsyncIterator[int]:
    """A session that has written something and does not end; its pid."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("BEGIN")
        await connection.execute("SELECT pg_current_xact_id()")
        yield connection.get_server_pid()
    finally:
        connection.terminate()


@pytest.mark.promise("U-18")
async def test_nothing_is_found_where_nothing_is_wrong(hub_database: FreshDatabase) -> None:
    await registered(hub_database.app_dsn)
    assert await findings(hub_database.app_dsn, hub_database.admin_dsn) == []


@pytest.mark.promise("U-18")
async def test_a_server_that_may_lose_what_was_committed_is_named(hub_database: FreshDatabase) -> None:
    for prod, level in ((True, "problem"), (False, "advice")):
        unsafe = (await every_finding(hub_database.app_dsn, hub_database.admin_dsn, prod=prod))[:2]
        assert [(finding.level, finding.what) for finding in unsafe] == [
            (level, f"PostgreSQL runs with {name} = off.") for name in ("fsync", "full_page_writes")
        ]
        assert "ALTER SYSTEM SET fsync = on" in unsafe[0].mend


async def test_a_role_with_too_much_power_is_named(hub_database: FreshDatabase) -> None:
    (superuser,) = await findings(hub_database.admin_dsn)
    assert superuser.what == "The hub runs as the superuser postgres."
    assert "ocpi_hub_app" in superuser.mend
    owner = (await findings(hub_database.owner_dsn))[0]
    assert owner.what == "The hub runs as hub_owner, which owns its tables."


async def test_missing_tables_are_named_and_nothing_else_is_asked(hub_database: FreshDatabase) -> None:
    await execute(hub_database.owner_dsn, "UPDATE hub_schema_version SET version_num = '0001_parties'")
    (behind,) = await findings(hub_database.app_dsn, hub_database.admin_dsn)
    assert (behind.what, behind.mend) == ("The tables are behind this program.", "ocpi-hub migrate")
    await execute(hub_database.owner_dsn, "DROP TABLE hub_schema_version")
    assert await findings(hub_database.app_dsn, hub_database.admin_dsn) == [behind]


async def test_offline_platforms_and_those_who_know_another_url_are_named(hub_database: FreshDatabase) -> None:
    platform_id = await registered(hub_database.app_dsn)
    await execute(
        hub_database.owner_dsn,
        "UPDATE platform SET connection = 'OFFLINE', told_url = 'https://old.example' WHERE platform_id = $1",
        platform_id,
    )
    offline, told = await findings(hub_database.app_dsn, hub_database.admin_dsn)
    assert offline.what == "CPO is OFFLINE."
    assert "two calls in a row to http://127.0.0.1:9/versions failed" in offline.why
    assert told.what == f"CPO still knows this hub as https://old.example, not as {URL}."


@pytest.mark.promise("U-18", "Q-08")
async def test_receivers_that_are_paused_or_refuse_objects_are_named_with_the_command(
    hub_database: FreshDatabase,
) -> None:
    await registered(hub_database.app_dsn)
    await execute(
        hub_database.owner_dsn,
        "INSERT INTO destination (party, platform_id, epoch, system_identifier, cursor_xid, cursor_seq, state, last_error) "
        "SELECT 'NL*CPO', platform_id, 1, (SELECT system_identifier FROM pg_control_system()), '1', 0, 'PAUSED', 'It failed.' "
        "FROM platform ON CONFLICT (party) DO UPDATE SET state = 'PAUSED', last_error = 'It failed.'",
    )
    await execute(
        hub_database.owner_dsn,
        "INSERT INTO undelivered (party, owner, module, key_folded, audience, version, attempts, next_attempt_at, last_error) "
        "VALUES ('NL*CPO', 'DE*MSP', 'tokens', 'T|RFID', '*', 1, 4, NULL, 'no')",
    )
    paused, refusing = await findings(hub_database.app_dsn, hub_database.admin_dsn)
    assert (paused.why, paused.mend) == ("It failed.", "ocpi-hub delivery resume --party NL/CPO")
    assert refusing.what.startswith("NL*CPO does not take 1 objects")
    assert refusing.mend == "ocpi-hub delivery retry --party NL/CPO"


async def test_cdrs_without_confirmation_are_counted_by_their_two_parties(hub_database: FreshDatabase) -> None:
    for number, state in enumerate(["UNDELIVERED", "UNDELIVERED", "IN_DOUBT", "DELIVERED", "RECEIVED"]):
        await execute(
            hub_database.owner_dsn,
            "WITH identity AS (INSERT INTO cdr_identity VALUES ($1, $2, 'h', 1, now())) "
            "INSERT INTO cdr_delivery (owner, id_folded, receiver, state, reference, changed_at) "
            "VALUES ($1, $2, $3, $4, $2, now())",
            str(CPO), str(number), str(EMSP), state,
        )  # fmt: skip
    found = await findings(hub_database.app_dsn, hub_database.admin_dsn)
    assert [finding.what[:40] for finding in found] == [
        "2 CDR of NL*CPO for DE*MSP are UNDELIVER",
        "1 CDR of NL*CPO for DE*MSP is IN_DOUBT, ",
    ]
    await execute(hub_database.owner_dsn, "UPDATE cdr_delivery SET changed_at = now() - interval '1 hour'")
    assert "is RECEIVED" in (await findings(hub_database.app_dsn, hub_database.admin_dsn))[-1].what


async def test_a_guaranteed_cdr_that_keeps_its_month_from_being_dropped_is_named_with_the_command(
    hub_database: FreshDatabase,
) -> None:
    for id, days in (("old 1", 400), ("YOUNG", 300)):
        await execute(
            hub_database.owner_dsn,
            "WITH identity AS (INSERT INTO cdr_identity VALUES ($1, $2, 'h', 1, now() - $4 * interval '1 day')) "
            "INSERT INTO cdr_delivery (owner, id_folded, receiver, state, reference, changed_at, guaranteed) "
            "VALUES ($1, $2, $3, 'IN_DOUBT', $2, now(), true)",
            str(CPO), id, str(EMSP), days,
        )  # fmt: skip
    found = await findings(hub_database.app_dsn, hub_database.admin_dsn)
    assert [finding.mend for finding in found if "give-up" in finding.mend] == [
        "ocpi-hub cdr retry 'old 1' --owner NL/CPO; or, where the receiver left for good, "
        "ocpi-hub cdr give-up 'old 1' --owner NL/CPO --reason 'it left'"
    ]
    assert "HUB_CDR_YEARS" in found[-1].why


async def test_who_holds_xmin_back_is_named_with_database_and_pid(
    hub_database: FreshDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "HELD_BACK_SECONDS", 0)
    async with transaction_open(hub_database.admin_dsn) as pid:
        found = await findings(hub_database.app_dsn, hub_database.admin_dsn)
    (holder,) = [finding for finding in found if f"pid {pid}" in finding.what]
    assert f"in the database {hub_database.name} holds xmin back" in holder.what
    assert holder.mend == f"SELECT pg_terminate_backend({pid}); -- in psql"


async def test_what_retention_left_undone_is_named(hub_database: FreshDatabase) -> None:
    tomorrow = f"{now() + timedelta(days=1):%Y_%m_%d}"
    await execute(hub_database.owner_dsn, f"DROP TABLE trace_{tomorrow}, change_log_{tomorrow}")
    await execute(hub_database.owner_dsn, "UPDATE job SET ran_at = now() - interval '30 hours'")
    for number in (2, 3):
        await execute(hub_database.app_dsn, "INSERT INTO trace_gap VALUES ($1, now(), now(), $2)", uuid4(), number)
    found = await findings(hub_database.app_dsn, hub_database.admin_dsn)
    assert [(finding.level, finding.what[:44]) for finding in found] == [
        ("problem", f"The partition change_log_{tomorrow} for tomorrow is missing."[:44]),
        ("problem", f"The partition trace_{tomorrow} for tomorrow is missing."[:44]),
        ("problem", "Retention has not come to its end for 30 h."),
        ("advice", found[-1].what[:44]),
    ]
    assert found[-1].what.startswith("5 traces were dropped between ")
    assert found[0].mend.startswith("ocpi-hub serve")


async def test_that_not_all_sessions_can_be_seen_is_advice(hub_database: FreshDatabase) -> None:
    (advice,) = await findings(hub_database.app_dsn)
    assert advice.level == "advice"
    assert advice.mend.startswith("GRANT pg_read_all_stats TO hub_app")


async def test_a_database_that_goes_away_is_a_finding(hub_database: FreshDatabase) -> None:
    async with opened(hub_database.app_dsn) as database:
        await database.close()
        found = await examine(database, Directory(database, KEYS, HUB, now), URL, now)
    assert [finding.what for finding in found] == ["The database cannot be used."]
    assert isinstance(database, Database)
