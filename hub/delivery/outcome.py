"""What became of one message sent to a platform. Pure: one attempt, one typed outcome (R-20, F-23)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ocpi_modules import envelope
from ocpi_modules.envelope import Answer
from ocpi_modules.http.connection import IncomingAnswer
from ocpi_modules.status import ConnectionProblem, RequestTimedOut

EXCERPT_LENGTH = 120
_GATEWAY_FAILURES = (502, 503, 504)
_TURNED_AWAY = frozenset({307, 308, *range(400, 500)} - {408, 409})
"""What is answered to a request nothing was done for, envelope or not: a 408 may come from a gateway that did not wait, a 409 of
what an earlier attempt left."""
_USUAL = re.compile(
    rb'\{"status_code": ?(1[0-9]{3}),(?: ?"status_message": ?"([ !#-\[\]-~]*)",)? ?"timestamp": ?"[ !#-\[\]-~]*"\}'
)
"""A success without data, in plain text: `envelope.read` finds the same in it, but has to decode it."""


@dataclass(slots=True)
class Delivered:
    """2xx with a 1xxx envelope: the receiver took it."""

    http_status: int
    headers: Mapping[str, str]
    body: bytes
    answer: Answer


@dataclass(slots=True)
class Refused:
    """A valid envelope that says no, or 404 or 405 with any envelope."""

    http_status: int
    headers: Mapping[str, str]
    body: bytes
    answer: Answer
    retry_after: float | None = None
    """Seconds the receiver asks to be left alone."""


@dataclass(frozen=True)
class Garbled:
    """An answer that is not OCPI; `reason` is a sentence with a short, escaped excerpt (S-28)."""

    http_status: int
    reason: str
    retry_after: float | None = None


@dataclass(frozen=True)
class TokenRefused:
    """401 or 403: the receiver does not accept the hub's token. Never relayed: the asker would doubt its own (R-20)."""

    http_status: int


@dataclass(frozen=True)
class Unreachable:
    """No connection, a broken one, or a gateway in front of nobody. `request_was_sent`: the receiver may have acted on it."""

    reason: str
    request_was_sent: bool = False
    retry_after: float | None = None


@dataclass(frozen=True)
class TimedOut:
    """No whole answer within `seconds`. `request_was_sent`: the receiver may have acted on it."""

    seconds: float
    request_was_sent: bool = True


@dataclass(frozen=True)
class NotOffered:
    """The receiver registered no endpoint for this module and interface (R-27)."""

    reason: str


@dataclass(frozen=True)
class NotSent:
    """The hub could not put it on the wire: the URL, the address or the queue forbids it. Says nothing about the receiver's
    state, so that no sender can make a receiver seem away."""

    reason: str


Outcome = Delivered | Refused | Garbled | TokenRefused | Unreachable | TimedOut | NotOffered | NotSent


def classify(received: IncomingAnswer) -> Outcome:
    """The outcome an HTTP answer stands for."""
    status = received.http_status
    if status in (401, 403):
        return TokenRefused(status)
    answer = _usual(received.body) or envelope.read(received.body)
    if answer is None:
        return _not_ocpi(received)
    if 200 <= status < 300 and answer.succeeded:
        return Delivered(status, received.headers, received.body, answer)
    if 300 <= status < 400:
        return Garbled(status, f"The receiver redirected with HTTP {status}, which is not followed.")
    if answer.succeeded and status not in (404, 405):
        return Garbled(status, f"The receiver answered HTTP {status} with the OCPI success code {answer.status_code}.")
    return Refused(status, received.headers, received.body, answer, retry_after(received))


def _usual(body: bytes) -> Answer | None:
    found = _USUAL.fullmatch(body)
    return Answer(int(found[1]), (found[2] or b"").decode(), None) if found else None


def reached_nobody(outcome: Outcome) -> bool:
    """Whether its sender is told 4002 or 4003: by this hub, or by another one that stands before the receiver."""
    match outcome:
        case Unreachable() | TimedOut():
            return True
        case Refused():
            return outcome.answer.status_code in (RequestTimedOut.status_code, ConnectionProblem.status_code)
        case _:
            return False


def may_have_arrived(outcome: Outcome) -> bool:
    """True when the receiver may have acted on the message although nobody knows (D-22, M-31), nor a hub before it (4002)."""
    match outcome:
        case Unreachable() | TimedOut():
            return outcome.request_was_sent
        case Garbled():
            return outcome.http_status not in _TURNED_AWAY
        case Refused():
            return outcome.answer.status_code == RequestTimedOut.status_code
        case _:
            return False


def _not_ocpi(received: IncomingAnswer) -> Outcome:
    status = received.http_status
    if status in _GATEWAY_FAILURES:
        return Unreachable(f"The receiver's gateway answered HTTP {status}.", True, retry_after(received))
    if 300 <= status < 400:
        return Garbled(status, f"The receiver redirected with HTTP {status}, which is not followed.")
    reason = f"The receiver answered HTTP {status} without an OCPI envelope: {excerpt(received.body)}."
    return Garbled(status, reason, retry_after(received))


def retry_after(received: IncomingAnswer) -> float | None:
    """Only the form in seconds, and only where it is meant so; a date would trust the receiver's clock (Q-06)."""
    value = received.headers.get("retry-after", "").strip()
    asked = received.http_status in (429, 503) and value.isascii() and value.isdecimal() and len(value) < 10
    return int(value) if asked else None


def excerpt(body: bytes) -> str:
    """The first characters of a body, printable and free of markup."""
    text = " ".join(body[: EXCERPT_LENGTH * 4].decode("utf-8", "replace").split())
    shown = "".join(character if character.isprintable() and character not in "<>&" else "?" for character in text)
    return f'"{shown[:EXCERPT_LENGTH]}"' if shown else "an empty body"
