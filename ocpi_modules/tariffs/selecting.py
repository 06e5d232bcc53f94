"""Which price component is active in each stretch of a session (T-17 to T-23, T-47)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from ocpi_modules.tariffs.elements import Dimension, PriceComponent
from ocpi_modules.tariffs.periods import PeriodKind, Stretch
from ocpi_modules.tariffs.rounding import Use


@dataclass(frozen=True, slots=True)
class Part:
    """One or more neighbouring stretches of the same period under the same components."""

    stretches: tuple[Stretch, ...]
    uses: tuple[Use, ...]


def select(by_period: Sequence[Sequence[Stretch]], expired: bool) -> list[Part]:
    """The session in parts: at each change of period or of an active component a new one begins.

    A dimension is looked up only where some of it was used; FLAT until found, once for the session and once for its
    reservation.
    """
    flat_taken: set[bool] = set()
    parts: list[Part] = []
    for stretches in by_period:
        fresh = True
        for stretch in stretches:
            uses = tuple(_uses(stretch, expired, flat_taken))
            if fresh or not _goes_on(parts[-1], uses):
                parts.append(Part((stretch,), uses))
            else:
                parts[-1] = Part((*parts[-1].stretches, stretch), (*parts[-1].uses, *uses))
            fresh = False
    return parts


def _goes_on(part: Part, uses: tuple[Use, ...]) -> bool:
    had = {use.component for use in part.uses if use.dimension is not Dimension.FLAT}
    return had == {use.component for use in uses}


def _uses(stretch: Stretch, expired: bool, flat_taken: set[bool]) -> Iterator[Use]:
    reserved = stretch.period.kind is PeriodKind.RESERVATION
    if reserved not in flat_taken:
        flat = _active(stretch, Dimension.FLAT, expired)
        if flat is not None:
            flat_taken.add(reserved)
            yield Use(Dimension.FLAT, flat, Fraction(1))
    for dimension, quantity in ((Dimension.ENERGY, stretch.energy), (stretch.period.kind.dimension, stretch.hours)):
        component = _active(stretch, dimension, expired) if quantity else None
        if component is not None:
            yield Use(dimension, component, quantity)


def _active(stretch: Stretch, dimension: Dimension, expired: bool) -> PriceComponent | None:
    if stretch.period.kind is not PeriodKind.RESERVATION:
        return stretch.tariff.active(dimension, stretch.moment)
    priced_as = Dimension.TIME if dimension is Dimension.RESERVATION_TIME else dimension
    return stretch.tariff.active_in_reservation(priced_as, stretch.moment, expired)
