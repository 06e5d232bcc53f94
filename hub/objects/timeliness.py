"""A last_updated far in the future would win against everything its owner says later. Pure (U-33)."""

from datetime import datetime, timedelta

from ocpi_modules.status import InvalidParameters
from ocpi_modules.types import parse_datetime

AHEAD = timedelta(hours=24)


def require_no_future(last_updated: str, now: datetime) -> datetime:
    """The time itself; raises InvalidParameters (2001) for one more than a day from now."""
    when = parse_datetime(last_updated)
    if when > now + AHEAD:
        raise InvalidParameters(
            f"last_updated is {last_updated}, more than a day from now; set the clock right and push again."
        )
    return when
