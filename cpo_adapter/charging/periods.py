"""The stretches of a transaction for pricing, and the ChargingPeriods that come of them (R70, D-10, D-43)."""

from collections.abc import Sequence
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cpo_adapter.charging.energy import POWER, Energy
from cpo_adapter.charging.transaction import Transaction
from ocpi_modules.tariffs.pricing import Cost, Period, PeriodKind, PricedPeriod, Tariff, price
from ocpi_modules.types import format_datetime

PLACES = Decimal("0.0001")
WAKING_POWER = Decimal(100)
KINDS = {
    "Charging": PeriodKind.CHARGING,
    "SuspendedEVSE": PeriodKind.CHARGING,
    "SuspendedEV": PeriodKind.PARKING,
}


def kwh(wh: Decimal) -> Decimal:
    """Wh as kWh with at most 4 decimals, without trailing zeros."""
    rounded = (wh / 1000).quantize(PLACES, ROUND_HALF_UP).normalize()
    return rounded.quantize(Decimal(1)) if rounded == rounded.to_integral_value() else rounded


def changes(transaction: Transaction) -> list[tuple[datetime, PeriodKind]]:
    """When the transaction was charging and when parking, beginning at its start.

    Parking is the vehicle asking for no power: SuspendedEV, until another status or a power sample of 100 W or more.
    SuspendedEVSE counts as charging time (D-43). Finishing and all other statuses change nothing.
    """
    start, end = transaction.start, transaction.last_known
    seen = [
        (status.at or status.received_at, KINDS[status.status])
        for status in transaction.statuses
        if status.status in KINDS
    ]
    seen += [
        (sample.at, PeriodKind.CHARGING)
        for sample in transaction.samples
        if sample.measurand == POWER and sample.value is not None and sample.value >= WAKING_POWER
    ]
    result = [(start, PeriodKind.CHARGING)]
    for at, kind in sorted(seen, key=lambda item: (item[0], item[1])):
        if kind is result[-1][1] or at >= end:
            continue
        result[-1:] = [(start, kind)] if at <= start else [result[-1], (at, kind)]
    return result


def stretches(transaction: Transaction, energy: Energy) -> list[Period]:
    """Periods between all changes, their energy in kWh with 4 decimals; the energies add up to the rounded total."""
    kinds, end = changes(transaction), transaction.last_known
    borders = [*(at for at, _ in kinds), end]
    tariffs = transaction.opening.tariffs
    tariff_id = tariffs[0]["id"] if tariffs else None
    result: list[Period] = []
    for (begin, until), (_, kind) in zip(pairwise(borders), kinds, strict=True):
        used = kwh(energy.until(until) if until < end else energy.total) - kwh(energy.until(begin))
        result.append(Period(begin, until, used, kind, tariff_id=tariff_id))
    return result


def priced(transaction: Transaction, energy: Energy) -> Cost:
    """What the transaction costs under its first tariff. Raises Unpriceable."""
    tariff = Tariff.from_ocpi(transaction.opening.tariffs[0])
    return price(tariff, stretches(transaction, energy), _zone(transaction.opening.time_zone))


def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return None


def charging_periods(periods: Sequence[PricedPeriod]) -> list[dict[str, Any]]:
    """OCPI ChargingPeriods of priced ones."""
    return [
        {
            "start_date_time": format_datetime(period.start),
            "dimensions": [{"type": kind.value, "volume": volume} for kind, volume in period.dimensions],
            "tariff_id": period.tariff_id,
        }
        for period in periods
    ]
