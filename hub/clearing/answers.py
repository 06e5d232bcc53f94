"""What is kept of an attempt's answer, so that it can be given again. Pure."""

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urljoin, urlsplit

from hub.delivery.outcome import Delivered, Outcome
from ocpi_modules import envelope
from ocpi_modules.message import OcpiResponse
from ocpi_modules.status import ConnectionProblem, HubError, RequestTimedOut

_HUB_ERRORS: dict[int, type[HubError]] = {
    error.status_code: error for error in (HubError, RequestTimedOut, ConnectionProblem)
}


def answered(
    outcome: Outcome, answer: OcpiResponse | HubError | None, now: datetime
) -> tuple[int | None, bytes | None]:
    """HTTP status and body to be given again; no status where the hub answers for a receiver that did not."""
    match answer:
        case OcpiResponse():
            return answer.http_status, answer.body
        case HubError():
            return None, envelope.refusal(answer, now=now).body
        case None:
            return (outcome.http_status, outcome.body) if isinstance(outcome, Delivered) else (None, None)


def told(http_status: int | None, body: bytes, headers: Mapping[str, str]) -> OcpiResponse:
    """The answer that `answered` kept: the receiver's with `headers`. Raises HubError where it was the hub's own."""
    if http_status is not None:
        return OcpiResponse(http_status, body, headers)
    kept = envelope.read(body) or envelope.Answer(HubError.status_code, "", None)
    raise _HUB_ERRORS.get(kept.status_code, HubError)(kept.status_message)


def location_of(outcome: Outcome, endpoint: str) -> str | None:
    """The receiver's URL of its CDR; a relative one follows its endpoint (D-21).

    None also for one that leads to another host, as the receiver's token goes nowhere else (S-26, S-27), and for one that cannot
    be called: ids of CDRs may hold blanks, and stacks put them into the path as they are.
    """
    given = outcome.headers.get("location") if isinstance(outcome, Delivered) else None
    if not given:
        return None
    try:
        url = urljoin(f"{endpoint.rstrip('/')}/", given)
        found, known = urlsplit(url), urlsplit(endpoint)
        at_home = (found.scheme, found.netloc.lower()) == (known.scheme, known.netloc.lower())
    except ValueError:
        return None
    sendable = url.isascii() and url.isprintable() and " " not in url
    return url if at_home and sendable else None
