"""The only door out for routed messages: one attempt, the original bytes, a typed outcome.

Nothing is ever repeated here: a write that may have arrived cannot be taken back (R-29, K-34).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from hub.delivery.outcome import Garbled, NotOffered, NotSent, Outcome, TimedOut, Unreachable, classify
from hub.parties.platforms import Platform
from ocpi_modules import headers
from ocpi_modules.http import failures
from ocpi_modules.http.client import join_url
from ocpi_modules.http.connection import IncomingAnswer
from ocpi_modules.http.written import OutgoingRequest, WrittenRequest, routing_lines
from ocpi_modules.message import OcpiRequest, PartyId
from ocpi_modules.spec import InterfaceRole, Method, ModuleID


class Client(Protocol):
    """What the door needs of `ocpi_modules.http.client.OcpiClient`."""

    async def send(self, request: OutgoingRequest | WrittenRequest, deadline: float) -> IncomingAnswer: ...


@dataclass(frozen=True)
class Deadlines:
    """Total seconds for a whole exchange (R-25); a platform may have its own."""

    direct: float = 30.0
    authorize: float = 8.0
    push: float = 10.0
    """A push the hub makes on its own account, nobody waiting for the answer."""


@dataclass(slots=True)
class RoutedMessage:
    """What leaves for a party: `path` and `query` still percent-encoded, `body` as received.

    `url` replaces the registered endpoint where the receiver handed out a URL of its own (response_url, CDR Location, Link).
    `last`: no other message follows on its connection.
    """

    method: Method
    module: ModuleID
    interface: InterfaceRole
    to: PartyId
    sender: PartyId
    path: str = ""
    query: str = ""
    body: bytes = b""
    correlation_id: str = ""
    url: str | None = None
    custom: str = ""
    last: bool = False
    request_id: str = field(default_factory=headers.new_message_id)
    """Never the incoming one (X-88)."""

    @classmethod
    def of(cls, request: OcpiRequest, *, to: PartyId, sender: PartyId) -> "RoutedMessage":
        """The message that forwards `request` unchanged (R-11, R-16, R-17)."""
        return cls(
            request.method,
            request.module,
            request.endpoint.interface,
            to,
            sender,
            request.path,
            request.query,
            request.body,
            request.correlation_id,
            custom=request.custom,
        )


class DoorOut:
    """`report(platform, reached)` hears of every attempt that tells whether a platform is connected; a timeout does not."""

    def __init__(
        self,
        client: Client,
        *,
        deadlines: Deadlines | None = None,
        report: Callable[[Platform, bool], None] = lambda platform, reached: None,
    ) -> None:
        self._client = client
        self._deadlines = deadlines or Deadlines()
        self._report = report

    async def send(self, message: RoutedMessage, platform: Platform, *, push: bool = False) -> Outcome:
        """Make one attempt; never raises for what a partner or the network does. `push`: with the deadline of a delivery, and
        on connections that no direct message waits for."""
        seconds = self.push_seconds(platform) if push else self.seconds(message, platform)
        lane = platform.push_lane if push else platform.lane
        try:
            request = _prepared(message, platform, lane) or _outgoing(message, platform, lane)
            if request is None:
                return NotOffered(f"{message.to} does not offer the {message.interface} interface of {message.module}.")
            outcome = classify(await self._client.send(request, seconds))
        except failures.SendFailed as failure:
            outcome = _without_answer(failure, seconds)
        if not isinstance(outcome, (TimedOut, NotSent)):
            self._report(platform, not isinstance(outcome, Unreachable))
        return outcome

    def seconds(self, message: RoutedMessage, platform: Platform) -> float:
        """What a whole exchange with this platform may take, somebody waiting for the answer."""
        if message.module is ModuleID.tokens and message.method is Method.POST:
            return platform.switches.authorize_timeout or self._deadlines.authorize
        return platform.switches.direct_timeout or self._deadlines.direct

    def push_seconds(self, platform: Platform) -> float:
        """The same for what the hub sends of its own accord."""
        return platform.switches.push_timeout or self._deadlines.push


def _without_answer(failure: failures.SendFailed, seconds: float) -> Outcome:
    match failure:
        case failures.TimedOut():
            return TimedOut(seconds, failure.request_was_sent)
        case failures.AnswerTooLarge() | failures.BadAnswer():
            return Garbled(0, failure.message)
        case failures.RequestRefused():
            return NotSent(failure.message)
        case _:
            return Unreachable(failure.message, failure.request_was_sent)


def _prepared(message: RoutedMessage, platform: Platform, lane: str) -> WrittenRequest | None:
    """What `_outgoing` says, of what was prepared for the platform; None where that does not go."""
    endpoint = platform.prepared.get((message.custom or message.module, message.interface))
    if endpoint is None or message.url or message.last:
        return None
    return endpoint.written(
        message.method,
        message.path,
        message.query,
        message.request_id,
        _correlation_id(message),
        "" if platform.switches.omit_routing_headers else routing_lines(message.to, message.sender),
        message.body,
        lane,
    )


def _outgoing(message: RoutedMessage, platform: Platform, lane: str) -> OutgoingRequest | None:
    """The receiver's token, never the asker's (R-15); a new request id, the same correlation id (X-88, X-89)."""
    url = message.url or _endpoint_url(message, platform)
    if url is None:
        return None
    sent = {
        "Authorization": platform.authorization,
        headers.REQUEST_ID: message.request_id,
        headers.CORRELATION_ID: _correlation_id(message),
    }
    if not platform.switches.omit_routing_headers:
        sent |= headers.routing_headers(to=message.to, sender=message.sender)
    return OutgoingRequest(message.method, url, sent, message.body, message.last, lane)


def _correlation_id(message: RoutedMessage) -> str:
    return message.correlation_id or message.request_id


def _endpoint_url(message: RoutedMessage, platform: Platform) -> str | None:
    """The receiver's own endpoint of the same module and interface (R-14, R-16), path and query as they came (R-17)."""
    endpoint = platform.endpoint(message.custom or message.module, message.interface)
    if endpoint is None:
        return None
    url = platform.switches.shaped(join_url(endpoint, message.path))
    return f"{url}?{message.query}" if message.query else url
