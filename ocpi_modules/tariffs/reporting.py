"""The priced session as charging periods: a new one wherever another component became active (CDR ChargingPeriod)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_FLOOR, Decimal
from fractions import Fraction

from ocpi_modules.tariffs.amounts import to_decimal, to_ocpi_number
from ocpi_modules.tariffs.elements import Dimension, PriceComponent
from ocpi_modules.tariffs.periods import PeriodKind, Stretch, instant
from ocpi_modules.tariffs.selecting import Part


@dataclass(frozen=True, slots=True)
class PricedPeriod:
    """A ChargingPeriod under one set of components.

    `energy` is in kWh: as given where the caller's periods end, 4 decimals at moments calculated in between, and always
    adding up to the exact total. `hours` have 4 decimals and add up to the rounded total of their kind. `components` are
    those used here for energy and time.
    """

    start: datetime
    end: datetime
    kind: PeriodKind
    tariff_id: str
    energy: Decimal
    hours: Decimal
    power_kw: Decimal | None
    current_a: Decimal | None
    components: tuple[PriceComponent, ...] = ()

    @property
    def dimensions(self) -> tuple[tuple[Dimension, Decimal], ...]:
        """The CdrDimensions (type, volume) that the price depends on (D-40, D-41)."""
        time = (self.kind.dimension, self.hours)
        return (time,) if self.kind is PeriodKind.RESERVATION else ((Dimension.ENERGY, self.energy), time)


def report(parts: Sequence[Part]) -> tuple[PricedPeriod, ...]:
    """The parts as periods with volumes of their own, never negative."""
    lasted = dict.fromkeys(PeriodKind, Fraction(0))
    energy_before = Decimal(0)
    result: list[PricedPeriod] = []
    for number, part in enumerate(parts):
        first, last = part.stretches[0], part.stretches[-1]
        period, hours_before = first.period, to_ocpi_number(to_decimal(lasted[first.period.kind]))
        lasted[period.kind] += (last.end.at - first.begin.at) / 3600
        ends_period = number + 1 == len(parts) or parts[number + 1].stretches[0].period is not period
        energy = _energy_until(last, ends_period, energy_before)
        result.append(
            PricedPeriod(
                start=instant(first.begin.at),
                end=instant(last.end.at),
                kind=period.kind,
                tariff_id=first.tariff.id,
                energy=to_decimal(Fraction(energy) - Fraction(energy_before)),
                hours=to_ocpi_number(to_decimal(lasted[period.kind])) - hours_before,
                power_kw=period.power_kw,
                current_a=period.current_a,
                components=_components(part),
            )
        )
        energy_before = energy
    return tuple(result)


def _components(part: Part) -> tuple[PriceComponent, ...]:
    used = (use.component for use in part.uses if use.dimension is not Dimension.FLAT)
    return tuple(dict.fromkeys(used))


def _energy_until(last: Stretch, ends_period: bool, before: Decimal) -> Decimal:
    """The kWh since the start at the end of a part; rounded down in between, so that no energy becomes negative."""
    exact = to_decimal(last.end.energy)
    return exact if ends_period else max(before, exact.quantize(Decimal("0.0001"), ROUND_FLOOR))
