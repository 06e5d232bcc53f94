"""One small example of every body and answer, for the OpenAPI documents. All of it is made up."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

NOON = "2026-05-04T12:00:00Z"
RESPONSE_URL = "https://emsp.example/ocpi/2.2.1/sender/commands/5d0c1f"
_OWNER = {"country_code": "NL", "party_id": "QAY"}
_PRICE = {"excl_vat": Decimal("4.20"), "incl_vat": Decimal("5.08")}
_PLACE = {"latitude": "52.087680", "longitude": "5.117280"}
_CONNECTOR = {
    "id": "A",
    "standard": "IEC_62196_T2",
    "format": "SOCKET",
    "power_type": "AC_3_PHASE",
    "max_voltage": 230,
    "max_amperage": 16,
    "tariff_ids": ["QUAY-DAY"],
    "last_updated": NOON,
}
_EVSE = {
    "uid": "QUAY-3",
    "evse_id": "NL*QAY*EQUAY3",
    "status": "AVAILABLE",
    "capabilities": ["RFID_READER", "REMOTE_START_STOP_CAPABLE"],
    "connectors": [_CONNECTOR],
    "last_updated": NOON,
}
_LOCATION = {
    **_OWNER,
    "id": "QUAY",
    "publish": True,
    "name": "Harbour quay",
    "address": "Kade 3",
    "city": "Utrecht",
    "country": "NLD",
    "coordinates": _PLACE,
    "evses": [_EVSE],
    "time_zone": "Europe/Amsterdam",
    "last_updated": NOON,
}
_CDR_TOKEN = {
    "country_code": "BE",
    "party_id": "VLT",
    "uid": "0A55C0DE",
    "type": "RFID",
    "contract_id": "BE-VLT-C00000042",
}
_TOKEN = {**_CDR_TOKEN, "issuer": "Volta Drivers", "valid": True, "whitelist": "ALLOWED", "last_updated": NOON}
_PERIOD = {"start_date_time": NOON, "dimensions": [{"type": "ENERGY", "volume": Decimal("14.0")}]}
_SESSION = {
    **_OWNER,
    "id": "S-20260504-1",
    "start_date_time": NOON,
    "kwh": Decimal("14.0"),
    "cdr_token": _CDR_TOKEN,
    "auth_method": "WHITELIST",
    "location_id": "QUAY",
    "evse_uid": "QUAY-3",
    "connector_id": "A",
    "currency": "EUR",
    "charging_periods": [_PERIOD],
    "status": "ACTIVE",
    "last_updated": NOON,
}
_CDR = {
    **_OWNER,
    "id": "C-20260504-1",
    "start_date_time": NOON,
    "end_date_time": "2026-05-04T13:30:00Z",
    "session_id": "S-20260504-1",
    "cdr_token": _CDR_TOKEN,
    "auth_method": "WHITELIST",
    "cdr_location": {
        "id": "QUAY",
        "address": "Kade 3",
        "city": "Utrecht",
        "country": "NLD",
        "coordinates": _PLACE,
        "evse_uid": "QUAY-3",
        "evse_id": "NL*QAY*EQUAY3",
        "connector_id": "A",
        "connector_standard": "IEC_62196_T2",
        "connector_format": "SOCKET",
        "connector_power_type": "AC_3_PHASE",
    },
    "currency": "EUR",
    "charging_periods": [_PERIOD],
    "total_cost": _PRICE,
    "total_energy": Decimal("14.0"),
    "total_time": Decimal("1.5"),
    "last_updated": "2026-05-04T13:30:05Z",
}
_TARIFF = {
    **_OWNER,
    "id": "QUAY-DAY",
    "currency": "EUR",
    "elements": [
        {"price_components": [{"type": "ENERGY", "price": Decimal("0.30"), "vat": Decimal("21.0"), "step_size": 1}]}
    ],
    "last_updated": NOON,
}
_PROFILE = {
    "charging_rate_unit": "W",
    "charging_profile_period": [{"start_period": 0, "limit": Decimal("7400.0")}],
}
_ACTIVE_PROFILE = {"start_date_time": NOON, "charging_profile": _PROFILE}
_CREDENTIALS = {
    "token": "f2b9c7d0a1e84c55",
    "url": "https://cpo.example/ocpi/versions",
    "roles": [{**_OWNER, "role": "CPO", "business_details": {"name": "Quay Charging"}}],
}

EXAMPLES: Mapping[str, Any] = {
    "Version": {"version": "2.2.1", "url": "https://hub.example/ocpi/2.2.1"},
    "VersionDetails": {
        "version": "2.2.1",
        "endpoints": [
            {
                "identifier": "locations",
                "role": "SENDER",
                "url": "https://hub.example/ocpi/2.2.1/sender/locations",
            }
        ],
    },
    "Credentials": _CREDENTIALS,
    "Location": _LOCATION,
    "EVSE": _EVSE,
    "Connector": _CONNECTOR,
    "PartialLocation": {"name": "Harbour quay, north side", "last_updated": NOON},
    "PartialEVSE": {"status": "CHARGING", "last_updated": NOON},
    "PartialConnector": {"tariff_ids": ["QUAY-NIGHT"], "last_updated": NOON},
    "Session": _SESSION,
    "PartialSession": {"kwh": Decimal("15.5"), "charging_periods": [_PERIOD], "last_updated": NOON},
    "ChargingPreferences": {"profile_type": "GREEN", "departure_time": NOON, "energy_need": Decimal("20.0")},
    "ChargingPreferencesResponse": "ACCEPTED",
    "CDR": _CDR,
    "Tariff": _TARIFF,
    "Token": _TOKEN,
    "PartialToken": {"valid": False, "last_updated": NOON},
    "LocationReferences": {"location_id": "QUAY", "evse_uids": ["QUAY-3"]},
    "AuthorizationInfo": {"allowed": "ALLOWED", "token": _TOKEN, "authorization_reference": "AR-881"},
    "CancelReservation": {"response_url": RESPONSE_URL, "reservation_id": "R-12"},
    "ReserveNow": {
        "response_url": RESPONSE_URL,
        "token": _TOKEN,
        "expiry_date": NOON,
        "reservation_id": "R-12",
        "location_id": "QUAY",
    },
    "StartSession": {"response_url": RESPONSE_URL, "token": _TOKEN, "location_id": "QUAY", "evse_uid": "QUAY-3"},
    "StopSession": {"response_url": RESPONSE_URL, "session_id": "S-20260504-1"},
    "UnlockConnector": {
        "response_url": RESPONSE_URL,
        "location_id": "QUAY",
        "evse_uid": "QUAY-3",
        "connector_id": "A",
    },
    "CommandResponse": {"result": "ACCEPTED", "timeout": 30},
    "CommandResult": {"result": "ACCEPTED"},
    "SetChargingProfile": {"charging_profile": _PROFILE, "response_url": RESPONSE_URL},
    "ChargingProfileResponse": {"result": "ACCEPTED", "timeout": 30},
    "ActiveChargingProfile": _ACTIVE_PROFILE,
    "ActiveChargingProfileResult": {"result": "ACCEPTED", "profile": _ACTIVE_PROFILE},
    "ChargingProfileResult": {"result": "ACCEPTED"},
    "ClearProfileResult": {"result": "ACCEPTED"},
    "ClientInfo": {**_OWNER, "role": "CPO", "status": "CONNECTED", "last_updated": NOON},
}
"""By the name of the schema."""
