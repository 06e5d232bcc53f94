"""What PostgreSQL knows, as gauges; and the rules and pictures that ask for them."""

import re
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from hub.delivery import backoff
from hub.metrics import facts
from hub.metrics.alarms import Alarms
from hub.metrics.exposition import Exposition
from hub.metrics.facts import Facts
from hub.metrics.vitals import Vitals
from hub.traces.record import TURNED_AWAY
from ocpi_modules import json
from tests.hub.clearing.test_journal import POST, cdr
from tests.hub.delivery.world import World, until, world
from tests.hub.metrics.scraped import Scraped
from tests.hub.network import CPO, EMSP, Outage, accepted
from tests.support.postgres import FreshDatabase

DOCKER = Path(__file__).parents[3] / "docker"
ALERTS, DASHBOARD = DOCKER / "prometheus" / "alerts.yml", DOCKER / "grafana" / "ocpi-hub.json"
OWN = r"ocpihub_[a-z_]+"
NO = (200, {}, b'{"status_code":2001,"status_message":"no","timestamp":"2026-03-01T12:30:00Z"}')


async def scraped(here: World) -> Scraped:
    """As /metrics composes it."""
    await here.net.writer.flush()
    return Scraped(here.net.exposition.text(await Facts(here.net.seen_database).read()).decode())


@pytest.mark.promise("U-15")
async def test_a_receiver_that_lags_or_refuses_and_a_cdr_without_an_answer_are_seen(
    hub_database: FreshDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backoff, "OBJECT_SECONDS", (0.01, 0.01))
    async with world(hub_database) as here:
        here.net.emsp.answer = lambda seen: NO if seen.target.endswith("BAD") else accepted()
        async with here.delivering():
            await here.put("BAD")
            await until(lambda: "object quarantined" in here.net.alarms)
        await here.put("LATE")
        here.net.emsp.answer = lambda seen: (503, {}, b"")
        await here.net.call(here.net.cpo, "POST", POST, cdr(), to=EMSP)
        page = await scraped(here)
        assert page("ocpihub_database_up") == 1
        assert page("ocpihub_delivery_quarantined_objects", party=str(EMSP)) == 1
        assert page("ocpihub_delivery_paused", party=str(EMSP)) == 0
        lag = page("ocpihub_delivery_lag_seconds", party=str(EMSP))
        assert lag is not None
        assert lag > 0
        assert page("ocpihub_unconfirmed_cdrs", guaranteed="no") == 1
        await here.set_connection(here.net.emsp, "OFFLINE")
        page = await scraped(here)
        assert page("ocpihub_party_connected", party=str(EMSP)) == 0
        assert page("ocpihub_party_connected") == 1
        assert page("ocpihub_party_connected", party=str(CPO)) == 1


@pytest.mark.rule("Q-04")
async def test_postgresql_is_asked_once_in_two_seconds_and_may_be_away(
    hub_database: FreshDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world(hub_database, wrap=Outage) as here:
        asked = Facts(here.net.seen_database)
        assert await asked.read() is await asked.read()
        here.net.seen_database.away = True
        page = await scraped(here)
        assert (page("ocpihub_database_up"), page("ocpihub_party_connected")) == (0, None)
        monkeypatch.setattr(facts, "FRESH_SECONDS", 0.0)
        again = Facts(here.net.seen_database)
        await again.read()
        here.net.seen_database.away = False
        assert len(await again.read()) > 1


def test_what_grew_is_counted_and_what_is_is_shown() -> None:
    exposition = Exposition()
    numbers, away = [0], {"unauthenticated": 0, "too many": 0}
    vitals = Vitals(
        exposition.registry,
        waiting={"later": lambda: numbers[0]},
        failing=lambda: 1,
        standstills=lambda: numbers[0],
        lines_dropped=lambda: 0,
        turned_away=away,
        reasons=("unauthenticated", "too many"),
    )
    numbers[0], away["unauthenticated"] = 3, 2
    vitals.note()
    numbers[0], away["too many"] = 7, 5
    vitals.note()
    page = Scraped(exposition.text([]).decode())
    assert page("ocpihub_loop_standstills_total") == 7
    assert page("ocpihub_waiting_writes", queue="later") == 7
    assert page("ocpihub_turned_away_requests_total", reason="too many") == 5
    assert page("ocpihub_turned_away_requests_total") == 7
    assert page("ocpihub_failing_loops") == 1


def test_an_alarm_is_logged_and_counted() -> None:
    exposition, logged = Exposition(), []
    alarm = Alarms(exposition.registry, lambda event, **fields: logged.append((event, fields)))
    alarm("cdr changed", id="CDR1")
    assert logged == [("cdr changed", {"id": "CDR1"})]
    page = Scraped(exposition.text([]).decode())
    assert page("ocpihub_alarms_total", event="cdr changed") == 1
    assert "CDR1" not in str(page.samples)


async def test_rules_and_dashboard_ask_for_metrics_and_labels_there_are(hub_database: FreshDatabase) -> None:
    async with world(hub_database) as here:
        numbers = {"standstills": int, "lines_dropped": int, "turned_away": {}, "reasons": ()}
        Vitals(here.net.exposition.registry, waiting={"later": int}, failing=int, **numbers)  # type: ignore[arg-type]
        Alarms(here.net.exposition.registry, print)
        text = here.net.exposition.text(await Facts(here.net.database).read()).decode()
    known = {
        family.name + suffix
        for family in text_string_to_metric_families(text)
        for suffix in {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(family.type, ("",))
    }
    asked = {file.name: set(re.findall(OWN, file.read_text())) for file in (ALERTS, DASHBOARD)}
    assert {name: names - known for name, names in asked.items()} == {ALERTS.name: set(), DASHBOARD.name: set()}
    assert known - set.union(*asked.values()) == {
        "ocpihub_delivery_failing",
        "ocpihub_delivery_walking",
        "ocpihub_message_seconds_count",
        "ocpihub_message_seconds_sum",
    }
    rules = ALERTS.read_text()
    assert set(re.findall(r'result="([a-z]+)"', rules)) == {"failed"}
    assert set(re.findall(r'reason="([a-z ]+)"', rules)) <= set(TURNED_AWAY)
    assert json.decode(DASHBOARD.read_bytes())["uid"] == "ocpi-hub"


def test_each_alert_says_what_to_do_and_names_commands_there_are() -> None:
    readme = (DOCKER.parent / "README.md").read_text()
    rules = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
    assert len({rule["alert"] for rule in rules}) == len(rules) > 10
    for rule in rules:
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"]["summary"].endswith(".")
        for group, verb in re.findall(r"`ocpi-hub (\w+)(?: (\w+))?`", rule["annotations"]["description"]):
            assert re.search(rf"`[^`]*\b{group}\b[^`]*\b{verb}\b", readme), (group, verb)
