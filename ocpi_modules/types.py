"""Basic types of OCPI (types): DateTime, CiString, string, number, URL and the shared classes."""

from datetime import UTC, datetime


def format_datetime(instant: datetime) -> str:
    """RFC 3339 in UTC with `Z` and at most 3 digits of a second (Y-08)."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
