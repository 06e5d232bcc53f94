"""Send a message and write down both legs of it (R-84)."""

from time import perf_counter_ns

from hub.delivery.outcome import Delivered, Garbled, Outcome, Refused, TimedOut, TokenRefused, Unreachable
from hub.delivery.send import DoorOut, RoutedMessage
from hub.parties.platforms import Platform
from hub.traces.record import RoutedTrace, Traces
from ocpi_modules.message import OcpiRequest


async def send_traced(
    door: DoorOut,
    traces: Traces,
    request: OcpiRequest,
    message: RoutedMessage,
    platform: Platform,
    findings: tuple[str, ...] = (),
) -> Outcome:
    """The outcome of `message`, which is what `request` became."""
    started = perf_counter_ns()
    outcome = await door.send(message, platform)
    http_status, status_code = codes(outcome)
    traces.routed(
        RoutedTrace(
            request=request,
            sender=message.sender,
            receiver=message.to,
            forwarded_request_id=message.request_id,
            outcome=type(outcome).__name__,
            http_status=http_status,
            status_code=status_code,
            microseconds=(perf_counter_ns() - started) // 1000,
            findings=findings,
        )
    )
    return outcome


def codes(outcome: Outcome) -> tuple[int, int]:
    """(HTTP status received, OCPI status the asker reads); the first is 0 where nothing came."""
    match outcome:
        case Delivered() | Refused():
            return outcome.http_status, outcome.answer.status_code
        case TimedOut():
            return 0, 4002
        case Unreachable():
            return 0, 4003
        case Garbled() | TokenRefused():
            return outcome.http_status, 4000
        case _:
            return 0, 4000
