"""Reading a field of a charger's message leniently: what matters is repaired when it can be read (charging R9, R35)."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

MAXIMUM_TEXT = 20_000
_NUMBER = re.compile(r"[+-]?(\d{1,12}(\.\d{0,50})?|\.\d{1,50})([eE](\+?0?\d|-\d{1,2}))?", re.ASCII)
_DECIMAL_COMMA = re.compile(r"([+-]?\d+),(\d{1,2}|\d{4,})")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d.*", re.ASCII)
_FIRST_MILLISECOND_EPOCH = 10**11
NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)
"""The `raw_at` of what came with no time or an unreadable one."""


def text(value: Any) -> str | None:
    """Text as received, up to its first NUL, where text ends in C; a number where text belongs as its digits; None for
    anything else. Cut at 20,000 characters."""
    if isinstance(value, str):
        return value.partition("\0")[0][:MAXIMUM_TEXT]
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)[:MAXIMUM_TEXT] if isinstance(value, int | Decimal) else None


def number(value: Any) -> Decimal | None:
    """A number, also from text, also with a decimal comma or as a float writes it, rounded to 28 digits; None for "", "NaN",
    infinity and what is no plain number (R35)."""
    written = text(value) if not isinstance(value, bool) else None
    if written is None:
        return None
    written = written.strip()
    if comma := _DECIMAL_COMMA.fullmatch(written):
        written = f"{comma[1]}.{comma[2]}"
    return +Decimal(written) if _NUMBER.fullmatch(written) else None


def integer(value: Any) -> int | None:
    """A whole number, also written as text or as 12.0; None for anything else."""
    read = number(value)
    return int(read) if read is not None and read == read.to_integral_value() else None


def instant(value: Any) -> datetime | None:
    """A time as aware UTC: any ISO 8601 offset, a blank instead of T, none at all (taken as UTC), or seconds since 1970."""
    if isinstance(value, int) and not isinstance(value, bool):
        return _from_epoch(value)
    if not isinstance(value, str) or not _INSTANT.fullmatch(value.strip().upper()):
        return None
    try:
        read = datetime.fromisoformat(value.strip().upper().replace(" +", "+").replace(" Z", "Z"))
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def instant_or_arrival(value: Any, received_at: datetime) -> tuple[datetime, datetime | None]:
    """`at` and `raw_at` of a fact: the time that was sent, or the arrival with NO_TIME as what was received (R23)."""
    at = instant(value)
    return (received_at, NO_TIME) if at is None else (at, None)


def known(value: Any, names: dict[str, str]) -> str | None:
    """The text, in the spelling of `names` (folded to right) when only case and blanks differ, else as received."""
    written = text(value)
    if written is None or not written.strip():
        return None
    return names.get(written.strip().casefold(), written.strip())


def _from_epoch(value: int) -> datetime | None:
    try:
        return datetime.fromtimestamp(value / 1000 if value >= _FIRST_MILLISECOND_EPOCH else value, UTC)
    except (ValueError, OverflowError, OSError):
        return None
