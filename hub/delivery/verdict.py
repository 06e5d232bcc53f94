"""What one outcome means for the object and for the destination. Pure (Q-08, Q-10, F-23)."""

from dataclasses import dataclass

from hub.delivery.outcome import (
    Delivered,
    Garbled,
    NotOffered,
    NotSent,
    Outcome,
    Refused,
    TimedOut,
    TokenRefused,
    Unreachable,
)
from ocpi_modules.spec import Method


@dataclass(frozen=True)
class Taken:
    """The receiver has it."""


@dataclass(frozen=True)
class Passed:
    """It is none of this receiver's business."""


@dataclass(frozen=True)
class Rejected:
    """This object is not taken; others may be."""

    reason: str


@dataclass(frozen=True)
class Failed:
    """The destination fails. `its_own` is False where it may as well be this object it stumbles over (a 500)."""

    reason: str
    timed_out: bool = False
    retry_after: float | None = None
    its_own: bool = True


Verdict = Taken | Passed | Rejected | Failed


def judge(outcome: Outcome, method: Method) -> Verdict:
    """The verdict on an attempt with `method`."""
    match outcome:
        case Delivered():
            return Taken()
        case NotOffered():
            return Passed()
        case Refused():
            return _refused(outcome, method)
        case Garbled():
            return _garbled(outcome, method)
        case NotSent():
            return Failed(outcome.reason, its_own=False)
        case TokenRefused():
            return Failed(f"The receiver refused the hub's own token with HTTP {outcome.http_status}.")
        case TimedOut():
            return Failed(f"No answer within {outcome.seconds:g} seconds.", timed_out=True)
        case Unreachable():
            return Failed(outcome.reason, retry_after=outcome.retry_after)


def reason_of(outcome: Outcome) -> str:
    """Why an attempt to POST was in vain, as a sentence; empty when it was not."""
    match judge(outcome, Method.POST):
        case Taken():
            return ""
        case Passed():
            return "The receiver does not offer this module."
        case Rejected(reason) | Failed(reason):
            return reason


def _refused(outcome: Refused, method: Method) -> Verdict:
    if method is Method.DELETE and outcome.http_status == 404:
        return Taken()
    answer = outcome.answer
    reason = f"HTTP {outcome.http_status}, OCPI {answer.status_code}: {answer.status_message[:200]}"
    if outcome.http_status == 429 or outcome.retry_after is not None:
        return Failed(reason, retry_after=outcome.retry_after)
    if outcome.http_status >= 500 or 3000 <= answer.status_code < 5000:
        return Failed(reason, its_own=False)
    return Rejected(reason)


def _garbled(outcome: Garbled, method: Method) -> Verdict:
    if method is Method.DELETE and outcome.http_status in (404, 410):
        return Taken()
    if outcome.http_status == 429 or outcome.retry_after is not None:
        return Failed(outcome.reason, retry_after=outcome.retry_after)
    if 400 <= outcome.http_status < 500:
        return Rejected(outcome.reason)
    return Failed(outcome.reason, its_own=False)
