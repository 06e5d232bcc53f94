"""Full example objects of our own as decoded JSON, with Decimals. A keyword replaces a field, None removes one."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

Document = dict[str, Any]
WHEN = "2026-03-01T12:00:00Z"
EARLIER = "2026-03-01T11:00:00Z"
COORDINATES = {"latitude": "52.370216", "longitude": "4.895168"}


def _with(document: Document, overrides: Document) -> Document:
    return {name: value for name, value in (document | overrides).items() if value is not None}


def display_text(**overrides: Any) -> Document:
    return _with({"language": "en", "text": "Behind the windmill"}, overrides)


def price(**overrides: Any) -> Document:
    return _with({"excl_vat": Decimal("10.00"), "incl_vat": Decimal("12.10")}, overrides)


def image(**overrides: Any) -> Document:
    document = {
        "url": "https://pictures.example/post.png",
        "thumbnail": "https://pictures.example/post-small.png",
        "category": "CHARGER",
        "type": "png",
        "width": 640,
        "height": 480,
    }
    return _with(document, overrides)


def business_details(**overrides: Any) -> Document:
    document = {"name": "Mill Charging", "website": "https://mill.example", "logo": image(category="OPERATOR")}
    return _with(document, overrides)


def geo_location(**overrides: Any) -> Document:
    return _with(COORDINATES, overrides)


def additional_geo_location(**overrides: Any) -> Document:
    return _with({**COORDINATES, "name": display_text(text="Gate")}, overrides)


def regular_hours(**overrides: Any) -> Document:
    return _with({"weekday": 1, "period_begin": "08:00", "period_end": "18:30"}, overrides)


def exceptional_period(**overrides: Any) -> Document:
    return _with({"period_begin": "2026-12-25T07:00:00Z", "period_end": "2026-12-25T11:00:00Z"}, overrides)


def hours(**overrides: Any) -> Document:
    document = {
        "twentyfourseven": False,
        "regular_hours": [regular_hours(), regular_hours(weekday=2)],
        "exceptional_openings": [exceptional_period()],
        "exceptional_closings": [exceptional_period()],
    }
    return _with(document, overrides)


def status_schedule(**overrides: Any) -> Document:
    return _with({"period_begin": EARLIER, "period_end": WHEN, "status": "PLANNED"}, overrides)


def energy_source(**overrides: Any) -> Document:
    return _with({"source": "WIND", "percentage": Decimal("62.5")}, overrides)


def environmental_impact(**overrides: Any) -> Document:
    return _with({"category": "CARBON_DIOXIDE", "amount": Decimal("81.25")}, overrides)


def energy_mix(**overrides: Any) -> Document:
    document = {
        "is_green_energy": True,
        "energy_sources": [energy_source(), energy_source(source="SOLAR", percentage=Decimal("37.5"))],
        "environ_impact": [environmental_impact()],
        "supplier_name": "Polder Power",
        "energy_product_name": "Breeze",
    }
    return _with(document, overrides)


def publish_token_type(**overrides: Any) -> Document:
    document = {
        "uid": "04A1B2C3",
        "type": "RFID",
        "visual_number": "NL-DRV-000017",
        "issuer": "Driver Club",
        "group_id": "CLUB-7",
    }
    return _with(document, overrides)


def connector(**overrides: Any) -> Document:
    document = {
        "id": "1",
        "standard": "IEC_62196_T2",
        "format": "SOCKET",
        "power_type": "AC_3_PHASE",
        "max_voltage": 230,
        "max_amperage": 32,
        "max_electric_power": 22000,
        "tariff_ids": ["TAR-1"],
        "terms_and_conditions": "https://mill.example/terms",
        "last_updated": WHEN,
    }
    return _with(document, overrides)


def evse(**overrides: Any) -> Document:
    document = {
        "uid": "EVSE-1",
        "evse_id": "NL*MIL*E000001",
        "status": "AVAILABLE",
        "status_schedule": [status_schedule()],
        "capabilities": ["RFID_READER", "REMOTE_START_STOP_CAPABLE"],
        "connectors": [connector()],
        "floor_level": "-1",
        "coordinates": COORDINATES,
        "physical_reference": "Bay 12",
        "directions": [display_text()],
        "parking_restrictions": ["EV_ONLY"],
        "images": [image()],
        "last_updated": WHEN,
    }
    return _with(document, overrides)


def location(**overrides: Any) -> Document:
    document = {
        "country_code": "NL",
        "party_id": "MIL",
        "id": "LOC-1",
        "publish": False,
        "publish_allowed_to": [publish_token_type()],
        "name": "Mill Square",
        "address": "Molenplein 1",
        "city": "Zaandam",
        "postal_code": "1506 AA",
        "state": "Noord-Holland",
        "country": "NLD",
        "coordinates": COORDINATES,
        "related_locations": [additional_geo_location()],
        "parking_type": "ON_STREET",
        "evses": [evse()],
        "directions": [display_text()],
        "operator": business_details(),
        "suboperator": business_details(name="Mill Service"),
        "owner": business_details(name="Municipality"),
        "facilities": ["CAFE", "WIFI"],
        "time_zone": "Europe/Amsterdam",
        "opening_times": hours(),
        "charging_when_closed": True,
        "images": [image(category="LOCATION")],
        "energy_mix": energy_mix(),
        "last_updated": WHEN,
    }
    return _with(document, overrides)


def cdr_token(**overrides: Any) -> Document:
    document = {
        "country_code": "DE",
        "party_id": "DRV",
        "uid": "04A1B2C3",
        "type": "RFID",
        "contract_id": "DE-DRV-C00000017-4",
    }
    return _with(document, overrides)


def cdr_dimension(**overrides: Any) -> Document:
    return _with({"type": "ENERGY", "volume": Decimal("12.345")}, overrides)


def charging_period(**overrides: Any) -> Document:
    document = {
        "start_date_time": EARLIER,
        "dimensions": [cdr_dimension(), cdr_dimension(type="TIME", volume=Decimal("0.75"))],
        "tariff_id": "TAR-1",
    }
    return _with(document, overrides)


def session(**overrides: Any) -> Document:
    document = {
        "country_code": "NL",
        "party_id": "MIL",
        "id": "SES-1",
        "start_date_time": EARLIER,
        "end_date_time": WHEN,
        "kwh": Decimal("12.345"),
        "cdr_token": cdr_token(),
        "auth_method": "WHITELIST",
        "authorization_reference": "AUTH-9",
        "location_id": "LOC-1",
        "evse_uid": "EVSE-1",
        "connector_id": "1",
        "meter_id": "M-4711",
        "currency": "EUR",
        "charging_periods": [charging_period()],
        "total_cost": price(),
        "status": "COMPLETED",
        "last_updated": WHEN,
    }
    return _with(document, overrides)


def charging_preferences(**overrides: Any) -> Document:
    document = {
        "profile_type": "CHEAP",
        "departure_time": WHEN,
        "energy_need": Decimal("20.5"),
        "discharge_allowed": False,
    }
    return _with(document, overrides)


def price_component(**overrides: Any) -> Document:
    return _with({"type": "ENERGY", "price": Decimal("0.31"), "vat": Decimal("21.0"), "step_size": 1}, overrides)


def tariff_restrictions(**overrides: Any) -> Document:
    document = {
        "start_time": "07:00",
        "end_time": "00:00",
        "start_date": "2026-01-01",
        "end_date": "2027-01-01",
        "min_kwh": Decimal(1),
        "max_kwh": Decimal("99.5"),
        "min_current": Decimal(6),
        "max_current": Decimal(96),
        "min_power": Decimal("1.4"),
        "max_power": Decimal(22),
        "min_duration": 60,
        "max_duration": 86400,
        "day_of_week": ["MONDAY", "SUNDAY"],
        "reservation": "RESERVATION",
    }
    return _with(document, overrides)


def tariff_element(**overrides: Any) -> Document:
    return _with({"price_components": [price_component()], "restrictions": tariff_restrictions()}, overrides)


def tariff(**overrides: Any) -> Document:
    document = {
        "country_code": "NL",
        "party_id": "MIL",
        "id": "TAR-1",
        "currency": "EUR",
        "type": "REGULAR",
        "tariff_alt_text": [display_text(text="Cheaper than milling it yourself")],
        "tariff_alt_url": "https://mill.example/tariff",
        "min_price": price(excl_vat=Decimal("0.50"), incl_vat=Decimal("0.605")),
        "max_price": price(excl_vat=Decimal("50.00"), incl_vat=Decimal("60.50")),
        "elements": [tariff_element(), tariff_element(restrictions=None)],
        "start_date_time": "2026-01-01T00:00:00Z",
        "end_date_time": "2027-01-01T00:00:00Z",
        "energy_mix": energy_mix(),
        "last_updated": WHEN,
    }
    return _with(document, overrides)


def cdr_location(**overrides: Any) -> Document:
    document = {
        "id": "LOC-1",
        "name": "Mill Square",
        "address": "Molenplein 1",
        "city": "Zaandam",
        "postal_code": "1506 AA",
        "state": "Noord-Holland",
        "country": "NLD",
        "coordinates": COORDINATES,
        "evse_uid": "EVSE-1",
        "evse_id": "NL*MIL*E000001",
        "connector_id": "1",
        "connector_standard": "IEC_62196_T2",
        "connector_format": "SOCKET",
        "connector_power_type": "AC_3_PHASE",
    }
    return _with(document, overrides)


def signed_value(**overrides: Any) -> Document:
    return _with({"nature": "Start", "plain_data": "line 1\nline 2", "signed_data": "c2lnbmVk"}, overrides)


def signed_data(**overrides: Any) -> Document:
    document = {
        "encoding_method": "OCMF",
        "encoding_method_version": 1,
        "public_key": "MFkwEwYHKoZI",
        "signed_values": [signed_value(), signed_value(nature="End")],
        "url": "https://mill.example/verify",
    }
    return _with(document, overrides)


def cdr(**overrides: Any) -> Document:
    document = {
        "country_code": "NL",
        "party_id": "MIL",
        "id": "CDR-1",
        "start_date_time": EARLIER,
        "end_date_time": WHEN,
        "session_id": "SES-1",
        "cdr_token": cdr_token(),
        "auth_method": "WHITELIST",
        "authorization_reference": "AUTH-9",
        "cdr_location": cdr_location(),
        "meter_id": "M-4711",
        "currency": "EUR",
        "tariffs": [tariff()],
        "charging_periods": [charging_period()],
        "signed_data": signed_data(),
        "total_cost": price(),
        "total_fixed_cost": price(excl_vat=Decimal(0), incl_vat=Decimal(0)),
        "total_energy": Decimal("12.345"),
        "total_energy_cost": price(),
        "total_time": Decimal("1.0"),
        "total_time_cost": price(),
        "total_parking_time": Decimal("0.25"),
        "total_parking_cost": price(),
        "total_reservation_cost": price(),
        "remark": "All quiet",
        "invoice_reference_id": "INV-1",
        "credit": True,
        "credit_reference_id": "CDR-0",
        "home_charging_compensation": False,
        "last_updated": WHEN,
    }
    if overrides.get("credit", True):  # D-04
        document["total_cost"] = price(excl_vat=Decimal("-10.00"), incl_vat=Decimal("-12.10"))
    return _with(document, overrides)


def energy_contract(**overrides: Any) -> Document:
    return _with({"supplier_name": "Polder Power", "contract_id": "PP-1"}, overrides)


def token(**overrides: Any) -> Document:
    document = {
        "country_code": "DE",
        "party_id": "DRV",
        "uid": "04A1B2C3",
        "type": "RFID",
        "contract_id": "DE-DRV-C00000017-4",
        "visual_number": "NL-DRV-000017",
        "issuer": "Driver Club",
        "group_id": "CLUB-7",
        "valid": True,
        "whitelist": "ALLOWED",
        "language": "de",
        "default_profile_type": "GREEN",
        "energy_contract": energy_contract(),
        "last_updated": WHEN,
    }
    return _with(document, overrides)


def location_references(**overrides: Any) -> Document:
    return _with({"location_id": "LOC-1", "evse_uids": ["EVSE-1"]}, overrides)


def authorization_info(**overrides: Any) -> Document:
    document = {
        "allowed": "ALLOWED",
        "token": token(),
        "location": location_references(),
        "authorization_reference": "AUTH-9",
        "info": display_text(text="Welcome"),
    }
    return _with(document, overrides)


RESPONSE_URL = "https://emsp.example/ocpi/results/7f2c"


def cancel_reservation(**overrides: Any) -> Document:
    return _with({"response_url": RESPONSE_URL, "reservation_id": "RES-1"}, overrides)


def reserve_now(**overrides: Any) -> Document:
    document = {
        "response_url": RESPONSE_URL,
        "token": token(),
        "expiry_date": "2026-03-01T12:30:00Z",
        "reservation_id": "RES-1",
        "location_id": "LOC-1",
        "evse_uid": "EVSE-1",
        "authorization_reference": "AUTH-9",
    }
    return _with(document, overrides)


def start_session(**overrides: Any) -> Document:
    document = {
        "response_url": RESPONSE_URL,
        "token": token(),
        "location_id": "LOC-1",
        "evse_uid": "EVSE-1",
        "connector_id": "1",
        "authorization_reference": "AUTH-9",
    }
    return _with(document, overrides)


def stop_session(**overrides: Any) -> Document:
    return _with({"response_url": RESPONSE_URL, "session_id": "SES-1"}, overrides)


def unlock_connector(**overrides: Any) -> Document:
    document = {
        "response_url": RESPONSE_URL,
        "location_id": "LOC-1",
        "evse_uid": "EVSE-1",
        "connector_id": "1",
    }
    return _with(document, overrides)


def command_response(**overrides: Any) -> Document:
    return _with({"result": "ACCEPTED", "timeout": 30, "message": [display_text(text="On its way")]}, overrides)


def command_result(**overrides: Any) -> Document:
    return _with({"result": "ACCEPTED", "message": [display_text(text="Started")]}, overrides)


def charging_profile_period(**overrides: Any) -> Document:
    return _with({"start_period": 0, "limit": Decimal("11000.0")}, overrides)


def charging_profile(**overrides: Any) -> Document:
    document = {
        "start_date_time": WHEN,
        "duration": 1800,
        "charging_rate_unit": "W",
        "min_charging_rate": Decimal("1380.0"),
        "charging_profile_period": [charging_profile_period()],
    }
    return _with(document, overrides)


def active_charging_profile(**overrides: Any) -> Document:
    return _with({"start_date_time": WHEN, "charging_profile": charging_profile()}, overrides)


def set_charging_profile(**overrides: Any) -> Document:
    return _with({"charging_profile": charging_profile(), "response_url": RESPONSE_URL}, overrides)


def charging_profile_response(**overrides: Any) -> Document:
    return _with({"result": "ACCEPTED", "timeout": 15}, overrides)


def active_charging_profile_result(**overrides: Any) -> Document:
    return _with({"result": "ACCEPTED", "profile": active_charging_profile()}, overrides)


def charging_profile_result(**overrides: Any) -> Document:
    return _with({"result": "ACCEPTED"}, overrides)


def clear_profile_result(**overrides: Any) -> Document:
    return _with({"result": "ACCEPTED"}, overrides)


def client_info(**overrides: Any) -> Document:
    document = {
        "party_id": "MIL",
        "country_code": "NL",
        "role": "CPO",
        "status": "CONNECTED",
        "last_updated": WHEN,
    }
    return _with(document, overrides)


def credentials_role(**overrides: Any) -> Document:
    document = {"role": "CPO", "business_details": business_details(), "party_id": "MIL", "country_code": "NL"}
    return _with(document, overrides)


def credentials(**overrides: Any) -> Document:
    document = {
        "token": "b-4f1d6f3e5c",
        "url": "https://cpo.example/ocpi/versions",
        "roles": [credentials_role(), credentials_role(role="EMSP")],
    }
    return _with(document, overrides)


def version(**overrides: Any) -> Document:
    return _with({"version": "2.2.1", "url": "https://cpo.example/ocpi/2.2.1"}, overrides)


def endpoint(**overrides: Any) -> Document:
    document = {"identifier": "locations", "role": "SENDER", "url": "https://cpo.example/ocpi/2.2.1/locations"}
    return _with(document, overrides)


def version_details(**overrides: Any) -> Document:
    return _with({"version": "2.2.1", "endpoints": [endpoint()]}, overrides)


BUILDERS: dict[str, Callable[..., Document]] = {
    "DisplayText": display_text,
    "Price": price,
    "Version": version,
    "VersionDetails": version_details,
    "Endpoint": endpoint,
    "Credentials": credentials,
    "CredentialsRole": credentials_role,
    "Location": location,
    "EVSE": evse,
    "Connector": connector,
    "AdditionalGeoLocation": additional_geo_location,
    "BusinessDetails": business_details,
    "EnergyMix": energy_mix,
    "EnergySource": energy_source,
    "EnvironmentalImpact": environmental_impact,
    "ExceptionalPeriod": exceptional_period,
    "GeoLocation": geo_location,
    "Hours": hours,
    "Image": image,
    "PublishTokenType": publish_token_type,
    "RegularHours": regular_hours,
    "StatusSchedule": status_schedule,
    "Session": session,
    "ChargingPreferences": charging_preferences,
    "CDR": cdr,
    "CdrDimension": cdr_dimension,
    "CdrLocation": cdr_location,
    "CdrToken": cdr_token,
    "ChargingPeriod": charging_period,
    "SignedData": signed_data,
    "SignedValue": signed_value,
    "Tariff": tariff,
    "PriceComponent": price_component,
    "TariffElement": tariff_element,
    "TariffRestrictions": tariff_restrictions,
    "AuthorizationInfo": authorization_info,
    "Token": token,
    "EnergyContract": energy_contract,
    "LocationReferences": location_references,
    "CancelReservation": cancel_reservation,
    "CommandResponse": command_response,
    "CommandResult": command_result,
    "ReserveNow": reserve_now,
    "StartSession": start_session,
    "StopSession": stop_session,
    "UnlockConnector": unlock_connector,
    "ChargingProfileResponse": charging_profile_response,
    "ActiveChargingProfileResult": active_charging_profile_result,
    "ChargingProfileResult": charging_profile_result,
    "ClearProfileResult": clear_profile_result,
    "SetChargingProfile": set_charging_profile,
    "ActiveChargingProfile": active_charging_profile,
    "ChargingProfile": charging_profile,
    "ChargingProfilePeriod": charging_profile_period,
    "ClientInfo": client_info,
}
"""Every object of OCPI 2.2.1 by its name."""
