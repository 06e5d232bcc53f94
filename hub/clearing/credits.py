"""What a Credit CDR may credit (mod_cdrs, Credit CDRs; D-04, S-16)."""

from collections.abc import Callable
from typing import Any

from hub.clearing import repository
from hub.clearing.checks import CdrFacts
from ocpi_modules.message import PartyId
from ocpi_modules.status import InvalidParameters


async def check_credit(
    connection: Any, facts: CdrFacts, receiver: PartyId, alarm: Callable[..., None], *, guaranteed: bool
) -> None:
    """Raises InvalidParameters (2001) for a credit of no CDR of this owner and receiver, of one that was credited before, or of
    one that the receiver has not taken: money would be given back that was never charged. A hub that has `guaranteed` both posts
    the original first.

    The original is locked, so that of two credits at once one is the second. A credit that was certainly not taken does not
    count: its CPO may send another one.
    """
    credited = facts.credit_reference_id
    if credited is None:
        return
    original = await repository.lock_delivery(connection, facts.owner, credited)
    if original is None:
        raise InvalidParameters(f"`credit_reference_id` {credited} names no CDR of {facts.owner} that passed here.")
    if original.receiver != str(receiver):
        raise InvalidParameters(
            f"`credit_reference_id` {credited} was sent to {original.receiver}; {receiver} cannot be credited for it."
        )
    if not guaranteed and not original.delivered:
        raise InvalidParameters(
            f"`credit_reference_id` {credited} was not taken by {receiver} yet; post that CDR again first, then its credit."
        )
    other = await repository.find_other_credit(connection, facts.owner, credited, facts.id_folded)
    if other is not None:
        alarm("cdr credited twice", owner=str(facts.owner), id=facts.id_folded, credited=credited)
        raise InvalidParameters(
            f"`credit_reference_id` {credited} was credited before by {other}; a CDR is credited once."
        )
