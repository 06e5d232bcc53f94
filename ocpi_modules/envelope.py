"""The answer envelope: data, status_code, status_message, timestamp (transport_and_format, Response format)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ocpi_modules import json
from ocpi_modules.message import OcpiResponse
from ocpi_modules.status import SUCCESS, NotJson, OcpiError
from ocpi_modules.types import format_datetime


class _NoData:
    """`data` is left out where the module defines none (X-64)."""


NO_DATA = _NoData()


def success(
    data: Any = NO_DATA,
    *,
    now: datetime,
    http_status: int = 200,
    message: str = "Success",
    headers: Mapping[str, str] | None = None,
) -> OcpiResponse:
    """1000 with `data` (JSON values); left out entirely by default."""
    return OcpiResponse(http_status, envelope(SUCCESS, message, now, data), dict(headers or {}))


def success_with_bytes(
    *data: bytes, now: datetime, http_status: int = 200, headers: Mapping[str, str] | None = None
) -> OcpiResponse:
    """1000 with `data` given as the parts of JSON bytes, which are not parsed: stored objects keep their spelling."""
    tail = envelope(SUCCESS, "Success", now)[1:]
    return OcpiResponse(http_status, b"".join((b'{"data":', *data, b",", tail)), dict(headers or {}))


def refusal(error: OcpiError, *, now: datetime) -> OcpiResponse:
    """The answer to a request that was refused."""
    return OcpiResponse(error.http_status, envelope(error.status_code, error.message, now), error.headers)


def envelope(status_code: int, message: str, now: datetime, data: Any = NO_DATA) -> bytes:
    fields: dict[str, Any] = {} if data is NO_DATA else {"data": data}
    fields |= {"status_code": status_code, "status_message": message, "timestamp": format_datetime(now)}
    return json.encode(fields)


@dataclass(slots=True)
class Answer:
    """A partner's envelope, read leniently: anything with an integer status_code is one."""

    status_code: int
    status_message: str
    data: Any

    @property
    def succeeded(self) -> bool:
        return 1000 <= self.status_code < 2000


def read(body: bytes) -> Answer | None:
    """The envelope in a partner's answer, or None when there is none (field 5, F-23)."""
    try:
        fields = json.decode(body)
    except NotJson:
        return None
    if not isinstance(fields, dict) or type(fields.get("status_code")) is not int:
        return None
    return Answer(fields["status_code"], str(fields.get("status_message") or ""), fields.get("data"))


def sole(data: Any) -> Any:
    """The one object that `data` should be: a list of one, as a widely used stack answers it, is read as its entry (field 8)."""
    return data[0] if isinstance(data, list) and len(data) == 1 else data
