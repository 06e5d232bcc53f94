"""From what routing said to rows: legs in and out are put together, what is personal is left behind. No database, no waiting."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import lru_cache, partial
from typing import Any, NamedTuple

from hub.traces import redact
from hub.traces.record import OUT_OF_THE_STORE, Entry, Flag, LegIn, LegOut, Message
from ocpi_modules import envelope, json, secrets
from ocpi_modules.message import OcpiRequest, OcpiResponse, PartyId
from ocpi_modules.status import SUCCESS, OcpiError

DELIVERY = "Delivery"
_OWN_SUCCESS = (*OUT_OF_THE_STORE, "BroadcastPush")
"""Routes whose answers are the hub's own and say 1000 whenever nothing was raised."""
_MOST_FLAGS = 20
_NANOSECONDS = 1_000


class TraceRow(NamedTuple):
    """One row of `trace`, in its columns' order; what a leg has not is None."""

    sender: str
    traced_at: datetime
    receiver: str
    sender_platform: str
    receiver_platform: str
    module: str
    interface: str
    method: str
    route: str
    correlation_id: str
    object_owner: str
    object_id: str
    request_id: str | None
    target: str | None
    http_status: int | None
    status_code: int | None
    microseconds: int | None
    request_bytes: int | None
    answer_bytes: int | None
    refusal: str | None
    forwarded_request_id: str | None
    forwarded_target: str | None
    forwarded_outcome: str | None
    forwarded_http_status: int | None
    forwarded_status_code: int | None
    forwarded_microseconds: int | None
    forwarded_bytes: int | None
    forwarded_answer_bytes: int | None
    flags: list[str]
    headers: str


class Rows:
    """Remembers legs out until their request is answered, which may be in a later call."""

    def __init__(self, key: bytes) -> None:
        self._pseudonym = partial(secrets.pseudonym, key)
        self._waiting: dict[int, list[LegOut | Flag]] = {}

    def of(self, entries: Iterable[Entry], now: datetime, ticks: int) -> list[TraceRow]:
        """The rows of these entries; `ticks` is perf_counter_ns at `now`."""
        rows: list[TraceRow] = []
        for entry in entries:
            if isinstance(entry, LegIn):
                waiting = self._waiting.pop(id(entry.request), None)
                at = _at(entry, now, ticks)
                rows += self._answered(entry, waiting, at) if waiting else [self._both(entry, None, [], at)]
            elif entry.request is None:
                rows.append(self._pushed(entry, _at(entry, now, ticks)))
            else:
                self._waiting.setdefault(id(entry.request), []).append(entry)
        return rows

    def forgotten(self, before: int, now: datetime, ticks: int) -> list[TraceRow]:
        """Rows of legs that ended before these ticks and whose request was never answered: its asker went away."""
        rows = []
        for key, waiting in list(self._waiting.items()):
            legs = [entry for entry in waiting if isinstance(entry, LegOut)]
            if not legs or legs[-1].ended < before:
                del self._waiting[key]
                rows += [self._beside(leg, "", _at(leg, now, ticks)) for leg in legs]
        return rows

    def _answered(self, leg_in: LegIn, waiting: Sequence[LegOut | Flag], at: datetime) -> list[TraceRow]:
        legs = [entry for entry in waiting if isinstance(entry, LegOut)]
        chosen = _relayed(leg_in, legs)
        rows = [self._beside(leg, leg_in.route, at) for leg in legs if leg is not chosen]
        flags = [entry.event for entry in waiting if isinstance(entry, Flag)]
        return [*rows, self._both(leg_in, chosen, flags, at)]

    def _both(self, leg_in: LegIn, leg: LegOut | None, flags: list[str], at: datetime) -> TraceRow:
        request, answer = leg_in.request, leg_in.answer
        platform = leg_in.caller.platform if leg_in.caller else None
        http_status, status_code = _codes(leg_in, leg)
        headers = {"request": redact.headers(request.headers)}
        if isinstance(answer, (OcpiResponse, OcpiError)):
            headers["answer"] = redact.headers(answer.headers)
        owner, object_id = map(storable, redact.object_of(request, self._pseudonym))
        return TraceRow(
            _sender(leg_in, leg),
            at,
            str(leg.message.to if leg else request.to or ""),
            _text(platform.id) if platform else "",
            _text(leg.platform.id) if leg else "",
            request.custom or request.module,
            request.interface,
            request.method,
            leg_in.route,
            request.correlation_id,
            owner,
            object_id,
            request.request_id,
            self._target_in(request),
            http_status,
            status_code,
            (leg_in.ended - leg_in.began) // _NANOSECONDS,
            len(request.body),
            leg_in.size,
            self._refusal(request, answer, leg),
            *self._out(leg, flags, headers),
        )

    def _beside(self, leg: LegOut, route: str, at: datetime) -> TraceRow:
        """A leg out that was not answered with: another that was asked, or one nobody waited for."""
        request = leg.request
        assert request is not None
        owner, object_id = map(storable, redact.object_of(request, self._pseudonym))
        return self._alone(leg, route, at, request.correlation_id, owner, object_id, request.request_id)

    def _pushed(self, leg: LegOut, at: datetime) -> TraceRow:
        message = leg.message
        owner, object_id = map(storable, redact.object_at(message.module, message.path, self._pseudonym))
        return self._alone(leg, DELIVERY, at, message.correlation_id or message.request_id, owner, object_id, None)

    def _alone(
        self,
        leg: LegOut,
        route: str,
        at: datetime,
        correlation_id: str,
        owner: str,
        object_id: str,
        request_id: str | None,
    ) -> TraceRow:
        message = leg.message
        return TraceRow(
            str(message.sender),
            at,
            str(message.to),
            "",
            _text(leg.platform.id),
            message.module,
            message.interface,
            message.method,
            route,
            correlation_id,
            owner,
            object_id,
            request_id,
            *_NO_LEG_IN,
            *self._out(leg, [], {}),
        )

    def _out(self, leg: LegOut | None, flags: list[str], headers: dict[str, dict[str, str]]) -> tuple[Any, ...]:
        """The columns from `forwarded_request_id` on."""
        if leg is None:
            return (*_NO_LEG_OUT, flags, json.encode(headers).decode())
        message, outcome = leg.message, leg.outcome
        answer, body = getattr(outcome, "answer", None), getattr(outcome, "body", None)
        if leg.findings and leg.request:
            flags += [
                storable(redact.sentence(text, leg.request, self._pseudonym)) for text in leg.findings[:_MOST_FLAGS]
            ]
        if leg.platform.switches.omit_routing_headers:
            headers["forwarded"] = {"ocpi-to-country-code": "omitted"}
        if answer is not None:
            headers["forwarded_answer"] = redact.headers(outcome.headers)
        return (
            message.request_id,
            self._target_out(message),
            type(outcome).__name__,
            getattr(outcome, "http_status", None),
            _in_column(answer.status_code) if answer is not None else None,
            (leg.ended - leg.began) // _NANOSECONDS,
            len(message.body),
            len(body) if body is not None else None,
            flags,
            json.encode(headers).decode(),
        )

    def _target_in(self, request: OcpiRequest) -> str:
        ticket = request.endpoint.self_defined
        return storable(
            redact.target(
                request.module, request.interface, request.path, request.query, self._pseudonym, ticket=ticket
            )
        )

    def _target_out(self, message: Message) -> str:
        if message.url is not None:
            return redact.origin(message.url)
        return storable(redact.target(message.module, message.interface, message.path, message.query, self._pseudonym))

    def _refusal(self, request: OcpiRequest, answer: object, leg: LegOut | None) -> str | None:
        """The hub's own sentence; after a leg out it would quote what the receiver said."""
        if not isinstance(answer, Exception):
            return None
        if leg is not None or not isinstance(answer, OcpiError):
            return type(answer).__name__
        return storable(redact.sentence(answer.message, request, self._pseudonym))


_text = lru_cache(maxsize=1024)(str)
"""Of the ids of platforms, the same few in every row."""
_NO_LEG_IN = (None,) * 7
_NO_LEG_OUT = (None,) * 8


def _at(entry: LegIn | LegOut, now: datetime, ticks: int) -> datetime:
    return now - timedelta(microseconds=(ticks - entry.ended) // _NANOSECONDS)


def _relayed(leg_in: LegIn, legs: Sequence[LegOut]) -> LegOut | None:
    """The leg whose answer went back, else the last."""
    body = getattr(leg_in.answer, "body", None)
    for leg in legs:
        if body is not None and getattr(leg.outcome, "body", None) is body:
            return leg
    return legs[-1] if legs else None


def _codes(leg_in: LegIn, leg: LegOut | None) -> tuple[int, int | None]:
    answer = leg_in.answer
    if isinstance(answer, OcpiError):
        return answer.http_status, answer.status_code
    if isinstance(answer, Exception):
        return 500, 3000
    if leg is not None and getattr(leg.outcome, "body", None) is answer.body:
        return answer.http_status, _in_column(leg.outcome.answer.status_code)
    if leg_in.route in _OWN_SUCCESS:
        return answer.http_status, SUCCESS
    found = envelope.read(answer.body)
    return answer.http_status, _in_column(found.status_code) if found else None


def _in_column(status_code: int) -> int | None:
    """A partner may write any number there; one that fits no column is none."""
    return status_code if 0 <= status_code < 1 << 31 else None


def _sender(leg_in: LegIn, leg: LegOut | None) -> str:
    if leg_in.caller is None:
        return ""
    party: PartyId | None = leg_in.caller.party
    if party is None and leg is not None:
        party = leg.message.sender
    own = leg_in.caller.platform.party_ids
    if party is None and len(own) == 1:
        party = next(iter(own))
    return str(party or "")


def storable(text: str) -> str:
    """PostgreSQL takes neither NUL nor half a character."""
    if text.isascii() and "\0" not in text:
        return text
    return text.encode("utf-8", "replace").decode().replace("\0", "")
