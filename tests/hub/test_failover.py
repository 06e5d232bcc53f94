"""A database that fails over or is restored in place: what a hub that kept running remembers is of another one (Q-04, F-51)."""

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import asyncpg
import pytest

from hub import serve
from hub.db.embedded import EmbeddedPostgres
from hub.db.engine import DatabaseAway, open_pool
from hub.settings import load
from ocpi_modules.http.listener import BACKLOG, bind
from ocpi_modules.message import PartyId
from tests.support import objects
from tests.support.hub_process import SECRET_KEY, HubProcess
from tests.support.party import Party
from tests.support.postgres import migrate_hub_template
from tests.support.raw_http import connected

EMSP = PartyId("DE", "XYZ")
BACK_SECONDS = 30
RECOVERY = "restore_command = 'false'\n"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres.open(tmp_path / "postgres") as server:
        migrate_hub_template(server)
        yield server


def copy(source: Path, target: Path) -> None:
    subprocess.run(["rm", "-rf", str(target)], check=True, timeout=60)
    subprocess.run(["cp", "-a", str(source), str(target)], check=True, timeout=60)


def backed_up(server: EmbeddedPostgres, place: Path) -> None:
    server.stop()
    copy(server.data, place)
    server.start()


def restored(server: EmbeddedPostgres, backup: Path) -> None:
    """An older state at the same address, on a timeline of its own, as after a failover that lost something."""
    server.stop()
    copy(backup, server.data)
    (server.data / "recovery.signal").touch()
    with (server.data / "postgresql.auto.conf").open("a") as settings:
        settings.write(RECOVERY)
    server.start()


async def push(cpo: Party, hub: HubProcess, id: str) -> None:
    """Until it is acknowledged."""
    url = f"{hub.url}/ocpi/2.2.1/receiver/locations"
    cpo.hub_endpoints = {**cpo.hub_endpoints, ("locations", "RECEIVER"): url}
    location = objects.location(country_code="NL", party_id="ABC", id=id)
    async with asyncio.timeout(BACK_SECONDS):
        while (await cpo.send("PUT", "locations", "RECEIVER", f"/NL/ABC/{id}", location)).http_status not in (200, 201):
            await asyncio.sleep(0.1)


async def arrived(emsp: Party, ids: set[str]) -> None:
    async with asyncio.timeout(BACK_SECONDS):
        while not ids <= {call.document["id"] for call in emsp.received("PUT", "locations")}:
            await asyncio.sleep(0.05)


@pytest.mark.promise("Q-04", "F-51")
async def test_what_is_pushed_after_a_failover_reaches_everybody_whichever_process_took_it(
    server: EmbeddedPostgres, tmp_path: Path
) -> None:
    hubs = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        settings = {"HUB_DEFAULT_POLICY": "open"} | ({"HUB_PUBLIC_URL": hubs[0].url} if hubs else {})
        hubs.append(HubProcess(tmp_path / name, server.dsn("hub_template", "hub_app"), "", None, **settings))
    one, two = hubs
    async with Party.running(("CPO", "NL/ABC")) as cpo, Party.running(("EMSP", "DE/XYZ")) as emsp:
        with one.serving(), two.serving():
            await cpo.register(one.versions_url, one.invite("CPO:NL/ABC"))
            await emsp.register(one.versions_url, one.invite("EMSP:DE/XYZ"))
            await push(cpo, one, "L0")
            await arrived(emsp, {"L0"})
            backed_up(server, tmp_path / "backup")
            for number in range(1, 30):
                await push(cpo, hubs[number % 2], f"L{number}")
            await arrived(emsp, {f"L{number}" for number in range(30)})
            restored(server, tmp_path / "backup")
            await push(cpo, one, "N1")
            await push(cpo, two, "N2")
            await arrived(emsp, {"N1", "N2"})
            pids = {hub.process.pid for hub in hubs if hub.process.poll() is None}
            assert len(pids) == 2


@pytest.mark.promise("Q-04", "F-51")
async def test_what_was_answered_while_postgresql_was_away_is_kept_in_the_database_that_comes_back(
    server: EmbeddedPostgres, tmp_path: Path
) -> None:
    settings = {"HUB_DEFAULT_POLICY": "open"}
    hub = HubProcess(tmp_path, server.dsn("hub_template", "hub_app"), "", None, **settings)
    async with Party.running(("CPO", "NL/ABC")) as cpo, Party.running(("EMSP", "DE/XYZ")) as emsp:
        with hub.serving():
            await cpo.register(hub.versions_url, hub.invite("CPO:NL/ABC"))
            await emsp.register(hub.versions_url, hub.invite("EMSP:DE/XYZ"))
            await pass_session(cpo, "S0")
            pid = hub.process.pid
            backed_up(server, tmp_path / "backup")
            await push(cpo, hub, "L0")  # the connections are there again
            server.stop()
            for number in range(1, 4):
                await pass_session(cpo, f"S{number}")
            assert len(emsp.received("PUT", "sessions")) == 4
            restored(server, tmp_path / "backup")
            async with asyncio.timeout(BACK_SECONDS):
                while await kept(server) != {"S0", "S1", "S2", "S3"}:
                    await asyncio.sleep(0.1)
            assert (hub.process.pid, hub.process.poll()) == (pid, None)
        assert not hub.says("writes dropped")


async def pass_session(cpo: Party, id: str) -> None:
    """From one party to the other; the hub keeps a copy."""
    token = objects.cdr_token(country_code="DE", party_id="XYZ")
    session = objects.session(country_code="NL", party_id="ABC", id=id, cdr_token=token)
    answer = await cpo.send("PUT", "sessions", "RECEIVER", f"/NL/ABC/{id}", session, to=EMSP)
    assert answer.http_status in (200, 201), answer.body


async def kept(server: EmbeddedPostgres) -> set[str]:
    """The sessions there is a copy of."""
    connection = await asyncpg.connect(server.dsn("hub_template"))
    try:
        return {
            row[0] for row in await connection.fetch("SELECT key_folded FROM kept_object WHERE module = 'sessions'")
        }
    finally:
        await connection.close()


@pytest.mark.promise("Q-04")
async def test_a_standby_is_away(server: EmbeddedPostgres) -> None:
    server.stop()
    (server.data / "standby.signal").touch()
    server.start()
    with pytest.raises(DatabaseAway, match="standby"):
        await open_pool(server.dsn("hub_template", "hub_app"), application_name="test")


class Hubs:
    """Instead of `running_hub`: the first finds that the database moved, the next cannot begin, the last serves."""

    def __init__(self) -> None:
        self.begun = 0

    @contextlib.asynccontextmanager
    async def running(self, *_: Any, carried: Any) -> AsyncIterator[Any]:
        self.begun += 1
        number, moved = self.begun, asyncio.Event()
        if number == 2:
            raise DatabaseAway("gone again")

        async def answer(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                body = b"%d" % number
                await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})
                await send({"type": "http.response.body", "body": body})
            else:
                raise NotImplementedError  # no lifespan

        if number == 1:
            moved.set()
        yield SimpleNamespace(ocpi=answer, admin=answer, database=SimpleNamespace(moved=moved))


@pytest.mark.promise("Q-04")
async def test_who_connects_while_a_hub_begins_anew_waits_and_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    hubs, stopping, told = Hubs(), asyncio.Event(), []
    monkeypatch.setattr(serve, "running_hub", hubs.running)
    settings = load(
        {
            "HUB_COUNTRY_CODE": "NL",
            "HUB_PARTY_ID": "HUB",
            "HUB_SECRET_KEY": SECRET_KEY,
            "HUB_DATABASE_URL": "postgresql://hub@x/hub",
        }
    )
    pair = serve.Sockets(bind("127.0.0.1", 0), bind("127.0.0.1", 0))
    for bound in (pair.ocpi, pair.admin):
        bound.listen(BACKLOG)
    port = pair.ocpi.getsockname()[1]
    clock: Any = None
    serving = asyncio.create_task(serve._serve(settings, "", clock, pair, stopping, lambda: told.append("started")))
    async with asyncio.timeout(BACK_SECONDS):
        while hubs.begun < 2:
            await asyncio.sleep(0.01)
        async with connected(port) as raw:
            await raw.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await raw.answer())[2] == b"3"
        stopping.set()
        await serving
    assert told.count("started") <= 1
    with pytest.raises(ConnectionRefusedError):
        async with connected(port):
            pass
