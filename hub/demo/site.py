"""The demo's charging site: one location with one 350 kW charger, and its tariff."""

from decimal import Decimal
from typing import Any

COUNTRY_CODE = "NL"
PARTY_ID = "SIM"
CHARGER_ID = "SIM-0001"
LOCATION_ID = "DEMO-SITE"
EVSE_UID = "DEMO-EVSE-1"
EVSE_ID = "NL*SIM*E0001"
TARIFF_ID = "DEMO-TARIFF"
CHARGE_WH = 1050
"""The car takes this much and stays plugged in: what follows is parking."""
MADE_AT = "2026-01-01T00:00:00Z"


def tariff() -> dict[str, Any]:
    """FLAT 0.50 + 0.49 a kWh in steps of 100 Wh + parking 6.00 an hour in steps of 5 minutes, all without VAT of 21 %."""
    vat = Decimal("21.0")
    components = [
        {"type": "FLAT", "price": Decimal("0.50"), "vat": vat, "step_size": 1},
        {"type": "ENERGY", "price": Decimal("0.49"), "vat": vat, "step_size": 100},
        {"type": "PARKING_TIME", "price": Decimal("6.00"), "vat": vat, "step_size": 300},
    ]
    return {
        "country_code": COUNTRY_CODE,
        "party_id": PARTY_ID,
        "id": TARIFF_ID,
        "currency": "EUR",
        "type": "REGULAR",
        "elements": [{"price_components": components}],
        "last_updated": MADE_AT,
    }


def location() -> dict[str, Any]:
    """One EVSE with one CCS connector."""
    connector = {
        "id": "1",
        "standard": "IEC_62196_T2_COMBO",
        "format": "CABLE",
        "power_type": "DC",
        "max_voltage": 920,
        "max_amperage": 500,
        "max_electric_power": 350000,
        "tariff_ids": [TARIFF_ID],
        "last_updated": MADE_AT,
    }
    evse = {
        "uid": EVSE_UID,
        "evse_id": EVSE_ID,
        "status": "UNKNOWN",
        "capabilities": ["REMOTE_START_STOP_CAPABLE", "RFID_READER"],
        "connectors": [connector],
        "last_updated": MADE_AT,
    }
    return {
        "country_code": COUNTRY_CODE,
        "party_id": PARTY_ID,
        "id": LOCATION_ID,
        "publish": True,
        "name": "Demo charging site",
        "address": "Voorbeeldkade 1",
        "city": "Utrecht",
        "postal_code": "3511AB",
        "country": "NLD",
        "coordinates": {"latitude": "52.090737", "longitude": "5.121420"},
        "evses": [evse],
        "time_zone": "Europe/Amsterdam",
        "last_updated": MADE_AT,
    }


def adapter_config() -> dict[str, Any]:
    """The file ADAPTER_CONFIG names."""
    connector = {"connector_id": 1, "location_id": LOCATION_ID, "evse_uid": EVSE_UID}
    return {
        "locations": [location()],
        "tariffs": [tariff()],
        "chargers": [{"charger_id": CHARGER_ID, "evses": [connector]}],
    }
