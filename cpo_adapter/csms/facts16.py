"""OCPP 1.6 payloads as facts: pure, lenient, in the words of `charging.events` (charging R9, R20, R22, R33, R35, R38).

`NotAnswerable` is raised only when the message cannot be understood: refusing a start or stop makes chargers repeat it for ever.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any

from ocpp.v16.enums import ChargePointErrorCode, ChargePointStatus, Reason

from cpo_adapter.charging.events import Booted, Sampled, Started, StatusReported, Stopped
from cpo_adapter.csms.frames import NotAnswerable
from cpo_adapter.csms.readings import instant, instant_or_arrival, integer, known, number, text
from cpo_adapter.csms.samples16 import read_samples

UNKNOWN_METER = Decimal(-1)
"""meterStart or meterStop that was missing or no number: the charger's own way of saying unknown (R38)."""

UNKNOWN_TRANSACTION = -1
"""transactionId of a stop that names none, as chargers themselves write it after an offline start (R20)."""

_STATUSES = {str(status.value).casefold(): str(status.value) for status in ChargePointStatus}
_ERROR_CODES = {str(code.value).casefold(): str(code.value) for code in ChargePointErrorCode}
_REASONS = {str(reason.value).casefold(): str(reason.value) for reason in Reason}

Payload = dict[str, Any]


def booted(charger_id: str, payload: Payload, received_at: datetime) -> Booted:
    """BootNotification; nothing in it is needed to understand it."""
    return Booted(
        charger_id=charger_id,
        received_at=received_at,
        vendor=text(payload.get("chargePointVendor")) or "",
        model=text(payload.get("chargePointModel")) or "",
        serial_number=text(payload.get("chargePointSerialNumber")) or text(payload.get("chargeBoxSerialNumber")) or "",
        firmware_version=text(payload.get("firmwareVersion")) or "",
        meter_serial_number=text(payload.get("meterSerialNumber")) or "",
    )


def status_reported(charger_id: str, payload: Payload, received_at: datetime) -> StatusReported:
    """StatusNotification; needs connectorId and status. An unknown status stays as received."""
    return StatusReported(
        charger_id=charger_id,
        connector_id=_required_integer(payload, "connectorId"),
        status=_required_text(payload, "status", _STATUSES),
        received_at=received_at,
        at=instant(payload.get("timestamp")),
        error_code=known(payload.get("errorCode"), _ERROR_CODES) or "NoError",
        info=text(payload.get("info")) or "",
    )


def id_tag_asked(payload: Payload) -> str:
    """The idTag of Authorize, as received (R51)."""
    id_tag = text(payload.get("idTag"))
    if id_tag is None:
        raise NotAnswerable(
            "OccurenceConstraintViolation", "idTag is missing; Authorize needs the token it asks about."
        )
    return id_tag


def started(charger_id: str, payload: Payload, received_at: datetime) -> Started:
    """StartTransaction; needs connectorId. A missing idTag is "", which is refused but still gets a number (R33)."""
    meter_start = number(payload.get("meterStart"))
    at, raw_at = instant_or_arrival(payload.get("timestamp"), received_at)
    return Started(
        charger_id=charger_id,
        connector_id=_required_integer(payload, "connectorId"),
        id_tag=text(payload.get("idTag")) or "",
        meter_start=UNKNOWN_METER if meter_start is None else meter_start,
        at=at,
        received_at=received_at,
        reservation_id=integer(payload.get("reservationId")),
        raw_at=raw_at,
    )


def sampled(charger_id: str, payload: Payload, received_at: datetime) -> Sampled:
    """MeterValues; needs meterValue. A missing connectorId is 0: the reading belongs to no connector we know (R42)."""
    if not isinstance(payload.get("meterValue"), list | dict):
        raise NotAnswerable(
            "OccurenceConstraintViolation", "meterValue is missing; MeterValues needs its list of readings."
        )
    connector_id = integer(payload.get("connectorId"))
    return Sampled(
        charger_id=charger_id,
        connector_id=0 if connector_id is None else connector_id,
        transaction_id=integer(payload.get("transactionId")),
        samples=read_samples(payload["meterValue"], received_at),
        received_at=received_at,
    )


def stopped(charger_id: str, payload: Payload, received_at: datetime) -> Stopped:
    """StopTransaction; always understood: it is a report, not a request (R20, R34)."""
    meter_stop, transaction_id = number(payload.get("meterStop")), integer(payload.get("transactionId"))
    at, raw_at = instant_or_arrival(payload.get("timestamp"), received_at)
    return Stopped(
        charger_id=charger_id,
        transaction_id=UNKNOWN_TRANSACTION if transaction_id is None else transaction_id,
        meter_stop=UNKNOWN_METER if meter_stop is None else meter_stop,
        at=at,
        received_at=received_at,
        id_tag=text(payload.get("idTag")),
        reason=known(payload.get("reason"), _REASONS) or "Local",
        samples=read_samples(payload.get("transactionData"), received_at),
        raw_at=raw_at,
    )


def _required_integer(payload: Payload, name: str) -> int:
    value = integer(payload.get(name))
    if value is None:
        code = "TypeConstraintViolation" if name in payload else "OccurenceConstraintViolation"
        raise NotAnswerable(code, f"{name} is missing or no whole number.")
    return value


def _required_text(payload: Payload, name: str, names: dict[str, str]) -> str:
    value = known(payload.get(name), names)
    if value is None:
        code = "TypeConstraintViolation" if name in payload else "OccurenceConstraintViolation"
        raise NotAnswerable(code, f"{name} is missing or empty.")
    return value
