"""One transaction as the facts known about it. `apply` takes facts in any order, any number of times (R18 to R24, R43).

A Transaction holds facts only, in sets with an order of their own, so that what is computed from it (energy, periods,
session, CDR) depends on what is known and never on how it arrived.
"""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from cpo_adapter.charging.events import Orphaned, Sample, Sampled, Started, StatusReported, Stopped
from cpo_adapter.charging.flags import Flag

Fact = Started | Sampled | StatusReported | Stopped | Orphaned
Dated = TypeVar("Dated", Started, Stopped, StatusReported, Sample)
Ordered = TypeVar("Ordered", bound=Sample | StatusReported)

MOST_SAMPLES = 20_000
MOST_STATUSES = 2_000
MOST_STOPS = 10
EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)
MOST_AHEAD = timedelta(minutes=5)
SHORTEST_ZONE = timedelta(minutes=15)
KEPT = ("Energy.Active.Import", "Energy.Active.Export", "Power.Active.Import", "Current.Import", "SoC")


@dataclass(frozen=True)
class Opening:
    """What is known when a transaction starts, frozen for its session and CDR (D-09).

    `location`, `connector`, `cdr_token` and `tariffs` are OCPI 2.2.1 objects as Python values with Decimals. The first
    tariff is the one that applies; `currency` counts only when there is none. `transaction_id` is the charger's number,
    `refused` says the token was refused (R33), `too_late` that it would have been, had the charge not begun before it was
    reported (R32), `max_power_w` the most the connector can deliver.
    """

    session_id: str
    charger_id: str
    connector_id: int
    location: dict[str, Any]
    evse_uid: str
    connector: dict[str, Any]
    tariffs: list[dict[str, Any]]
    cdr_token: dict[str, Any]
    auth_method: str
    authorization_reference: str | None = None
    meter_id: str | None = None
    time_zone: str = "UTC"
    max_power_w: Decimal | None = None
    transaction_id: int | None = None
    currency: str = "EUR"
    refused: bool = False
    too_late: bool = False
    public_key: str | None = None
    reserved_at: datetime | None = None

    @property
    def is_somebodys(self) -> bool:
        """Whether the token was known; where it was not, a charge of an offline time has nobody to be told of it (R32)."""
        return bool(self.cdr_token["uid"])


@dataclass(frozen=True)
class Transaction:
    """An Opening and the facts reduced so far. `information` are samples that came without a transaction id of ours: they never
    decide the final energy (R42). `numbers_used` are the transaction ids its charger gave its samples, ours or invented."""

    opening: Opening
    started: Started | None = None
    stops: tuple[Stopped, ...] = ()
    samples: tuple[Sample, ...] = ()
    information: tuple[Sample, ...] = ()
    statuses: tuple[StatusReported, ...] = ()
    orphaned: Orphaned | None = None
    numbers_used: frozenset[int] = frozenset()

    @property
    def stopped(self) -> Stopped | None:
        """The first stop that arrived; later ones change nothing (R21)."""
        return self.stops[0] if self.stops else None

    @property
    def start(self) -> datetime:
        """When the transaction began; without a Started the first instant known. ValueError when nothing is known."""
        if self.started is not None:
            return self.started.at
        known = [sample.at for sample in (*self.samples, *self.stop_samples)]
        known += [stop.at for stop in self.stops[:1]] + [status.at or status.received_at for status in self.statuses]
        if not known:
            raise ValueError(f"Nothing is known about the transaction of session {self.opening.session_id} yet.")
        return min(known)

    @property
    def end(self) -> datetime | None:
        """When it ended: the stop, else the last value before it was given up, never before the start."""
        if self.stopped is not None:
            return max(self.stopped.at, self.start)
        if self.orphaned is None:
            return None
        before = [sample.at for sample in self.samples if sample.at <= self.orphaned.at]
        return max([self.start, *before[-1:]])

    @property
    def last_known(self) -> datetime:
        """The end, or the latest instant any fact speaks of while it runs."""
        if self.end is not None:
            return self.end
        known = [sample.at for sample in (*self.samples[-1:], *self.information[-1:])]
        known += [status.at or status.received_at for status in self.statuses[-1:]]
        return max([self.start, *known])

    @property
    def stop_samples(self) -> tuple[Sample, ...]:
        """The samples that came with the stop."""
        return self.stopped.samples if self.stopped else ()

    @property
    def flags(self) -> frozenset[Flag]:
        """What is unusual about the facts themselves; the energy has its own flags."""
        dated = (self.started, self.stopped, *self.samples, *self.stop_samples)
        found = {
            Flag.time_corrected: any(fact is not None and fact.raw_at is not None for fact in dated),
            Flag.start_missing: self.started is None,
            Flag.stop_repeated: len({(stop.meter_stop, stop.raw_at or stop.at) for stop in self.stops}) > 1,
            Flag.stop_before_start: self.stopped is not None and self.stopped.at < self.start,
            Flag.end_estimated: self.stopped is None and self.orphaned is not None,
            Flag.samples_truncated: len(self.samples) >= MOST_SAMPLES,
        }
        return frozenset(flag for flag, holds in found.items() if holds)


def apply(transaction: Transaction, fact: Fact) -> Transaction:
    """The transaction with one more fact. Order does not matter, repeating changes nothing, foreign facts are ignored."""
    if not _concerns(transaction.opening, fact):
        return transaction
    match fact:
        case Started():
            return replace(transaction, started=_first(transaction.started, repaired(fact)))
        case Stopped():
            sane = _with_sane_samples(repaired(fact), timedelta(0))
            return replace(transaction, stops=_with_stop(transaction.stops, sane))
        case Sampled():
            return _with_samples(transaction, fact)
        case StatusReported():
            return replace(transaction, statuses=_united(transaction.statuses, (repaired(fact),), MOST_STATUSES))
        case Orphaned():
            known = transaction.orphaned
            earlier = known is not None and (known.at, known.received_at) <= (fact.at, fact.received_at)
            return transaction if earlier else replace(transaction, orphaned=fact)


def corrected(fact: Fact, offset: timedelta) -> Fact:
    """A fact to be stored, its times and those of its samples made believable with a known offset of the charger's clock
    (ours minus the charger's, R23). Times that are believable stay, so `apply` needs no offset later."""
    match fact:
        case Started():
            return repaired(fact, offset)
        case StatusReported():
            return repaired(fact, offset)
        case Stopped():
            return _with_sane_samples(repaired(fact, offset), offset)
        case Sampled():
            return replace(fact, samples=tuple(repaired(each, offset, fact.received_at) for each in fact.samples))
        case Orphaned():
            return fact


def repaired(fact: Dated, offset: timedelta = timedelta(0), received_at: datetime | None = None) -> Dated:
    """The fact with a believable time (R23): before 2020, over 5 minutes ahead of arrival, or a whole time zone off.

    `offset` is our clock minus the charger's. The time becomes the charger's plus offset when that is believable, else the
    arrival; `raw_at` keeps what was received. `received_at` is needed for a Sample only.
    """
    arrived = received_at or getattr(fact, "received_at", None)
    if fact.at is None or fact.raw_at is not None or not isinstance(arrived, datetime):
        return fact
    if _believable(fact.at, arrived) and not is_zone(offset):
        return fact
    moved = _shifted(fact.at, offset)
    at = moved if moved is not None and _believable(moved, arrived) else arrived
    return fact if at == fact.at else replace(fact, at=at, raw_at=fact.at)


def _believable(at: datetime, arrived: datetime) -> bool:
    return EARLIEST <= at <= arrived + MOST_AHEAD


def is_zone(offset: timedelta) -> bool:
    """Plainly local time sent as UTC: a multiple of a quarter of an hour, give or take a minute."""
    rest = abs(offset) % SHORTEST_ZONE
    near = min(rest, SHORTEST_ZONE - rest) <= timedelta(minutes=1)
    return near and SHORTEST_ZONE * 2 - timedelta(minutes=1) <= abs(offset) <= timedelta(hours=14, minutes=1)


def _shifted(at: datetime, offset: timedelta) -> datetime | None:
    try:
        return at + offset
    except OverflowError:
        return None


def _concerns(opening: Opening, fact: Fact) -> bool:
    if fact.charger_id != opening.charger_id:
        return False
    match fact:
        case Started() | StatusReported():
            return fact.connector_id == opening.connector_id
        case Sampled(transaction_id=None):
            return fact.connector_id == opening.connector_id
        case Sampled() | Stopped():
            return opening.transaction_id in (None, fact.transaction_id)
        case Orphaned():
            return True


def _first(known: Started | None, fact: Started) -> Started:
    return fact if known is None else min(known, fact, key=lambda start: (start.received_at, repr(start)))


def _with_stop(known: tuple[Stopped, ...], fact: Stopped) -> tuple[Stopped, ...]:
    """One stop per content, the earliest arrival of each, in order of arrival."""
    by_content: dict[str, Stopped] = {}
    for stop in sorted({*known, fact}, key=_arrival):
        by_content.setdefault(repr(replace(stop, received_at=EARLIEST, at=stop.raw_at or stop.at, raw_at=None)), stop)
    return tuple(by_content.values())[:MOST_STOPS]


def _arrival(stop: Stopped) -> tuple[datetime, str]:
    return stop.received_at, repr(stop)


def _with_sane_samples(fact: Stopped, offset: timedelta) -> Stopped:
    return replace(fact, samples=tuple(repaired(sample, offset, fact.received_at) for sample in fact.samples))


def _with_samples(transaction: Transaction, fact: Sampled) -> Transaction:
    kept = [
        repaired(sample, timedelta(0), fact.received_at)
        for sample in fact.samples
        if sample.measurand.startswith(KEPT) or sample.format == "SignedData"
    ]
    named = [number for number in (fact.transaction_id, fact.invented_id) if number is not None]
    used = transaction.numbers_used.union(named)
    if fact.transaction_id is None:
        information = _united(transaction.information, kept, MOST_SAMPLES)
        return replace(transaction, information=information, numbers_used=used)
    return replace(transaction, samples=_united(transaction.samples, kept, MOST_SAMPLES), numbers_used=used)


def _united(known: tuple[Ordered, ...], more: Iterable[Ordered], most: int) -> tuple[Ordered, ...]:
    """Both as one set in the order of time, the latest `most` of it."""
    united = list(known)
    for item in more:
        at = bisect_left(united, place(item), key=place)
        if at == len(united) or united[at] != item:
            united.insert(at, item)
    return known if len(united) == len(known) else tuple(united[-most:])


def place(item: Sample | StatusReported) -> tuple[datetime, tuple[str, ...]]:
    """The order of samples and statuses: time, then a fixed order of their own, in which only equals are alike."""
    if isinstance(item, Sample):
        return item.at, (
            item.measurand,
            item.phase,
            item.location,
            item.context,
            item.format,
            item.unit,
            item.raw_value,
            str(item.value),
            str(item.raw_at),
        )
    at = item.at or item.received_at
    return at, (item.status, item.error_code, item.info, str(item.received_at), str(item.at), str(item.raw_at))
