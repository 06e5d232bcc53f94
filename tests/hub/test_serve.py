"""`ocpi-hub serve` as real processes: workers that die, are renewed, drained, orphaned; ports and tables that are not there."""

import asyncio
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest

from ocpi_modules import json
from tests.support.hub_process import HubProcess, is_alive, wait_until
from tests.support.postgres import FreshDatabase
from tests.support.raw_http import connected

VERSIONS = b"GET /ocpi/versions HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n"
ADMIN = b"GET /readyz HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n"


@pytest.fixture
def hub(hub_database: FreshDatabase, tmp_path: Path) -> HubProcess:
    return HubProcess(tmp_path, hub_database.app_dsn, hub_database.owner_dsn)


async def get(port: int, request: bytes = VERSIONS) -> int:
    """One request on a connection of its own; its HTTP status (401 without a token)."""
    async with connected(port) as connection:
        await connection.send(request)
        return (await connection.answer())[0]


class Load:
    """Requests, each on a new connection, from a thread, until the block ends; `outcomes` counts what came of them."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._ending = threading.Event()
        self.outcomes: Counter[str] = Counter()

    async def _run(self) -> None:
        async def ask_on() -> None:
            while not self._ending.is_set():
                try:
                    self.outcomes[str(await get(self._port))] += 1
                except (OSError, EOFError) as error:
                    self.outcomes[type(error).__name__] += 1
                await asyncio.sleep(0.005)

        await asyncio.gather(*(ask_on() for _ in range(4)))

    @contextmanager
    def running(self) -> Iterator[None]:
        thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        thread.start()
        try:
            yield
        finally:
            self._ending.set()
            thread.join(20)


@pytest.mark.rule("Q-02", "F-50")
def test_a_rolling_renewal_under_load_loses_no_request(hub: HubProcess) -> None:
    with hub.serving("--workers", "2"):
        before = set(hub.workers())
        load = Load(hub.port)
        with load.running():
            wait_until(lambda: load.outcomes["401"] > 50)
            hub.process.send_signal(signal.SIGHUP)
            wait_until(lambda: hub.says("workers were renewed"))
            after = load.outcomes["401"]
            wait_until(lambda: load.outcomes["401"] > after + 50)
        assert len(hub.workers()) == len(before) == 2
        assert not before & set(hub.workers())
        assert set(load.outcomes) == {"401"}


def test_a_killed_worker_is_replaced_and_waiting_connections_are_answered(hub: HubProcess) -> None:
    with hub.serving("--workers", "2"):
        killed = hub.workers()
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        statuses = asyncio.run(_statuses(hub.port, 20))
        assert statuses == [401] * 20
        wait_until(lambda: len(hub.workers()) == 2 and not set(killed) & set(hub.workers()))
        assert hub.says("worker ended")


async def _statuses(port: int, count: int) -> list[int]:
    return list(await asyncio.gather(*(get(port) for _ in range(count))))


def test_workers_that_cannot_start_are_tried_again_ever_more_slowly(hub: HubProcess, tmp_path: Path) -> None:
    hub.environ["PYTHONPATH"] = str(_sitecustomize(tmp_path))
    hub.start("--workers", "2")
    try:
        wait_until(lambda: hub.log.exists() and _pauses(hub.log).count(2.0) == 2)
        assert sorted(_pauses(hub.log)) == [0.5, 0.5, 1.0, 1.0, 2.0, 2.0]
        began = time.monotonic()
        assert hub.stop() == 0
        assert time.monotonic() - began < 3
    finally:
        hub.stop()


def _sitecustomize(folder: Path) -> Path:
    """A module that ends every worker at once."""
    broken = folder / "broken"
    broken.mkdir()
    (broken / "sitecustomize.py").write_text("import os, sys\nif 'worker' in sys.orig_argv: os._exit(3)\n")
    return broken


def _pauses(log: Path) -> list[float]:
    lines = [json.decode(line.encode()) for line in log.read_text().splitlines() if "worker ended" in line]
    return [float(line["again_in"]) for line in lines]


def test_workers_end_when_their_parent_is_killed(hub: HubProcess) -> None:
    with hub.serving("--workers", "2"):
        workers = hub.workers()
        hub.process.kill()
        hub.process.wait()
        wait_until(lambda: not any(is_alive(pid) for pid in workers), 10)


@pytest.mark.rule("F-05", "Q-02")
@pytest.mark.parametrize("arguments", [(), ("--workers", "2")], ids=["alone", "workers"])
def test_sigterm_answers_what_is_under_way(hub: HubProcess, arguments: tuple[str, ...]) -> None:
    async def ask_slowly() -> int:
        body = b"{}"
        head = "POST /ocpi/2.2.1/credentials HTTP/1.1\r\nHost: hub\r\nContent-Type: application/json\r\n"
        head += f"Content-Length: {len(body)}\r\n\r\n"
        async with connected(hub.port) as connection:
            await connection.send(head.encode() + body[:1])
            await _seen_by_the_server(hub.port)
            hub.process.send_signal(signal.SIGTERM)
            await _refused(hub.port)
            await connection.send(body[1:])
            return (await connection.answer())[0]

    with hub.serving(*arguments):
        assert asyncio.run(ask_slowly()) == 401
        assert hub.process.wait(20) == 0


async def _seen_by_the_server(port: int) -> None:
    """Later requests on both kinds of sockets are answered, so the earlier bytes were read."""
    for _ in range(10):
        assert await get(port) == 401


async def _refused(port: int) -> None:
    """New connections are not taken any more."""
    async with asyncio.timeout(10):
        while True:
            try:
                await get(port)
            except (OSError, EOFError):
                return
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("first", [(), ("--workers", "2")], ids=["alone", "workers"])
@pytest.mark.parametrize("second", [(), ("--workers", "2")], ids=["alone", "workers"])
def test_a_second_copy_is_refused_in_one_sentence(
    hub: HubProcess, first: tuple[str, ...], second: tuple[str, ...]
) -> None:
    with hub.serving(*first):
        done = hub.run("serve", *second)
        assert done.returncode == 1
        assert done.stderr == f"127.0.0.1:{hub.port} is taken; stop what listens there, or set HUB_PORT.\n"
        assert asyncio.run(get(hub.port)) == 401
        other = hub.run("serve", *second, HUB_PORT=str(hub.port + 1), HUB_HOST="127.0.0.2")
        assert other.stderr == f"127.0.0.1:{hub.admin_port} is taken; stop what listens there, or set HUB_ADMIN_PORT.\n"


def test_an_address_that_is_not_ours_is_refused_in_one_sentence(hub: HubProcess) -> None:
    done = hub.run("serve", HUB_HOST="192.0.2.1", HUB_PUBLIC_URL="http://hub.example")
    assert done.returncode == 1
    assert done.stderr.startswith(f"Cannot listen on 192.0.2.1:{hub.port} (")
    assert done.stderr.count("\n") == 1


async def test_tables_that_are_behind_are_named_with_the_way_out(hub: HubProcess, hub_database: FreshDatabase) -> None:
    await _execute(hub_database.owner_dsn, "DROP TABLE hub_schema_version, hub_schema_version_program")
    done = hub.run("serve")
    assert done.returncode == 1
    assert done.stderr.startswith("The tables lack 0001_parties, 0002_")
    assert "run `ocpi-hub migrate`" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.promise("U-18")
@pytest.mark.rule("Q-04", "Q-16")
async def test_readiness_knows_database_and_tables(hub: HubProcess, hub_database: FreshDatabase) -> None:
    with hub.serving():
        assert hub.ready() == (200, {"status": "ok"})
        await _execute(hub_database.owner_dsn, "UPDATE hub_schema_version SET version_num = '0001_parties'")
        status, document = hub.ready()
        assert (status, document["reasons"]) == (503, ["The tables are behind: run `ocpi-hub migrate`."])
        await _execute(hub_database.owner_dsn, "UPDATE hub_schema_version SET version_num = '9999_of_a_newer_program'")
        assert hub.ready()[0] == 200


async def _execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
