"""The stretches of a transaction for pricing, and the ChargingPeriods that come of them (R70, D-10, D-43)."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import groupby, pairwise
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cpo_adapter.charging.energy import POWER, WINDOW, Energy, hours
from cpo_adapter.charging.events import Sample
from cpo_adapter.charging.transaction import Transaction
from ocpi_modules.tariffs.elements import Dimension, PriceComponent
from ocpi_modules.tariffs.pricing import Cost, Period, PeriodKind, PricedPeriod, Tariff, price, to_ocpi_number
from ocpi_modules.types import format_datetime

CURRENT = "Current.Import"
WAKING_POWER = Decimal(100)
MOST_KNOTS = 300
MOMENTARY = timedelta(minutes=15)
SHORTEST = timedelta(milliseconds=180)
"""Half of the 0.0001 h in which a CDR counts time: anything shorter would be billed and shown as 0."""
KINDS = {
    "Charging": PeriodKind.CHARGING,
    "SuspendedEVSE": PeriodKind.CHARGING,
    "SuspendedEV": PeriodKind.PARKING,
}
Restricted = frozenset[str]


def kwh(wh: Decimal) -> Decimal:
    """Wh as kWh with at most 4 decimals."""
    return to_ocpi_number(wh / 1000)


def changes(transaction: Transaction) -> list[tuple[datetime, PeriodKind]]:
    """When the transaction was charging and when parking, beginning at its start.

    Parking is the vehicle asking for no power: SuspendedEV, until Charging, SuspendedEVSE or a power sample of 100 W or
    more. SuspendedEVSE counts as charging time (D-43). Finishing and all other statuses change nothing.
    Of the statuses before the start only the last counts, if it is at most 5 minutes old: others belong to another session.
    A change that lasts less than SHORTEST is none.
    """
    start, end = transaction.start, transaction.last_known
    statuses = [(status.at or status.received_at, status.status) for status in transaction.statuses]
    earlier = [status for at, status in statuses if start - WINDOW <= at <= start]
    seen = [(at, KINDS[status]) for at, status in statuses if status in KINDS and at > start]
    seen += [(s.at, PeriodKind.CHARGING) for s in transaction.samples if _wakes(s) and s.at > start]
    result = [(start, KINDS.get(earlier[-1], PeriodKind.CHARGING) if earlier else PeriodKind.CHARGING)]
    for at, kind in sorted(seen):
        if at < end and kind is not result[-1][1]:
            result.append((at, kind))
    return _lasting(result, end)


def _lasting(changes: list[tuple[datetime, PeriodKind]], end: datetime) -> list[tuple[datetime, PeriodKind]]:
    """Without the changes that do not last; the first to last begins where the first of all did."""
    result: list[tuple[datetime, PeriodKind]] = []
    for (at, kind), (until, _) in pairwise([*changes, (end, PeriodKind.CHARGING)]):
        if until - at >= SHORTEST and (not result or kind is not result[-1][1]):
            result.append((at if result else changes[0][0], kind))
    return result or changes[:1]


def _wakes(sample: Sample) -> bool:
    at_outlet = (sample.measurand, sample.location, sample.unit) == (POWER, "Outlet", "W")
    return at_outlet and sample.value is not None and sample.value >= WAKING_POWER


def stretches(transaction: Transaction, energy: Energy) -> list[Period]:
    """What pricing works with: the reservation if there was one, then a period from each change to the next.

    Where the tariff has restrictions also each reading is a border, so that its limits are met where they were. Energies
    have 4 decimals of a kWh and add up to the rounded total.
    """
    tariff, start = transaction.opening.tariffs[0], transaction.start
    restricted = _restricted(tariff)
    knots = _knots(energy) if restricted else []
    borders = _borders(transaction, knots)
    reserved_at = transaction.opening.reserved_at
    result = []
    if reserved_at is not None and reserved_at < start:
        result.append(Period(reserved_at, start, kind=PeriodKind.RESERVATION, tariff_id=tariff["id"]))
    before = Decimal(0)
    for (begin, kind), (until, _) in pairwise(borders):
        after = energy.until(until)
        power = _power(begin, until, after - before) if restricted & {"min_power", "max_power"} else None
        current = _current(transaction, begin, until) if restricted & {"min_current", "max_current"} else None
        result.append(Period(begin, until, kwh(after) - kwh(before), kind, power, current, tariff["id"]))
        before = after
    return result


def _restricted(tariff: dict[str, Any]) -> Restricted:
    elements = tariff.get("elements")
    found = [element.get("restrictions") for element in elements] if isinstance(elements, list) else []
    return frozenset(name for restrictions in found if restrictions for name in restrictions)


def _knots(energy: Energy) -> list[datetime]:
    points = [point.at for point in energy.curve]
    return points[:: len(points) // MOST_KNOTS + 1]


def _borders(transaction: Transaction, knots: Sequence[datetime]) -> list[tuple[datetime, PeriodKind]]:
    """All borders in order, each with the kind of time that begins there; the last is the end."""
    kinds, end = changes(transaction), transaction.last_known
    inner = {at for at in knots if transaction.start < at < end} - {at for at, _ in kinds}
    times = [at for at, _ in kinds]
    between = [(at, kinds[bisect_right(times, at) - 1][1]) for at in inner]
    return [*sorted([*kinds, *between]), (end, PeriodKind.CHARGING)]


def _power(begin: datetime, until: datetime, used: Decimal) -> Decimal | None:
    """kW between two neighbouring readings; over a long time the average says nothing about a moment."""
    return used / 1000 / hours(begin, until) if begin < until <= begin + MOMENTARY else None


def _current(transaction: Transaction, begin: datetime, until: datetime) -> Decimal | None:
    """Ampere of the last sample until the end of the period: the total, else the sum of the phases (T-27, R35)."""
    seen = [
        s
        for s in transaction.samples
        if (s.measurand, s.location) == (CURRENT, "Outlet")
        and s.value is not None
        and begin - MOMENTARY <= s.at <= until
    ]
    groups = [list(group) for _, group in groupby(seen, key=lambda s: s.at)]
    if not groups:
        return None
    by_phase = {s.phase: s.value for s in groups[-1] if s.value is not None and s.phase != "N"}
    return by_phase[""] if "" in by_phase else sum(by_phase.values(), Decimal(0))


def priced(transaction: Transaction, energy: Energy) -> Cost:
    """What the transaction costs under its first tariff. Raises Unpriceable."""
    tariff = Tariff.from_ocpi(transaction.opening.tariffs[0])
    return price(tariff, stretches(transaction, energy), _zone(transaction.opening.time_zone))


def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return None


@dataclass
class _Merged:
    """Neighbouring priced periods that say the same."""

    first: PricedPeriod
    energy: Decimal
    hours: Decimal
    powers: list[Decimal]
    components: dict[Dimension, PriceComponent | None] = field(default_factory=dict)

    def goes_on(self, period: PricedPeriod, components: dict[Dimension, PriceComponent | None]) -> bool:
        """Whether kind, tariff and every price in use are the same; what was not used has no price to differ."""
        same = period.kind is self.first.kind and period.tariff_id == self.first.tariff_id
        return same and all(self.components.get(kind, found) == found for kind, found in components.items())


def charging_periods(periods: Sequence[PricedPeriod]) -> list[dict[str, Any]]:
    """OCPI ChargingPeriods: a new one where charging, parking or a price component changed, not at each reading."""
    merged: list[_Merged] = []
    for period in periods:
        components = _components(period)
        powers = [] if period.power_kw is None else [period.power_kw]
        if merged and merged[-1].goes_on(period, components):
            last = merged[-1]
            last.energy, last.hours = last.energy + period.energy, last.hours + period.hours
            last.components.update(components)
            last.powers += powers
        else:
            merged.append(_Merged(period, period.energy, period.hours, powers, components))
    return [_to_ocpi(each) for each in merged]


def _components(period: PricedPeriod) -> dict[Dimension, PriceComponent | None]:
    found = {component.type: component for component in period.components}
    used = ((Dimension.ENERGY, period.energy), (period.kind.dimension, period.hours))
    return {kind: found.get(kind) for kind, quantity in used if quantity}


def _to_ocpi(merged: _Merged) -> dict[str, Any]:
    kind = merged.first.kind
    volumes = [] if kind is PeriodKind.RESERVATION else [("ENERGY", to_ocpi_number(merged.energy))]
    volumes.append((kind.dimension.value, to_ocpi_number(merged.hours)))
    if merged.powers:
        volumes.append(("MIN_POWER", to_ocpi_number(min(merged.powers))))
        volumes.append(("MAX_POWER", to_ocpi_number(max(merged.powers))))
    return {
        "start_date_time": format_datetime(merged.first.start),
        "dimensions": [{"type": name, "volume": volume} for name, volume in volumes],
        "tariff_id": merged.first.tariff_id,
    }
