"""What routing says of every message (R-84). It costs an append: what is written of it, and how, is settled behind the answer.

    leg in:  partner --request--> hub            `answered` or `refused`, by the handler, once for a request
    leg out: hub --forwarded request--> partner  `sent`, by the routes, none or several for a request; `pushed`, by delivery

The entries hold the requests themselves, so that nothing is copied; `hub/traces/rows.py` takes them apart soon afterwards.
"""

from collections import Counter, deque
from collections.abc import Sequence
from time import perf_counter_ns
from typing import Any, NamedTuple, Protocol

import structlog

from hub.parties.platforms import Caller, Platform
from ocpi_modules.message import OcpiRequest, OcpiResponse, PartyId
from ocpi_modules.spec import InterfaceRole, Method, ModuleID

MOST_ENTRIES = 20_000
TURNED_AWAY = ("unauthenticated", "unavailable", "too many")
"""Why a request was not looked at."""
OUT_OF_THE_STORE = ("GetAll", "OwnCopy")
"""Routes that answer with what the hub keeps: never a leg out, and pages are large."""


class Message(Protocol):
    """`hub.delivery.send.RoutedMessage`, which stands above this room."""

    @property
    def method(self) -> Method: ...
    @property
    def module(self) -> ModuleID: ...
    @property
    def interface(self) -> InterfaceRole: ...
    @property
    def to(self) -> PartyId: ...
    @property
    def sender(self) -> PartyId: ...
    @property
    def path(self) -> str: ...
    @property
    def query(self) -> str: ...
    @property
    def body(self) -> bytes: ...
    @property
    def correlation_id(self) -> str: ...
    @property
    def url(self) -> str | None: ...
    @property
    def request_id(self) -> str: ...


class LegIn(NamedTuple):
    """A request and what it was answered. `caller` is None where FROM named somebody else's party. Times are perf_counter_ns.

    `size` is the length of the answer's body, which is not held where the route is one OUT_OF_THE_STORE.
    """

    request: OcpiRequest
    caller: Caller | None
    route: str
    answer: OcpiResponse | Exception
    size: int | None
    began: int
    ended: int


class LegOut(NamedTuple):
    """A message and its outcome, one of `hub.delivery.outcome`. `request` is None for a delivery the hub makes by itself."""

    request: OcpiRequest | None
    message: Message
    platform: Platform
    outcome: Any
    findings: Sequence[str]
    began: int
    ended: int


class Flag(NamedTuple):
    """Something odd about a request that was served all the same."""

    request: OcpiRequest
    event: str


Entry = LegIn | LegOut | Flag


class Traces:
    """One per process. `most` entries wait at the same time, the oldest are dropped and counted."""

    def __init__(self, log: Any = None, *, most: int = MOST_ENTRIES) -> None:
        self.entries: deque[Entry] = deque()
        self.dropped = 0
        self.turned_away: Counter[str] = Counter()
        """Requests that are not traced, so that a flood costs little, by TURNED_AWAY."""
        self._most = most
        self._log = log or structlog.get_logger("hub.traces")

    def answered(self, request: OcpiRequest, caller: Caller, route: object, answer: OcpiResponse, began: int) -> None:
        """The leg in, answered. `route` is what was decided."""
        name, size = type(route).__name__, len(answer.body)
        if name in OUT_OF_THE_STORE:
            answer = OcpiResponse(answer.http_status, b"", answer.headers)
        self._add(LegIn(request, caller, name, answer, size, began, perf_counter_ns()))

    def refused(self, request: OcpiRequest, caller: Caller | None, route: object, error: Exception, began: int) -> None:
        """The leg in, refused or failed; `route` is None when nothing was decided yet."""
        self._add(LegIn(request, caller, type(route).__name__ if route else "", error, None, began, perf_counter_ns()))

    def sent(
        self,
        request: OcpiRequest,
        message: Message,
        platform: Platform,
        outcome: object,
        began: int,
        findings: Sequence[str] = (),
    ) -> None:
        """A leg out of `request`; told before the request is answered."""
        self._add(LegOut(request, message, platform, outcome, findings, began, perf_counter_ns()))

    def pushed(self, message: Message, platform: Platform, outcome: object, began: int) -> None:
        """An attempt of delivery; the correlation id leads to the request it comes from (U-06)."""
        self._add(LegOut(None, message, platform, outcome, (), began, perf_counter_ns()))

    def flagged(self, event: str, request: OcpiRequest | None = None, **fields: Any) -> None:
        """Something an operator should see that is not the end of one message; `fields` are for the log."""
        self._log.warning(event, **fields)
        if request is not None:
            self.noted(event, request)

    def noted(self, event: str, request: OcpiRequest) -> None:
        """As `flagged`, of what is too usual for the log."""
        self._add(Flag(request, event))

    def _add(self, entry: Entry) -> None:
        entries = self.entries
        entries.append(entry)
        if len(entries) > self._most:
            entries.popleft()
            self.dropped += 1
