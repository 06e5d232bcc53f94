"""min_price and max_price of a tariff, each for the amounts without and with VAT (T-52, T-53)."""

from fractions import Fraction

from ocpi_modules.tariffs.amounts import Unpriceable
from ocpi_modules.tariffs.elements import Tariff

Amounts = tuple[Fraction, Fraction | None]


def bounded(tariff: Tariff, amounts: Amounts, reservation_only: bool) -> Amounts:
    """The amounts (without VAT, with VAT or None) held within the tariff's bounds.

    A bound without incl_vat binds the amount without VAT only; when that lifts it above the amount with VAT, the latter
    is unknown. Bounds are for charging sessions: Unpriceable when they would change the price of a mere reservation.
    """
    held = _held(tariff, amounts)
    if reservation_only and held != amounts:
        raise Unpriceable("min_price, max_price: not defined for a reservation without a charging session")
    return held


def _held(tariff: Tariff, amounts: Amounts) -> Amounts:
    excl_vat, incl_vat = amounts
    least, most = tariff.min_price, tariff.max_price
    if least is not None:
        excl_vat = max(excl_vat, Fraction(least.excl_vat))
        if incl_vat is not None and least.incl_vat is not None:
            incl_vat = max(incl_vat, Fraction(least.incl_vat))
        elif incl_vat is not None and excl_vat > incl_vat:
            incl_vat = None
    if most is not None:
        excl_vat = min(excl_vat, Fraction(most.excl_vat))
        if incl_vat is not None and most.incl_vat is not None:
            incl_vat = min(incl_vat, Fraction(most.incl_vat))
    return excl_vat, incl_vat
