"""/metrics of real processes: one number for all workers, whichever answers, and nothing is forgotten when they are renewed."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.routing import APIRoute
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from hub.metrics.exposition import FOLDER, ROOM, Exposition
from hub.metrics.facts import Facts
from hub.metrics.routes import metrics_routes
from hub.workers import Parent
from tests.hub.metrics.scraped import Scraped
from tests.hub.network import eventually
from tests.hub.support import opened
from tests.support.hub_process import HubProcess, wait_until
from tests.support.postgres import FreshDatabase

TURNED_AWAY = "ocpihub_turned_away_requests_total"


@pytest.fixture
def hub(hub_database: FreshDatabase, tmp_path: Path) -> HubProcess:
    return HubProcess(tmp_path, hub_database.app_dsn, hub_database.owner_dsn, TMPDIR=str(tmp_path))


def scraped(hub: HubProcess) -> Scraped:
    with urllib.request.urlopen(f"http://127.0.0.1:{hub.admin_port}/metrics", timeout=5) as answer:
        assert answer.headers["content-type"].startswith("text/plain; version=")
        return Scraped(answer.read().decode())


def ask(hub: HubProcess, times: int) -> None:
    """So many requests without a token, each on a connection of its own, for whichever worker."""
    for _ in range(times):
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(hub.versions_url, timeout=5)


def counts(hub: HubProcess, expected: int) -> bool:
    """Whichever worker is asked; they note every second."""
    return all(scraped(hub)(TURNED_AWAY, reason="unauthenticated") == expected for _ in range(8))


@pytest.mark.promise("U-15", "S-44")
@pytest.mark.parametrize("workers", [1, 2])
def test_each_request_is_counted_once_whoever_answers(hub: HubProcess, workers: int) -> None:
    with hub.serving("--workers", str(workers)):
        ask(hub, 20)
        wait_until(lambda: counts(hub, 20))
        page = scraped(hub)
        assert page("ocpihub_database_up") == 1
        assert page("ocpihub_failing_loops") == 0
        with pytest.raises(urllib.error.HTTPError, match=r"40[14]"):
            urllib.request.urlopen(f"{hub.url}/metrics", timeout=5)


def test_what_was_counted_outlives_workers_that_are_renewed_and_killed(hub: HubProcess, tmp_path: Path) -> None:
    with hub.serving("--workers", "2"):
        total = 0
        for turn in range(3):
            ask(hub, 10)
            total += 10
            wait_until(lambda: counts(hub, total))  # noqa: B023
            before = set(hub.workers())
            if turn == 1:
                for pid in before:
                    os.kill(pid, signal.SIGKILL)
            else:
                hub.process.send_signal(signal.SIGHUP)
            wait_until(lambda: len(hub.workers()) == 2 and not before & set(hub.workers()))  # noqa: B023
            wait_until(lambda: counts(hub, total))  # noqa: B023
        [folder] = tmp_path.glob("ocpi-hub-metrics-*")
        files = sorted(path.name for path in folder.glob("counter_*"))
        assert files == ["counter_0-a.db", "counter_0-b.db", "counter_1-a.db", "counter_1-b.db"]
        for path in folder.iterdir():
            assert path.stat().st_blocks * 512 >= ROOM[path.name.rpartition("_")[0]], (
                "a full disk would kill the worker"
            )
    assert not folder.exists()


def killed(hub: HubProcess) -> None:
    """All workers, and others serve."""
    before = set(hub.workers())
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: len(hub.workers()) == 2 and not before & set(hub.workers()))
    wait_until(lambda: serves(hub))


def serves(hub: HubProcess) -> bool:
    try:
        return all(scraped(hub)("ocpihub_database_up") == 1 and hub.ready()[0] == 200 for _ in range(8))
    except OSError:
        return False


def test_a_folder_that_is_spoiled_or_gone_keeps_nobody_from_serving(hub: HubProcess, tmp_path: Path) -> None:
    with hub.serving("--workers", "2"):
        [folder] = tmp_path.glob("ocpi-hub-metrics-*")
        with (folder / "counter_0-a.db").open("r+b") as file:
            file.seek(8)
            file.write(b"\xff\xff\xff\x7f" * 20)
        assert serves(hub)
        killed(hub)
        ask(hub, 1)
        wait_until(lambda: counts(hub, 1))
        shutil.rmtree(folder)
        assert serves(hub)
        killed(hub)
        assert hub.says("each worker counts alone")


async def test_workers_are_kept_where_no_folder_can_be_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    parent = Parent([], {FOLDER: "of somebody else"})
    parent._stopping.set()
    await parent.run(lambda: None)
    alone = """
from hub.metrics.exposition import Exposition, share_as
share_as("0-a")
from prometheus_client import Counter
page = Exposition()
Counter("things", "of which one was counted", registry=page.registry).inc()
print(page.text([]).decode())
"""
    done = subprocess.run([sys.executable, "-c", alone], env=os.environ | {FOLDER: ""}, capture_output=True, text=True)
    assert "things_total 1.0" in done.stdout, done.stderr


def test_one_process_counts_by_itself_whatever_folder_its_environment_names(hub: HubProcess, tmp_path: Path) -> None:
    hub.environ[FOLDER] = str(tmp_path / "none")
    with hub.serving():
        ask(hub, 1)
        wait_until(lambda: counts(hub, 1))


@pytest.mark.promise("Q-16")
def test_a_parent_of_the_program_before_this_starts_its_worker_anew(hub: HubProcess) -> None:
    """It was put in its place while the parent ran, which knows no names."""
    (reads, ready), (alive, kept) = os.pipe(), os.pipe()
    with contextlib.ExitStack() as stack:
        ports = hub.port, hub.admin_port
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", port))) for port in ports]
        handed = [*(each.fileno() for each in sockets), alive, ready]
        command = [sys.executable, "-m", "hub", "worker", *map(str, handed)]
        process = subprocess.Popen(command, env=hub.environ, pass_fds=handed)
        os.close(ready)
        try:
            assert os.read(reads, 1) == b"1"
            assert scraped(hub)("ocpihub_database_up") == 1
        finally:
            for descriptor in (kept, alive, reads):
                os.close(descriptor)
            process.wait(30)


async def test_requests_are_answered_while_a_page_is_written(hub_database: FreshDatabase) -> None:
    began, go_on = threading.Event(), threading.Event()

    class Many(Collector):
        def collect(self) -> Iterator[GaugeMetricFamily]:
            began.set()
            yield GaugeMetricFamily("went_on", "while this was collected", go_on.wait(5))

    exposition = Exposition()
    exposition.registry.register(Many())
    began.clear()
    async with opened(hub_database.app_dsn) as database:
        [route] = metrics_routes(exposition, Facts(database)).routes
        assert isinstance(route, APIRoute)
        page = asyncio.create_task(route.endpoint())
        await eventually(began.is_set)
        go_on.set()
        assert Scraped((await page).body.decode())("went_on") == 1
