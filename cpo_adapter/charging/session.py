"""The OCPI Session of a transaction, and what must be sent when it changed (mod_sessions, S-01 to S-22)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cpo_adapter.charging.energy import Energy, measure
from cpo_adapter.charging.flags import HOLDING
from cpo_adapter.charging.periods import charging_periods, kwh, priced
from cpo_adapter.charging.transaction import Transaction
from ocpi_modules.message import PartyId
from ocpi_modules.tariffs.pricing import Cost, Price, Unpriceable, to_ocpi_price
from ocpi_modules.types import format_datetime

ENERGY_SEEN = ("Charging",)


@dataclass(frozen=True)
class Change:
    """A PATCH body: what changed, last_updated, and only the charging periods that are new (S-10, S-12)."""

    body: dict[str, Any]


@dataclass(frozen=True)
class Replace:
    """A PUT body: a period already sent is no longer what it was, and a PATCH cannot say so (S-11)."""

    body: dict[str, Any]


def to_session(transaction: Transaction, party: PartyId, last_updated: datetime) -> dict[str, Any]:
    """The complete Session, numbers as Decimal. ValueError when no fact is known yet.

    Without a certain price `total_cost` is left out, which does not mean free (S-19). While it runs only the periods that
    are over are given, so that a PATCH can add each of them once (S-10).
    """
    opening, energy = transaction.opening, measure(transaction)
    cost = cost_of(transaction, energy)
    session: dict[str, Any] = {
        "country_code": party.country_code,
        "party_id": party.party_id,
        "id": opening.session_id,
        "start_date_time": format_datetime(transaction.start),
        "end_date_time": format_datetime(transaction.end) if transaction.end else None,
        "kwh": kwh(energy.total),
        "cdr_token": opening.cdr_token,
        "auth_method": opening.auth_method,
        "authorization_reference": opening.authorization_reference,
        "location_id": opening.location["id"],
        "evse_uid": opening.evse_uid,
        "connector_id": opening.connector["id"],
        "meter_id": opening.meter_id,
        "currency": opening.tariffs[0]["currency"] if opening.tariffs else opening.currency,
        "charging_periods": _periods(cost, transaction),
        "total_cost": price_object(cost.total) if cost else None,
        "status": status_of(transaction, energy),
        "last_updated": format_datetime(last_updated),
    }
    return {name: value for name, value in session.items() if value is not None}


def _periods(cost: Cost | None, transaction: Transaction) -> list[dict[str, Any]]:
    periods = charging_periods(cost.periods) if cost else []
    return periods if transaction.end is not None else periods[:-1]


def session_changes(before: dict[str, Any], after: dict[str, Any]) -> Change | Replace | None:
    """How to tell a receiver that has `before` about `after`; None when nothing but last_updated differs."""
    changed = {name: value for name, value in after.items() if before.get(name) != value and name != "last_updated"}
    gone = before.keys() - after.keys()
    if not changed and not gone:
        return None
    known, now = before.get("charging_periods", []), after.get("charging_periods", [])
    if gone or now[: len(known)] != known:
        return Replace(after)
    if "charging_periods" in changed:
        changed["charging_periods"] = now[len(known) :]
    return Change({**changed, "last_updated": after["last_updated"]})


def cost_of(transaction: Transaction, energy: Energy) -> Cost | None:
    """The cost, or None without a tariff or when it is not certain: at the end what holds the CDR back is no price either."""
    held = transaction.end is not None and (transaction.flags | energy.flags) & HOLDING
    if held or not transaction.opening.tariffs:
        return None
    try:
        return priced(transaction, energy)
    except Unpriceable:
        return None


def price_object(price: Price) -> dict[str, Any]:
    """An OCPI Price with at most 4 decimals."""
    rounded = to_ocpi_price(price)
    with_vat = {} if rounded.incl_vat is None else {"incl_vat": rounded.incl_vat}
    return {"excl_vat": rounded.excl_vat, **with_vat}


def status_of(transaction: Transaction, energy: Energy) -> str:
    """SessionStatus: PENDING until energy or Charging was seen, INVALID for a refused token or an orphan without data."""
    ended, charged = transaction.end is not None, energy.total > 0
    if transaction.opening.refused or (transaction.orphaned and not transaction.stopped and not charged):
        return "INVALID"
    if ended:
        return "COMPLETED"
    charging = any(
        status.status in ENERGY_SEEN and (status.at or status.received_at) >= transaction.start
        for status in transaction.statuses
    )
    return "ACTIVE" if charged or charging else "PENDING"
