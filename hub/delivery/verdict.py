"""What one outcome means for the object and for the destination. Pure (Q-08, Q-10, F-23)."""

from dataclasses import dataclass, field

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
from ocpi_modules.status import ConnectionProblem, RequestTimedOut, UnknownReceiver

_NOT_REACHED = frozenset({UnknownReceiver.status_code, RequestTimedOut.status_code, ConnectionProblem.status_code})
"""What a hub answers for a receiver that is unknown to it, silent or away at the moment (X-80)."""


@dataclass(frozen=True)
class Taken:
    """The receiver has it."""


@dataclass(frozen=True)
class Passed:
    """It is none of this receiver's business."""


@dataclass(frozen=True)
class _Why:
    """`reason` may hold the receiver's own words, which may repeat anything it was sent: for the operator's eyes."""

    reason: str
    logged: str = field(default="", kw_only=True)

    @property
    def plain(self) -> str:
        """The same without a word of the receiver's, for logs and alarms (S-07, S-36)."""
        return self.logged or self.reason


@dataclass(frozen=True)
class Rejected(_Why):
    """This object is not taken; others may be."""


@dataclass(frozen=True)
class Failed(_Why):
    """The destination fails. `its_own` is False where it may as well be this object it stumbles over (a 500).

    `passing`: a hub before the receiver did not reach it; that is no word about the object, however often it is said.
    """

    timed_out: bool = False
    retry_after: float | None = None
    its_own: bool = True
    passing: bool = False


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
    answer = outcome.answer
    if method is Method.DELETE and outcome.http_status == 404 and not 4000 <= answer.status_code < 5000:
        return Taken()
    logged = f"HTTP {outcome.http_status}, OCPI {answer.status_code}"
    reason = f"{logged}: {answer.status_message[:200]}"
    if _is_busy(outcome):
        return Failed(reason, _gave_up(outcome), outcome.retry_after, logged=logged)
    if answer.status_code in _NOT_REACHED:
        silent = answer.status_code == RequestTimedOut.status_code
        return Failed(reason, timed_out=silent, its_own=False, passing=True, logged=logged)
    if outcome.http_status >= 500 or 3000 <= answer.status_code < 5000:
        return Failed(reason, its_own=False, logged=logged)
    return Rejected(reason, logged=logged)


def _garbled(outcome: Garbled, method: Method) -> Verdict:
    if method is Method.DELETE and outcome.http_status in (404, 410):
        return Taken()
    logged = f"HTTP {outcome.http_status}, no answer of OCPI." if outcome.http_status else ""
    if _is_busy(outcome):
        return Failed(outcome.reason, _gave_up(outcome), outcome.retry_after, logged=logged)
    if 400 <= outcome.http_status < 500:
        return Rejected(outcome.reason, logged=logged)
    return Failed(outcome.reason, its_own=False, logged=logged)


def _is_busy(outcome: Refused | Garbled) -> bool:
    """No word about the object."""
    return outcome.http_status in (408, 429) or outcome.retry_after is not None


def _gave_up(outcome: Refused | Garbled) -> bool:
    return outcome.http_status == 408
