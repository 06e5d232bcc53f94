"""A program and the one before it on the same tables: a hub is upgraded process by process (Q-16, F-50)."""

import io
import subprocess
import zipfile
from pathlib import Path

import pytest

from hub.db import migrate
from ocpi_modules import json
from ocpi_modules.message import PartyId
from tests.support import objects
from tests.support.hub_process import HubProcess
from tests.support.party import Party
from tests.support.postgres import FreshDatabase

ROOT = Path(__file__).parents[2]
CPO, EMSP = PartyId("NL", "ABC"), PartyId("DE", "XYZ")


def git(*arguments: str) -> bytes:
    return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, check=True, timeout=60).stdout


@pytest.fixture
def older_program(tmp_path: Path) -> Path:
    """The last program that did not know the newest table changes, from this repository's history."""
    newest = f"hub/db/migrations/versions/{migrate.newest_revision()}.py"
    try:
        changed = git("log", "-1", "--format=%H", "--diff-filter=A", "--", newest).decode().strip()
        archive = git("archive", "--format=zip", f"{changed}^", "hub", "ocpi_modules")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this is no clone of the repository with its history")
    folder = tmp_path / "older program"
    with zipfile.ZipFile(io.BytesIO(archive)) as contents:
        contents.extractall(folder)
    assert not (folder / newest).exists()
    return folder


@pytest.mark.rule("Q-16", "F-50")
async def test_the_program_before_the_newest_tables_works_beside_this_one(
    hub_database: FreshDatabase, tmp_path: Path, older_program: Path
) -> None:
    settings = {"HUB_DEFAULT_POLICY": "open"}
    urls = hub_database.app_dsn, hub_database.owner_dsn
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    new = HubProcess(tmp_path / "new", *urls, **settings)
    old = HubProcess(tmp_path / "old", *urls, program=older_program, **settings, HUB_PUBLIC_URL=new.url)
    async with Party.running(("CPO", "NL/ABC")) as cpo, Party.running(("EMSP", "DE/XYZ")) as emsp:
        with new.serving(), old.serving():
            await cpo.register(new.versions_url, new.invite("CPO:NL/ABC"))
            await emsp.register(old.versions_url, old.invite("EMSP:DE/XYZ"))
            for number, hub in enumerate((new, old, new, old)):
                cpo.hub_endpoints = {key: _at(hub, url) for key, url in cpo.hub_endpoints.items()}
                own = {"country_code": "NL", "party_id": "ABC"}
                location = objects.location(**own, id=f"L{number}")
                answer = await cpo.send("PUT", "locations", "RECEIVER", f"/NL/ABC/L{number}", location)
                assert answer.http_status in (200, 201), answer.body
                token = objects.cdr_token(country_code="DE", party_id="XYZ")
                cdr = objects.cdr(**own, id=f"CDR{number}", cdr_token=token, credit=None, credit_reference_id=None)
                answer = await cpo.send("POST", "cdrs", "RECEIVER", body=cdr, to=EMSP)
                assert json.decode(answer.body)["status_code"] == 1000, answer.body
            await emsp.wait_for("PUT", "locations", 4)
            assert {call.document["id"] for call in emsp.received("PUT", "locations")} == {f"L{n}" for n in range(4)}
            assert [call.document["id"] for call in emsp.received("POST", "cdrs")] == [f"CDR{n}" for n in range(4)]


def _at(hub: HubProcess, url: str) -> str:
    """The same path at another process of the hub."""
    return hub.url + url[url.index("/", len("http://")) :]


async def test_a_program_too_old_for_the_tables_says_so(
    hub_database: FreshDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert migrate.is_current(hub_database.app_dsn)
    monkeypatch.setattr(migrate, "newest_revision", lambda: migrate.OLDEST_PROGRAM)
    assert migrate.is_current(hub_database.app_dsn)
    monkeypatch.setattr(migrate, "newest_revision", lambda: "0001_parties")
    assert not migrate.is_current(hub_database.app_dsn)
