"""OCPP-J frames: bytes to Call, Result, Failure or Unreadable, and back (OCPP-J 1.6 section 4; charging R8 to R10).

Reading is lenient: a message type written as text, a missing payload and surplus elements are understood. Fractions become
Decimal. A message id is echoed as it came, text or number.
"""

import json
import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgspec

MAXIMUM_ID_LENGTH = 255

CALL, CALLRESULT, CALLERROR = 2, 3, 4
MessageId = str | int | Decimal


@dataclass(frozen=True)
class Call:
    id: MessageId
    action: str
    payload: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    id: MessageId
    payload: Any


@dataclass(frozen=True)
class Failure:
    """A CALLERROR."""

    id: MessageId
    code: str
    description: str = ""


@dataclass(frozen=True)
class Unreadable:
    """What is no message. With an `id` it was a CALL and is owed a CALLERROR; without, there is nobody to answer."""

    reason: str
    id: MessageId | None = None


Message = Call | Result | Failure | Unreadable


class NotAnswerable(Exception):
    """A CALL that gets a CALLERROR: `code` is one of OCPP-J, the text a sentence for whoever reads the charger's log."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


def parse(frame: bytes | str) -> Message:
    """One WebSocket message as what it says; never raises."""
    data = frame.encode("utf-8", "replace") if isinstance(frame, str) else frame
    try:
        parts = _decode(data)
    except (ValueError, RecursionError):
        return Unreadable("the frame is not JSON", _readable_id(data))
    if not isinstance(parts, list) or len(parts) < 2:
        return Unreadable("the frame is not an OCPP-J array")
    return _message(parts)


def write_call(id: str, action: str, payload: dict[str, Any]) -> bytes:
    return _ENCODER.encode([CALL, id, action, payload])


def write_result(id: MessageId, payload: dict[str, Any]) -> bytes:
    return _ENCODER.encode([CALLRESULT, id, payload])


def write_failure(id: MessageId, code: str, description: str) -> bytes:
    """A CALLERROR; the description is cut at the 255 characters the specification allows."""
    return _ENCODER.encode([CALLERROR, id, code, description[:255], {}])


def _message(parts: list[Any]) -> Message:
    kind, id = _kind(parts[0]), parts[1]
    if isinstance(id, bool) or not isinstance(id, MessageId) or len(str(id)) > MAXIMUM_ID_LENGTH:
        return Unreadable("the message id is neither text nor a number, or too long")
    if kind == CALL:
        return _call(id, parts)
    if kind == CALLRESULT:
        return Result(id, parts[2] if len(parts) > 2 else {})
    if kind == CALLERROR:
        return Failure(id, *(str(part) for part in parts[2:4])) if len(parts) > 2 else Failure(id, "GenericError")
    return Unreadable("the message type is none of 2, 3 and 4")


def _call(id: MessageId, parts: list[Any]) -> Message:
    action = parts[2] if len(parts) > 2 else None
    payload = parts[3] if len(parts) > 3 else None
    if not isinstance(action, str):
        return Unreadable("the action is not text", id)
    if payload is None:
        payload = {}
    if not isinstance(payload, dict):
        return Unreadable("the payload is not an object", id)
    return Call(id, action, payload)


def _kind(value: Any) -> int | None:
    if isinstance(value, str) and value.strip() in ("2", "3", "4"):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _decode(data: bytes) -> Any:
    try:
        return _DECODER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _decode_what_chargers_write(data)


def _decode_what_chargers_write(data: bytes) -> Any:
    """Bare NaN, control characters inside text, a byte order mark, NULs at the end, bytes that are not UTF-8, half a pair of
    surrogates, which nothing behind us could write down."""
    text = _LONE_SURROGATE.sub(r"\\ufffd", data.decode("utf-8", "replace").strip("\ufeff\0 \r\n\t"))
    return json.loads(text, parse_float=_number, parse_constant=str, strict=False)


def _number(text: str) -> Any:
    return Decimal(text) if len(text) <= 64 else text


def _readable_id(data: bytes) -> MessageId | None:
    """The message id of a cut-off CALL, when that much of it arrived (R10)."""
    found = _START_OF_CALL.match(data[:512])
    if found is None:
        return None
    try:
        id = json.loads(found[1])
    except ValueError:
        return None
    return id if isinstance(id, str | int) and len(str(id)) <= MAXIMUM_ID_LENGTH else None


_START_OF_CALL = re.compile(rb'\s*\[\s*"?2"?\s*,\s*("(?:[^"\\]|\\.)*"|-?\d{1,30})\s*,')
_LONE_SURROGATE = re.compile(
    r"\\ud[89ab][0-9a-f]{2}(?!\\ud[c-f][0-9a-f]{2})|(?<!\\ud[89ab][0-9a-f]{2})\\ud[c-f][0-9a-f]{2}", re.IGNORECASE
)
_DECODER = msgspec.json.Decoder(float_hook=_number)
_ENCODER = msgspec.json.Encoder(decimal_format="number")
