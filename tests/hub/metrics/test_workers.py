"""/metrics of real processes: one number for all workers, whichever answers, and nothing is forgotten when they are renewed."""

import os
import signal
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.hub.metrics.scraped import Scraped
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
    assert not folder.exists()
