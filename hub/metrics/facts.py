"""What PostgreSQL knows of partners, deliveries and CDRs, asked when somebody scrapes: the same from every process."""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from prometheus_client.core import GaugeMetricFamily, Metric

from hub.db.engine import Database, DatabaseAway
from hub.metrics import repository
from hub.metrics.messages import MOST_PARTIES

FRESH_SECONDS = 2.0
DATABASE_SECONDS = 3.0
MOST_OWED = 10_000
_DELIVERY = {
    "paused": ("ocpihub_delivery_paused", "1: an operator or five days of failure paused it"),
    "failing": ("ocpihub_delivery_failing", "1: the last attempts failed"),
    "walking": ("ocpihub_delivery_walking", "1: every object is pushed again"),
    "lag_seconds": ("ocpihub_delivery_lag_seconds", "Age of the oldest change the receiver was not yet told"),
    "owed": ("ocpihub_delivery_owed_objects", "Objects the receiver did not take, 10000 at most are counted"),
    "quarantined": ("ocpihub_delivery_quarantined_objects", "Of them those that are not tried any more"),
}


class Facts:
    """However many scrape, PostgreSQL is asked once in FRESH_SECONDS."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._reading = asyncio.Lock()
        self._found: Sequence[Metric] = ()
        self._until = 0.0

    async def read(self) -> Sequence[Metric]:
        """`ocpihub_database_up` alone where PostgreSQL is away."""
        async with self._reading:
            if time.monotonic() >= self._until:
                self._found = await self._ask()
                self._until = time.monotonic() + FRESH_SECONDS
            return self._found

    async def _ask(self) -> Sequence[Metric]:
        up = GaugeMetricFamily("ocpihub_database_up", "1: PostgreSQL answers")
        try:
            async with self._database.connection(DATABASE_SECONDS) as connection:
                parties = await repository.parties(connection, MOST_PARTIES)
                destinations = await repository.destinations(connection, MOST_PARTIES, MOST_OWED)
                cdrs = await repository.unconfirmed_cdrs(connection)
        except DatabaseAway:
            up.add_metric((), 0)
            return [up]
        up.add_metric((), 1)
        return [up, *_of_parties(parties), *_of_destinations(destinations), *_of_cdrs(cdrs)]


def _of_parties(rows: Iterable[Mapping[str, Any]]) -> list[Metric]:
    connected = GaugeMetricFamily("ocpihub_party_connected", "1: its platform answers", labels=["party"])
    seen = GaugeMetricFamily(
        "ocpihub_party_seen_timestamp_seconds", "When its platform was heard of last", labels=["party"]
    )
    for row in rows:
        connected.add_metric([row["party"]], row["connected"])
        if row["last_seen"] is not None:
            seen.add_metric([row["party"]], row["last_seen"].timestamp())
    return [connected, seen]


def _of_destinations(rows: Sequence[Mapping[str, Any]]) -> list[Metric]:
    families: list[Metric] = []
    for column, (name, text) in _DELIVERY.items():
        family = GaugeMetricFamily(name, text, labels=["party"])
        for row in rows:
            family.add_metric([row["party"]], row[column])
        families.append(family)
    return families


def _of_cdrs(rows: Iterable[Mapping[str, Any]]) -> list[Metric]:
    number = GaugeMetricFamily(
        "ocpihub_unconfirmed_cdrs", "CDRs their receivers have not confirmed", labels=["state", "guaranteed"]
    )
    oldest = GaugeMetricFamily(
        "ocpihub_unconfirmed_cdrs_oldest_seconds", "Since the oldest of them changed", labels=["state", "guaranteed"]
    )
    for row in rows:
        labels = [row["state"], "yes" if row["guaranteed"] else "no"]
        number.add_metric(labels, row["number"])
        oldest.add_metric(labels, row["seconds"])
    return [number, oldest]
