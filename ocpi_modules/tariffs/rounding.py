"""step_size: quantities rounded up once per session (mod_cdrs step_size, T-38 to T-48).

Once for ENERGY, once for TIME and PARKING_TIME together, once for the time of a reservation. The component of the last
stretch of that kind gives the step and takes what is added. When charging and parking time both cost something, only
the total of the parking time is rounded, also when charging went on after the parking.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from ocpi_modules.tariffs.elements import Dimension, PriceComponent

STEPS_PER_UNIT = {
    Dimension.ENERGY: 1000,
    Dimension.TIME: 3600,
    Dimension.PARKING_TIME: 3600,
    Dimension.RESERVATION_TIME: 3600,
}


@dataclass(frozen=True, slots=True)
class Use:
    """A quantity (kWh, hours or times) of a dimension used under one component."""

    dimension: Dimension
    component: PriceComponent
    quantity: Fraction


def round_up(uses: Sequence[Use]) -> list[Use]:
    """The uses, in order, followed by what the step_size adds."""
    dimensions = {use.dimension for use in uses}
    time = Dimension.PARKING_TIME if Dimension.PARKING_TIME in dimensions else Dimension.TIME
    added = (_added(uses, dimension) for dimension in (Dimension.ENERGY, time, Dimension.RESERVATION_TIME))
    return [*uses, *(use for use in added if use is not None)]


def _added(uses: Sequence[Use], dimension: Dimension) -> Use | None:
    alike = [use for use in uses if use.dimension is dimension]
    if not alike:
        return None
    last = alike[-1].component
    total = sum((use.quantity for use in alike), Fraction(0))
    step = Fraction(last.step_size, STEPS_PER_UNIT[dimension])
    return Use(dimension, last, -(-total // step) * step - total)
