"""Send a message and tell what became of it (R-84)."""

from time import perf_counter_ns

from hub.delivery.outcome import Outcome
from hub.delivery.send import DoorOut, RoutedMessage
from hub.parties.platforms import Platform
from hub.traces.record import Traces
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
    began = perf_counter_ns()
    outcome = await door.send(message, platform)
    traces.sent(request, message, platform, outcome, began, findings)
    return outcome
