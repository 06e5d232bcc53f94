"""The CDR of a finished transaction: right, or held back with a reason (mod_cdrs, R67 to R70)."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from cpo_adapter.charging.energy import measure
from cpo_adapter.charging.flags import HOLDING, Flag, remark
from cpo_adapter.charging.periods import charging_periods, priced
from cpo_adapter.charging.session import price_object, status_of
from cpo_adapter.charging.signed import signed_data
from cpo_adapter.charging.transaction import Transaction
from ocpi_modules.message import PartyId
from ocpi_modules.tariffs.pricing import Unpriceable, to_ocpi_number
from ocpi_modules.types import format_datetime

LEAST_ENERGY = Decimal(50)
DEAUTHORIZED = "DeAuthorized"
"""Why a charger stopped whose start was answered that the token may not charge."""


class CdrHeld(Exception):
    """No CDR is made; `reason` is a sentence for the operator."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TokenUnknown(CdrHeld):
    """Nobody known here gave the driver the token; who did may be known later (R32)."""


def to_cdr(transaction: Transaction, cdr_id: str, party: PartyId, last_updated: datetime) -> dict[str, Any]:
    """The complete CDR, numbers as Decimal. Raises CdrHeld whenever its content would be a guess."""
    opening, energy, end = transaction.opening, measure(transaction), transaction.end
    flags = transaction.flags | energy.flags
    if end is None:
        raise CdrHeld("The transaction is still open.")
    if status_of(transaction, energy) == "INVALID":
        raise CdrHeld("The session is INVALID and is not billed.")
    if held := sorted(flags & HOLDING):
        raise CdrHeld(f"Held for an operator: {'; '.join(held)}.")
    if not opening.is_somebodys:
        raise TokenUnknown("It began while the charger was offline, with a token that nobody here knows.")
    if opening.too_late and transaction.stopped is not None and transaction.stopped.reason == DEAUTHORIZED:
        raise CdrHeld("It ended because its token was refused; what it had charged before cannot be told for certain.")
    if not opening.tariffs:
        raise CdrHeld("No tariff was known for the connector when the session started.")
    try:
        cost = priced(transaction, energy)
    except Unpriceable as error:
        raise CdrHeld(f"The tariff cannot be applied: {error.reason}.") from error
    signed, complete = signed_data(transaction)
    flags |= frozenset() if complete else {Flag.signed_left_out}
    cdr: dict[str, Any] = {
        "country_code": party.country_code,
        "party_id": party.party_id,
        "id": cdr_id,
        "start_date_time": format_datetime(min(transaction.start, opening.reserved_at or transaction.start)),
        "end_date_time": format_datetime(end),
        "session_id": opening.session_id,
        "cdr_token": opening.cdr_token,
        "auth_method": opening.auth_method,
        "authorization_reference": opening.authorization_reference,
        "cdr_location": cdr_location(transaction),
        "meter_id": opening.meter_id,
        "currency": cost.currency,
        "tariffs": opening.tariffs[:1],
        "charging_periods": charging_periods(cost.periods),
        "signed_data": signed,
        "total_cost": price_object(cost.total),
        "total_fixed_cost": price_object(cost.fixed),
        "total_energy": to_ocpi_number(cost.total_energy),
        "total_energy_cost": price_object(cost.energy),
        "total_time": to_ocpi_number(cost.total_time),
        "total_time_cost": price_object(cost.time),
        "total_parking_time": to_ocpi_number(cost.total_parking_time),
        "total_parking_cost": price_object(cost.parking),
        "total_reservation_cost": price_object(cost.reservation) if opening.reserved_at else None,
        "remark": remark(flags) or None,
        "last_updated": format_datetime(last_updated),
    }
    return {name: value for name, value in cdr.items() if value is not None}


def to_credit_cdr(cdr: dict[str, Any], credit_id: str, last_updated: datetime) -> dict[str, Any]:
    """The Credit CDR that takes `cdr` back (R71, D-04, D-08): its data under another id, only total_cost negative."""
    return {
        **cdr,
        "id": credit_id,
        "total_cost": {name: -amount for name, amount in cdr["total_cost"].items()},
        "credit": True,
        "credit_reference_id": cdr["id"],
        "last_updated": format_datetime(last_updated),
    }


def is_worth_a_cdr(cdr: dict[str, Any], least_energy_wh: Decimal = LEAST_ENERGY) -> bool:
    """The policy of R68: none when it costs nothing and less than `least_energy_wh` was charged."""
    return bool(cdr["total_cost"]["excl_vat"]) or cdr["total_energy"] * 1000 >= least_energy_wh


def ready_for_cdr(transaction: Transaction, now: datetime, settle: timedelta) -> bool:
    """Whether nothing more is waited for: at once when the stop carries the meter value and nothing is missing, else
    `settle` after the last arrival of the stop (R67)."""
    energy = measure(transaction)
    if transaction.stopped is not None:
        complete = transaction.stopped.meter_stop >= 0 and not transaction.flags and not energy.flags
        return complete or now >= transaction.stopped.received_at + settle
    return transaction.orphaned is not None and now >= transaction.orphaned.received_at + settle


def cdr_location(transaction: Transaction) -> dict[str, Any]:
    """The CdrLocation at the start; address and state cut to the lengths it has (D-36), evse_id from the EVSE (D-38)."""
    opening = transaction.opening
    location, connector = opening.location, opening.connector
    evse: dict[str, Any] = next((e for e in location.get("evses", []) if e["uid"] == opening.evse_uid), {})
    state = location.get("state")
    if "evse_id" not in evse:
        raise CdrHeld(f"evse_id is missing at EVSE {opening.evse_uid}; a CDR needs it.")
    result = {
        "id": location["id"],
        "name": location.get("name"),
        "address": location["address"][:45],
        "city": location["city"],
        "postal_code": location.get("postal_code"),
        "state": state[:20] if state else None,
        "country": location["country"],
        "coordinates": location["coordinates"],
        "evse_uid": opening.evse_uid,
        "evse_id": evse["evse_id"],
        "connector_id": connector["id"],
        "connector_standard": connector["standard"],
        "connector_format": connector["format"],
        "connector_power_type": connector["power_type"],
    }
    return {name: value for name, value in result.items() if value is not None}
