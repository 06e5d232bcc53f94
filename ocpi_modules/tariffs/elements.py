"""A Tariff as the pricing sees it: elements, their price components, their restrictions (T-08 to T-12)."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from ocpi_modules.tariffs.amounts import Price, Unpriceable
from ocpi_modules.tariffs.reading import Json, read_number, read_object, read_objects, read_text, read_whole
from ocpi_modules.tariffs.restrictions import USAGE, Moment, Reservation, Restrictions

MOST_ELEMENTS = 1000
MOST_COMPONENTS = 20


class Dimension(StrEnum):
    """TariffDimensionType, and RESERVATION_TIME (a CdrDimensionType) for TIME of a reservation."""

    ENERGY = "ENERGY"
    FLAT = "FLAT"
    PARKING_TIME = "PARKING_TIME"
    TIME = "TIME"
    RESERVATION_TIME = "RESERVATION_TIME"


@dataclass(frozen=True, slots=True)
class PriceComponent:
    """Price excl. VAT per kWh, per hour or (FLAT) once; `vat` in percent, None = not applicable (T-50)."""

    tariff_id: str
    path: str
    type: Dimension
    price: Decimal
    vat: Decimal | None
    step_size: int
    of_reservation: bool = False
    of_parking: bool = False

    def amount(self, quantity: Fraction) -> tuple[Fraction, Fraction]:
        """Cost of the quantity without and with VAT, exact (T-51)."""
        excl_vat = Fraction(self.price) * quantity
        return excl_vat, excl_vat * (1 + Fraction(self.vat or 0) / 100)


@dataclass(frozen=True, slots=True)
class TariffElement:
    """Price components under the same restrictions; only the first of a dimension counts (T-23)."""

    price_components: dict[Dimension, PriceComponent]
    restrictions: Restrictions

    @classmethod
    def from_ocpi(cls, json: Json, tariff_id: str, path: str) -> "TariffElement":
        """Read a TariffElement; Unpriceable for dimensions that a reservation cannot have (T-31)."""
        restrictions = Restrictions.from_ocpi(read_object(json, "restrictions", path) or {}, f"{path}restrictions.")
        rows = read_objects(json, "price_components", path, MOST_COMPONENTS)
        for_parking = _stands_with_parking_alone([row.get("type") for row in rows])
        components: dict[Dimension, PriceComponent] = {}
        for number, row in enumerate(rows):
            place = f"{path}price_components[{number}]."
            component = _component(row, tariff_id, place, restrictions.reservation is not None, for_parking)
            components.setdefault(component.type, component)
        return cls(components, restrictions)


@dataclass(frozen=True, slots=True)
class Tariff:
    """One Tariff, ready to price. Its start_date_time and end_date_time are not looked at: which tariff a session
    has, and that it keeps it, is the caller's knowledge (T-13, T-14, T-57)."""

    id: str
    currency: str
    elements: tuple[TariffElement, ...]
    min_price: Price | None = None
    max_price: Price | None = None

    @classmethod
    def from_ocpi(cls, json: Json) -> "Tariff":
        """Read a decoded Tariff object of OCPI 2.2.1 (numbers Decimal or int).

        Raises Unpriceable, naming the field, for whatever is missing, malformed or not understood.
        """
        if json.get("tax_included") is not None:
            raise Unpriceable("tax_included belongs to another version of OCPI; only 2.2.1 tariffs are priced")
        tariff_id = read_text(json, "id", "")
        rows = read_objects(json, "elements", "", MOST_ELEMENTS)
        elements = tuple(TariffElement.from_ocpi(row, tariff_id, f"elements[{n}].") for n, row in enumerate(rows))
        least, most = _bound(json, "min_price"), _bound(json, "max_price")
        _refuse_crossed_bounds(least, most)
        return cls(tariff_id, read_text(json, "currency", ""), elements, least, most)

    @property
    def has_vat(self) -> bool:
        """Whether any component names a VAT; otherwise amounts incl. VAT are unknown (TX-15)."""
        return any(c.vat is not None for element in self.elements for c in element.price_components.values())

    def active(self, dimension: Dimension, moment: Moment) -> PriceComponent | None:
        """The component of the first matching element, for the charging part (T-17, T-34)."""
        return _first(dimension, moment, (e for e in self.elements if e.restrictions.reservation is None))

    def active_in_reservation(self, dimension: Dimension, moment: Moment, expired: bool) -> PriceComponent | None:
        """The component for a reservation. Expired: RESERVATION_EXPIRES goes first, RESERVATION remains (T-33)."""
        kinds = [Reservation.RESERVATION_EXPIRES, Reservation.RESERVATION] if expired else [Reservation.RESERVATION]
        elements = [e for kind in kinds for e in self.elements if e.restrictions.reservation is kind]
        having = [e for e in elements if dimension in e.price_components]
        _refuse_usage(having)
        if dimension is Dimension.FLAT and len({e.restrictions.reservation for e in having}) > 1:
            raise Unpriceable("elements: both RESERVATION and RESERVATION_EXPIRES have FLAT, unclear which is due")
        return _first(dimension, moment, having)


def _first(dimension: Dimension, moment: Moment, elements: Iterable[TariffElement]) -> PriceComponent | None:
    for element in elements:
        component = element.price_components.get(dimension)
        if component is not None and element.restrictions.match(moment):
            return component
    return None


def _stands_with_parking_alone(types: list[object]) -> bool:
    """Whether a FLAT in such an element is a fixed part of the parking cost (D-31)."""
    return "PARKING_TIME" in types and "TIME" not in types and "ENERGY" not in types


def _component(row: Json, tariff_id: str, path: str, of_reservation: bool, for_parking: bool) -> PriceComponent:
    name = row.get("type")
    if name not in ("ENERGY", "FLAT", "PARKING_TIME", "TIME"):
        raise Unpriceable(f"{path}type must be ENERGY, FLAT, PARKING_TIME or TIME, got {name!r}")
    if of_reservation and name not in ("FLAT", "TIME"):
        raise Unpriceable(f"{path}type: a reservation can only cost FLAT and TIME, got {name}")
    kind = Dimension(name)
    price, vat = read_number(row, "price", path), read_number(row, "vat", path)
    if price is None:
        raise Unpriceable(f"{path}price is missing")
    if vat is not None and vat < 0:
        raise Unpriceable(f"{path}vat must not be negative, got {vat}")
    step = 1 if kind is Dimension.FLAT else read_whole(row, "step_size", path, least=1)
    if step is None:
        raise Unpriceable(f"{path}step_size is missing")
    of_parking = for_parking and kind is Dimension.FLAT
    return PriceComponent(tariff_id, path, kind, price, vat, step, of_reservation, of_parking)


def _bound(json: Json, key: str) -> Price | None:
    value = read_object(json, key, "")
    if value is None:
        return None
    excl_vat = read_number(value, "excl_vat", f"{key}.")
    if excl_vat is None:
        raise Unpriceable(f"{key}.excl_vat is missing")
    return Price(excl_vat, read_number(value, "incl_vat", f"{key}."))


def _refuse_crossed_bounds(least: Price | None, most: Price | None) -> None:
    if least is None or most is None:
        return
    crossed = least.excl_vat > most.excl_vat
    if least.incl_vat is not None and most.incl_vat is not None:
        crossed = crossed or least.incl_vat > most.incl_vat
    if crossed:
        raise Unpriceable("min_price is above max_price")


def _refuse_usage(elements: list[TariffElement]) -> None:
    """Energy, power and session duration have no meaning before the session (T-37)."""
    for element in elements:
        names = element.restrictions.names(USAGE)
        if names:
            raise Unpriceable(f"{names[0]} is not defined for a reservation")
