"""What a message teaches about later ones that name no receiver, noted at the moment it passes (R-103, P-24, field 2.13).

A request with a response_url is noted together with its ticket, in one round trip and before it leaves. The rest is written
behind the answer: it only helps to find a receiver, and the next message of its kind teaches it again.
"""

from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, Protocol

from hub.delivery.outcome import Delivered, NotOffered, Outcome, Refused, TokenRefused, may_have_arrived
from hub.objects.keep import folded
from hub.routing import repository
from hub.routing.repository import Note
from ocpi_modules import envelope
from ocpi_modules.message import Clock, OcpiRequest, PartyId
from ocpi_modules.spec import InterfaceRole, Method, ModuleID

LIFETIME = timedelta(days=60)
"""CDRs come days or weeks after what they are about."""
ONLY_WHEN_TAKEN = ("PROFILE", "RESERVATION")
_TAKEN = ("ACCEPTED", "TIMEOUT")
"""After a TIMEOUT the charger may have done it all the same."""


class Later(Protocol):
    """Work done behind the answer."""

    def add(self, work: Callable[[Any], Awaitable[None]]) -> None: ...


class Notes:
    """One per process."""

    def __init__(self, later: Later, clock: Clock) -> None:
        self._later = later
        self._clock = clock

    def passed(
        self, request: OcpiRequest, sender: PartyId, receiver: PartyId, outcome: Outcome, *, flagged: bool
    ) -> None:
        """A message of `sender` was answered by `receiver`; a `flagged` one is not kept."""
        if not isinstance(outcome, Delivered):
            return
        now = self._clock()
        for note in _of_answer(request, envelope.sole(outcome.answer.data), now, flagged=flagged):
            self._add(sender, receiver, note, now)

    def _add(self, owner: PartyId, partner: PartyId, note: Note, now: datetime) -> None:
        async def write(connection: Any) -> None:
            await repository.note_route(connection, owner, partner, note, now)

        self._later.add(write)


def of_request(request: OcpiRequest, now: datetime, until: datetime) -> list[Note]:
    """What a request with a response_url teaches; a reservation is remembered for as long as its results, `until`."""
    if request.method is Method.PUT:
        return [Note("PROFILE", folded(request.variables["session_id"]), now + LIFETIME)]
    body = request.document if request.body else None
    if request.module is not ModuleID.commands or not isinstance(body, dict):
        return []
    given = []
    if request.variables["command"] == "RESERVE_NOW":
        given.append(("RESERVATION", body.get("reservation_id"), until))
    given.append(("AUTHORIZATION", body.get("authorization_reference"), now + LIFETIME))
    return _notes(given)


def was_taken(outcome: Outcome) -> bool:
    """False only when the receiver certainly said no."""
    if isinstance(outcome, Delivered):
        return is_taken(envelope.sole(outcome.answer.data))
    return may_have_arrived(outcome) or not isinstance(outcome, Refused | NotOffered | TokenRefused)


def is_taken(answered: object) -> bool:
    """Of a CommandResponse, CommandResult or the like."""
    result = answered.get("result") if isinstance(answered, dict) else None
    return not isinstance(result, str) or result.upper() in _TAKEN


def _of_answer(request: OcpiRequest, data: object, now: datetime, *, flagged: bool) -> list[Note]:
    match request.module, request.interface, request.method:
        case ModuleID.tokens, InterfaceRole.SENDER, Method.POST:
            reference = data.get("authorization_reference") if isinstance(data, dict) else None
            return _notes([("AUTHORIZATION", reference, now + LIFETIME)])
        case ModuleID.sessions, InterfaceRole.RECEIVER, Method.PUT | Method.PATCH if flagged:
            return [Note("SESSION", folded(request.variables["session_id"]), now + LIFETIME)]
        case _:
            return []


def _notes(given: Iterable[tuple[str, object, datetime]]) -> list[Note]:
    return [
        Note(kind, folded(reference), until)
        for kind, reference, until in given
        if isinstance(reference, str) and reference
    ]
