"""A charger that sends its local time as UTC, found by its own start and stop (R23)."""

from dataclasses import replace
from datetime import timedelta

from cpo_adapter.charging.transaction import Transaction, apply, corrected, is_zone, place, repaired

QUARTER = timedelta(minutes=15)
MOST_APART = timedelta(minutes=1)


def set_right(transaction: Transaction) -> Transaction:
    """The transaction with the zone taken off every time, each marked as corrected, or as it is.

    Start and stop arrived equally long after what they say, and the charge lasted far longer than the two may differ: so
    neither waited in a queue, and it is the clock that is behind. A replay brings both at the same moment.
    """
    zone = _zone(transaction)
    if zone is None:
        return transaction
    moved = Transaction(transaction.opening, orphaned=transaction.orphaned)
    for fact in (transaction.started, *transaction.stops, *transaction.statuses):
        moved = moved if fact is None else apply(moved, corrected(fact, zone))
    arrived = max(stop.received_at for stop in transaction.stops)
    samples, information = (
        tuple(sorted((repaired(sample, zone, arrived) for sample in known), key=place))
        for known in (transaction.samples, transaction.information)
    )
    return replace(moved, samples=samples, information=information)


def _zone(transaction: Transaction) -> timedelta | None:
    """Our clock minus the charger's, in quarters of an hour; None unless it is plainly a zone."""
    start, stop = transaction.started, transaction.stopped
    if start is None or stop is None or start.raw_at is not None or stop.raw_at is not None:
        return None
    behind, later = start.received_at - start.at, stop.received_at - stop.at
    live = abs(behind - later) <= MOST_APART and stop.at - start.at >= MOST_APART * 10
    return round(behind / QUARTER) * QUARTER if live and is_zone(behind) else None
