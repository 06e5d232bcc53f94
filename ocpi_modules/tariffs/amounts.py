"""Exact amounts: fractions while counting, Decimal when shown. Nothing here rounds money unless asked to (T-54)."""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal
from fractions import Fraction

_WIDE = Context(prec=60, rounding=ROUND_HALF_UP)


class Unpriceable(ValueError):
    """These facts have no certain price; `reason` names the field and says what is missing or not understood."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Price:
    """An amount of money, unrounded. `incl_vat` None means unknown, never "the same as excl_vat" (Y-15, Y-16)."""

    excl_vat: Decimal
    incl_vat: Decimal | None = None


def to_decimal(value: Fraction) -> Decimal:
    """The value as Decimal: exact when it has at most 60 digits, otherwise its first 60 digits."""
    return _WIDE.divide(Decimal(value.numerator), Decimal(value.denominator))


def to_ocpi_number(value: Decimal, places: int = 4) -> Decimal:
    """Round half up to the decimals OCPI gives numbers (Y-13), without trailing zeros or exponent."""
    rounded = value.quantize(Decimal(1).scaleb(-places), context=_WIDE)
    plain = rounded.normalize(_WIDE)
    if not plain:
        return Decimal(0)
    exponent = plain.as_tuple().exponent
    return plain.quantize(Decimal(1), context=_WIDE) if isinstance(exponent, int) and exponent > 0 else plain


def to_ocpi_price(price: Price) -> Price:
    """The price as it is written in a Session or CDR: both amounts with at most 4 decimals, rounded half up."""
    incl_vat = None if price.incl_vat is None else to_ocpi_number(price.incl_vat)
    return Price(to_ocpi_number(price.excl_vat), incl_vat)
