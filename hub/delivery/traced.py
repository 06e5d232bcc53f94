"""The door out of the delivery worker: each attempt is traced, as a leg of the push it comes from (R-84, U-06)."""

from collections.abc import Callable
from time import perf_counter_ns

from hub.delivery.outcome import Outcome
from hub.delivery.send import Client, Deadlines, DoorOut, RoutedMessage
from hub.parties.platforms import Platform
from hub.traces.record import Traces


class TracedDoor(DoorOut):
    """As DoorOut; nobody's request stands behind what it sends."""

    def __init__(
        self,
        client: Client,
        traces: Traces,
        *,
        report: Callable[[Platform, bool], None],
        deadlines: Deadlines | None = None,
    ) -> None:
        super().__init__(client, deadlines=deadlines, report=report)
        self._traces = traces

    async def send(self, message: RoutedMessage, platform: Platform, *, push: bool = False) -> Outcome:
        """Make one attempt and tell it."""
        began = perf_counter_ns()
        outcome = await super().send(message, platform, push=push)
        self._traces.pushed(message, platform, outcome, began)
        return outcome
