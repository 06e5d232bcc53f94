"""A charger, its location, a tariff and the facts of one ordinary transaction, for the tests of charging."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from cpo_adapter.charging.events import Sample, Sampled, Started, StatusReported, Stopped
from cpo_adapter.charging.transaction import Fact, Opening, Transaction, apply
from ocpi_modules.message import PartyId

PARTY = PartyId("NL", "ABC")
START = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
UPDATED = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
CONNECTOR = {"id": "1", "standard": "IEC_62196_T2", "format": "SOCKET", "power_type": "AC_3_PHASE"}
LOCATION: dict[str, Any] = {
    "id": "LOC1",
    "name": "Quay",
    "address": "A street whose name is far longer than forty-five characters 1",
    "city": "Utrecht",
    "country": "NLD",
    "coordinates": {"latitude": "52.090700", "longitude": "5.121400"},
    "evses": [{"uid": "E1", "evse_id": "NL*ABC*E1", "connectors": [CONNECTOR]}],
}
TOKEN = {"country_code": "DE", "party_id": "EMS", "uid": "04A2B3", "type": "RFID", "contract_id": "DE8EMSC1"}


def tariff(*components: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {
        "country_code": "NL",
        "party_id": "ABC",
        "id": "T1",
        "currency": "EUR",
        "elements": [{"price_components": list(components)}],
        "last_updated": "2026-01-01T00:00:00.000Z",
        **members,
    }


def component(kind: str, price: str, step_size: int = 1, vat: str | None = None) -> dict[str, Any]:
    return {"type": kind, "price": Decimal(price), "step_size": step_size} | ({"vat": Decimal(vat)} if vat else {})


ENERGY_TARIFF = tariff(component("ENERGY", "0.25"))


def opening(**members: Any) -> Opening:
    values: dict[str, Any] = {
        "session_id": "5f0e0f5e-0000-4000-8000-000000000001",
        "charger_id": "C1",
        "connector_id": 1,
        "location": LOCATION,
        "evse_uid": "E1",
        "connector": CONNECTOR,
        "tariffs": [ENERGY_TARIFF],
        "cdr_token": TOKEN,
        "auth_method": "WHITELIST",
        "time_zone": "Europe/Amsterdam",
        "max_power_w": Decimal(22_000),
        "transaction_id": 7,
    }
    return Opening(**{**values, **members})


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def started(meter_start: int = 1000, minutes: float = 0) -> Started:
    return Started("C1", 1, "04A2B3", Decimal(meter_start), at(minutes), at(minutes) + timedelta(seconds=1))


def register(minutes: float, value: int | str, **members: Any) -> Sample:
    return Sample(at(minutes), "Energy.Active.Import.Register", Decimal(value), "Wh", str(value), **members)


def power(minutes: float, value: int) -> Sample:
    return Sample(at(minutes), "Power.Active.Import", Decimal(value), "W", str(value))


def sampled(*samples: Sample, transaction_id: int | None = 7) -> Sampled:
    return Sampled("C1", 1, transaction_id, samples, samples[0].at + timedelta(seconds=1))


def status(minutes: float, name: str, connector_id: int = 1) -> StatusReported:
    return StatusReported("C1", connector_id, name, at(minutes) + timedelta(seconds=1), at(minutes))


def stopped(minutes: float, meter_stop: int, **members: Any) -> Stopped:
    values: dict[str, Any] = {"received_at": at(minutes) + timedelta(seconds=1)}
    return Stopped("C1", 7, Decimal(meter_stop), at(minutes), **{**values, **members})


def transaction(*facts: Fact, **members: Any) -> Transaction:
    result = Transaction(opening(**members))
    for fact in facts:
        result = apply(result, fact)
    return result
