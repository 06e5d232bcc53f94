"""Short words for tariffs and sessions, so that a test reads as the bill it checks."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from ocpi_modules.tariffs.pricing import Period, PeriodKind, Tariff

D = Decimal
WEEKDAYS = ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY"]


def component(kind: str, price: str, vat: str | None = None, step: int = 1) -> dict[str, Any]:
    row: dict[str, Any] = {"type": kind, "price": D(price), "step_size": step}
    return row if vat is None else row | {"vat": D(vat)}


def flat(price: str, vat: str | None = None, step: int = 1) -> dict[str, Any]:
    return component("FLAT", price, vat, step)


def energy(price: str, vat: str | None = None, step: int = 1) -> dict[str, Any]:
    return component("ENERGY", price, vat, step)


def charging(price: str, vat: str | None = None, step: int = 1) -> dict[str, Any]:
    return component("TIME", price, vat, step)


def parking(price: str, vat: str | None = None, step: int = 1) -> dict[str, Any]:
    return component("PARKING_TIME", price, vat, step)


def element(*components: Mapping[str, Any], **restrictions: Any) -> dict[str, Any]:
    row: dict[str, Any] = {"price_components": list(components)}
    return row | {"restrictions": restrictions} if restrictions else row


def ocpi_tariff(*elements: Mapping[str, Any], **members: Any) -> dict[str, Any]:
    ours = {"country_code": "SE", "party_id": "GRN", "id": "wharf-7", "currency": "EUR"}
    return {**ours, "elements": list(elements), "last_updated": "2024-03-05T06:07:08Z", **members}


def tariff(*elements: Mapping[str, Any], **members: Any) -> Tariff:
    return Tariff.from_ocpi(ocpi_tariff(*elements, **members))


def amount(excl_vat: str, incl_vat: str | None = None) -> dict[str, Decimal]:
    return {"excl_vat": D(excl_vat)} | ({} if incl_vat is None else {"incl_vat": D(incl_vat)})


class Day:
    """A session told from its start: each call adds a period after the one before."""

    def __init__(self, start: str = "2024-03-04T09:00:00") -> None:
        self.now = datetime.fromisoformat(start).replace(tzinfo=UTC)
        self.periods: list[Period] = []

    def _then(self, kind: PeriodKind, minutes: float | Decimal, kwh: str, **more: Any) -> "Day":
        end = self.now + timedelta(minutes=float(minutes))
        self.periods.append(Period(self.now, end, D(kwh), kind, **more))
        self.now = end
        return self

    def charge(self, minutes: float | Decimal = 60, kwh: str = "0", **more: Any) -> "Day":
        return self._then(PeriodKind.CHARGING, minutes, kwh, **more)

    def park(self, minutes: float | Decimal, **more: Any) -> "Day":
        return self._then(PeriodKind.PARKING, minutes, "0", **more)

    def reserve(self, minutes: float | Decimal, **more: Any) -> "Day":
        return self._then(PeriodKind.RESERVATION, minutes, "0", **more)
