"""What a session costs: tariffs and charging periods in, cost out. Pure, exact, no rounding of money (T-17 to T-59).

The one pricing of this project: Session.total_cost, the CDR and the check of a foreign CDR all come from `price`.
Whatever cannot be priced with certainty raises Unpriceable; nothing is guessed.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from decimal import Decimal
from fractions import Fraction

from ocpi_modules.tariffs.amounts import Price, Unpriceable, to_decimal, to_ocpi_number, to_ocpi_price
from ocpi_modules.tariffs.bounds import Amounts, bounded
from ocpi_modules.tariffs.elements import Dimension, PriceComponent, Tariff
from ocpi_modules.tariffs.periods import Period, PeriodKind, check, stretches
from ocpi_modules.tariffs.reporting import PricedPeriod, report
from ocpi_modules.tariffs.rounding import Use, round_up
from ocpi_modules.tariffs.selecting import select

__all__ = [
    "Cost",
    "Dimension",
    "Line",
    "Period",
    "PeriodKind",
    "Price",
    "PricedPeriod",
    "Tariff",
    "Unpriceable",
    "price",
    "to_ocpi_number",
    "to_ocpi_price",
]


@dataclass(frozen=True, slots=True)
class Line:
    """What one price component costs: billed quantity (kWh, hours, or 1 for FLAT) after step_size, and its amounts."""

    dimension: Dimension
    component: PriceComponent
    quantity: Decimal
    cost: Price


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of a session, unrounded (T-54), and what its CDR needs (D-25).

    `total` is within min_price and max_price; the other prices are the sums before those bounds. `incl_vat` is None
    when no tariff used names a VAT. `fixed` leaves out the FLAT of a reservation or of parking, which are in
    `reservation` and `parking` (D-31). `billed` holds quantities after step_size, in kWh and hours. `total_energy`
    (kWh) is exact; `total_time` and `total_parking_time` (hours, without the reservation) are the sums of `periods`.
    """

    currency: str
    total: Price
    fixed: Price
    energy: Price
    time: Price
    parking: Price
    reservation: Price
    billed: Mapping[Dimension, Decimal]
    lines: tuple[Line, ...]
    periods: tuple[PricedPeriod, ...]
    total_energy: Decimal
    total_time: Decimal
    total_parking_time: Decimal


def price(
    tariffs: Tariff | Sequence[Tariff],
    periods: Sequence[Period],
    time_zone: tzinfo | None = None,
    *,
    reservation_expired: bool = False,
) -> Cost:
    """Price a session, finished or running.

    With several tariffs each period names its own by `tariff_id`. `time_zone` is that of the Location (T-56).
    `reservation_expired` says that the reservation ran out unused; then no charging may follow (T-33).
    Raises Unpriceable, naming the field, when the price is not certain.
    """
    known = (tariffs,) if isinstance(tariffs, Tariff) else tuple(tariffs)
    check(periods)
    if reservation_expired and any(period.kind is not PeriodKind.RESERVATION for period in periods):
        raise Unpriceable("reservation_expired: an expired reservation has no charging or parking periods")
    used = _assign(known, periods)
    parts = select(stretches(periods, used, time_zone), reservation_expired)
    uses = round_up([use for part in parts for use in part.uses])
    return _sum_up(used, uses, periods, report(parts))


def _sum_up(
    used: Sequence[Tariff], uses: Sequence[Use], periods: Sequence[Period], reported: tuple[PricedPeriod, ...]
) -> Cost:
    has_vat = any(tariff.has_vat for tariff in used)

    def total_of(belongs: Callable[[Use], bool]) -> Price:
        return _to_price(_amounts((use for use in uses if belongs(use)), has_vat))

    session = [period for period in reported if period.kind is not PeriodKind.RESERVATION]
    parked = (period.hours for period in session if period.kind is PeriodKind.PARKING)
    return Cost(
        currency=used[0].currency,
        total=_to_price(_total(used, uses, periods, has_vat)),
        fixed=total_of(lambda use: _cost_field(use) == "fixed"),
        energy=total_of(lambda use: _cost_field(use) == "energy"),
        time=total_of(lambda use: _cost_field(use) == "time"),
        parking=total_of(lambda use: _cost_field(use) == "parking"),
        reservation=total_of(lambda use: _cost_field(use) == "reservation"),
        billed={d: to_decimal(_quantity(use for use in uses if use.dimension is d)) for d in Dimension},
        lines=tuple(_lines(uses, has_vat)),
        periods=reported,
        total_energy=to_decimal(sum((Fraction(period.energy) for period in periods), Fraction(0))),
        total_time=sum((period.hours for period in session), Decimal(0)),
        total_parking_time=sum(parked, Decimal(0)),
    )


def _assign(tariffs: Sequence[Tariff], periods: Sequence[Period]) -> list[Tariff]:
    """The tariff of each period; ids are compared without case (CiString)."""
    by_id = {tariff.id.casefold(): tariff for tariff in tariffs}
    if not tariffs or len(by_id) < len(tariffs):
        raise Unpriceable("tariffs must be one or more with different ids")
    found: list[Tariff] = []
    for number, period in enumerate(periods):
        if period.tariff_id is None and len(tariffs) > 1:
            raise Unpriceable(f"periods[{number}].tariff_id is missing, and there is more than one tariff")
        tariff = tariffs[0] if period.tariff_id is None else by_id.get(period.tariff_id.casefold())
        if tariff is None:
            raise Unpriceable(f"periods[{number}].tariff_id {period.tariff_id!r} is not among the tariffs")
        found.append(tariff)
    if len({tariff.currency for tariff in found}) > 1:
        raise Unpriceable("currency differs between the tariffs of the session")
    return found


def _cost_field(use: Use) -> str:
    """Which cost of the CDR the use belongs to (D-25, D-31)."""
    if use.component.of_reservation:
        return "reservation"
    if use.dimension is Dimension.PARKING_TIME or use.component.of_parking:
        return "parking"
    return {Dimension.FLAT: "fixed", Dimension.ENERGY: "energy"}.get(use.dimension, "time")


def _total(used: Sequence[Tariff], uses: Sequence[Use], periods: Sequence[Period], has_vat: bool) -> Amounts:
    """Each tariff's share within its own bounds, added up (T-53)."""
    excl_vat, incl_vat = Fraction(0), Fraction(0) if has_vat else None
    for tariff in {tariff.id: tariff for tariff in used}.values():
        mine = [period for period, its in zip(periods, used, strict=True) if its is tariff]
        only_reserved = all(period.kind is PeriodKind.RESERVATION for period in mine)
        amounts = _amounts((use for use in uses if use.component.tariff_id == tariff.id), has_vat)
        share_excl, share_incl = bounded(tariff, amounts, only_reserved)
        excl_vat += share_excl
        incl_vat = None if incl_vat is None or share_incl is None else incl_vat + share_incl
    return excl_vat, incl_vat


def _amounts(uses: Iterable[Use], has_vat: bool) -> Amounts:
    excl_vat, incl_vat = Fraction(0), Fraction(0)
    for use in uses:
        without, including = use.component.amount(use.quantity)
        excl_vat, incl_vat = excl_vat + without, incl_vat + including
    return excl_vat, incl_vat if has_vat else None


def _lines(uses: Sequence[Use], has_vat: bool) -> Iterable[Line]:
    """One line per component, in the order they became active."""
    for component in dict.fromkeys(use.component for use in uses):
        mine = [use for use in uses if use.component == component]
        cost = _to_price(_amounts(mine, has_vat))
        yield Line(mine[0].dimension, component, to_decimal(_quantity(mine)), cost)


def _quantity(uses: Iterable[Use]) -> Fraction:
    return sum((use.quantity for use in uses), Fraction(0))


def _to_price(amounts: Amounts) -> Price:
    excl_vat, incl_vat = amounts
    return Price(to_decimal(excl_vat), None if incl_vat is None else to_decimal(incl_vat))
