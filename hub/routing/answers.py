"""From the outcome of a forward to the answer the asker gets (contracts section 5, R-12, R-13, R-20 to R-27)."""

from collections.abc import Mapping

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
from ocpi_modules import headers as names
from ocpi_modules.message import OcpiResponse, PartyId
from ocpi_modules.status import ConnectionProblem, HubError, RequestTimedOut

_PAGE_HEADERS = tuple((name, name.lower()) for name in (names.TOTAL_COUNT, names.LIMIT))


def relay(outcome: Outcome, *, asker: PartyId, receiver: PartyId) -> OcpiResponse:
    """The receiver's own answer, untouched, or a HubError (4000, 4002, 4003) where there is none to relay.

    Retry-After of one that has too much to do passes, in seconds: nothing but its asker can wait for it (F-23).
    """
    match outcome:
        case Delivered() | Refused():
            status = outcome.http_status
            shown = status if 200 <= status < 300 or status in (404, 405) else 200
            headers = _headers(outcome.headers, asker, receiver)
            if isinstance(outcome, Refused):
                headers |= _later(outcome)
            return OcpiResponse(shown, outcome.body, headers)
        case Garbled(http_status=429):
            raise HubError(
                f"{receiver} takes no more for now (HTTP 429){_when(outcome) or '; send it again later'}.",
                headers=_later(outcome),
            )
        case Garbled():
            raise HubError(outcome.reason, headers=_later(outcome))
        case NotOffered():
            raise HubError(outcome.reason)
        case NotSent():
            raise HubError(f"The hub could not send this to {receiver}: {outcome.reason}")
        case TokenRefused():
            raise HubError(
                f"{receiver} refused the hub's own credentials token (HTTP {outcome.http_status}); its operator was told."
            )
        case TimedOut():
            raise RequestTimedOut(f"{receiver} did not answer within {outcome.seconds:g} seconds.")
        case Unreachable():
            reason = f"{outcome.reason.rstrip('.')}{_when(outcome)}." if _later(outcome) else outcome.reason
            raise ConnectionProblem(f"{receiver} is not connected: {reason}", headers=_later(outcome))


def _later(outcome: Outcome) -> dict[str, str]:
    seconds = outcome.retry_after if isinstance(outcome, Refused | Garbled | Unreachable) else None
    return {} if seconds is None else {names.RETRY_AFTER: f"{seconds:.0f}"}


def _when(outcome: Outcome) -> str:
    return "".join(f"; send it again after {seconds} s" for seconds in _later(outcome).values())


def _headers(received: Mapping[str, str], asker: PartyId, receiver: PartyId) -> dict[str, str]:
    """TO = the asker, FROM = the receiver, whatever the receiver wrote there (R-12, R-13); the page headers pass (R-68)."""
    kept = {name: received[key].strip() for name, key in _PAGE_HEADERS if key in received}
    return {
        **{name: value for name, value in kept.items() if value.isascii() and value.isdecimal()},
        **names.routing_headers(to=asker, sender=receiver),
    }
