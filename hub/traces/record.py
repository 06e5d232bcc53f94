"""One structured line for every routed message: both legs, no token, no personal data (R-84, R-85)."""

from dataclasses import dataclass
from typing import Any

import structlog

from ocpi_modules.message import OcpiRequest, PartyId


@dataclass(frozen=True)
class RoutedTrace:
    """What is written; ids of objects are left out because some of them are those of drivers (S-36)."""

    request: OcpiRequest
    sender: PartyId
    receiver: PartyId
    forwarded_request_id: str
    outcome: str
    http_status: int
    status_code: int
    microseconds: int
    findings: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()


class Traces:
    def __init__(self, log: Any = None) -> None:
        self._log = log or structlog.get_logger("hub.traces")

    def routed(self, trace: RoutedTrace) -> None:
        """Write the line; `findings` and `flags` only where there are some."""
        request = trace.request
        self._log.info(
            "routed",
            method=str(request.method),
            module=str(request.module),
            interface=str(request.interface),
            sender=str(trace.sender),
            receiver=str(trace.receiver),
            request_id=request.request_id,
            forwarded_request_id=trace.forwarded_request_id,
            correlation_id=request.correlation_id,
            outcome=trace.outcome,
            http_status=trace.http_status,
            status_code=trace.status_code,
            microseconds=trace.microseconds,
            **({"findings": list(trace.findings)} if trace.findings else {}),
            **({"flags": list(trace.flags)} if trace.flags else {}),
        )

    def flagged(self, event: str, **fields: Any) -> None:
        """Something an operator should see that is not the end of one message."""
        self._log.warning(event, **fields)
