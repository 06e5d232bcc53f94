"""Basic types of OCPI (types): DateTime, CiString, string, number, URL and the shared classes.

Schemas read decoded JSON (`json.decode`: int, Decimal, str) as Python values; a float is refused everywhere, because money and
energy that went through a double are no longer what the partner wrote (Y-14).
"""

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    StrictBool,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

NOT_AVAILABLE = "#NA"
"""transport_and_format, No data available: a required string whose value cannot exist (X-95)."""

MAXIMUM_INTEGER = 2**53
"""What every JSON parser reads without loss."""

_DATETIME = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})T(\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?(?:Z|[+-]00:00)?", re.ASCII)
_PLAIN_DATETIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{3})?Z", re.ASCII)
"""What nearly everybody writes: `datetime.fromisoformat` reads it alike, four times as quickly."""
_NO_CONTROLS = r"^[^\x00-\x1f\x7f-\x9f]*$"
_PRINTABLE_ASCII = r"^[\x20-\x7e]*$"


class OcpiObject(BaseModel):
    """A class of OCPI. Fields nobody knows are kept; an optional field that was not given is None."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())

    def to_document(self) -> dict[str, Any]:
        """The fields that are set, as values `json.encode` writes: Decimals stay Decimals, instants become strings."""
        return self.model_dump(exclude_none=True)

    @classmethod
    def of(cls, document: Any) -> Self:
        """Read decoded JSON; raises pydantic's ValidationError (`validation.findings` words it for people)."""
        return cls.model_validate(document)


def folded(text: str) -> str:
    """A CiString as it is compared (Y-02)."""
    return text.upper() if text.isascii() else text


def format_datetime(instant: datetime) -> str:
    """RFC 3339 in UTC with `Z` and at most 3 digits of a second (Y-08)."""
    if instant.tzinfo is not UTC:
        instant = instant.astimezone(UTC)
    return instant.isoformat(timespec="milliseconds")[: -len("+00:00")] + "Z"


def parse_datetime(text: str) -> datetime:
    """An OCPI DateTime as aware UTC; raises ValueError with a sentence.

    With or without `Z`, with 0 to 9 digits of a fraction (kept to the microsecond), leniently with `+00:00` (Y-06 to Y-11) and
    with months and days that are not padded, as in the placeholder `1970-1-1T00:00:00Z` (D-33).
    """
    match = _PLAIN_DATETIME.fullmatch(text) or _DATETIME.fullmatch(text)
    if match is None:
        raise ValueError("must be a UTC time like 2026-01-31T12:00:00Z")
    try:
        return datetime.fromisoformat(text) if match.re is _PLAIN_DATETIME else _from_parts(match)
    except ValueError as error:
        raise ValueError(f"is no time of any calendar: {error}") from None


def _from_parts(match: re.Match[str]) -> datetime:
    year, month, day, hour, minute, second = map(int, match.group(1, 2, 3, 4, 5, 6))
    microsecond = int(match[7].ljust(6, "0")[:6]) if match[7] else 0
    return datetime(year, month, day, hour, minute, second, microsecond, tzinfo=UTC)


def wrong(message: str) -> PydanticCustomError:
    """What a validator raises: `message` follows the field's name and reads on as one sentence."""
    return PydanticCustomError("ocpi", "{sentence}", {"sentence": message})


def _datetime(value: Any) -> datetime:
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC)
    if not isinstance(value, str):
        raise wrong("must be a string with a UTC time like 2026-01-31T12:00:00Z")
    try:
        return parse_datetime(value)
    except ValueError as error:
        raise wrong(str(error)) from None


def _number(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise wrong("must be a JSON number, not a string or anything else")
    number = Decimal(value)
    if not number.is_finite():
        raise wrong("must be a finite number")
    return number


def _integer(value: Any) -> int:
    is_number = isinstance(value, int | Decimal) and not isinstance(value, bool) and Decimal(value).is_finite()
    if not is_number or abs(value) > MAXIMUM_INTEGER or value != int(value):
        raise wrong("must be a whole number")
    return int(value)


def _url(value: str) -> str:
    try:
        parts = urlsplit(value)
        complete = parts.scheme.lower() in ("http", "https") and bool(parts.hostname)
    except ValueError:
        complete = False
    if not complete or " " in value:
        raise wrong("must be a complete URL that begins with https:// or http://")
    return value


def _ci(maximum: int, minimum: int = 0) -> StringConstraints:
    return StringConstraints(strict=True, min_length=minimum, max_length=maximum, pattern=_PRINTABLE_ASCII)


def _string(maximum: int) -> StringConstraints:
    return StringConstraints(strict=True, max_length=maximum, pattern=_NO_CONTROLS)


# CiString(n): printable ASCII, compared without case (Y-01, Y-02). `Key` forms are never empty: they stand in a URL.
CiString4 = Annotated[str, _ci(4)]
CiString32 = Annotated[str, _ci(32)]
CiString36 = Annotated[str, _ci(36)]
CiString39 = Annotated[str, _ci(39)]
CiString48 = Annotated[str, _ci(48)]
Key36 = Annotated[str, _ci(36, 1)]
Key39 = Annotated[str, _ci(39, 1)]
CountryCode = Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Za-z]{2}$")]
"""CiString(2), ISO 3166 alpha-2 (Y-20)."""
PartyCode = Annotated[str, _ci(3, 1)]
"""CiString(3): a party_id."""

# string(n): printable UTF-8, n characters (Y-03, Y-04).
String4 = Annotated[str, _string(4)]
String10 = Annotated[str, _string(10)]
String16 = Annotated[str, _string(16)]
String45 = Annotated[str, _string(45)]
String64 = Annotated[str, _string(64)]
String100 = Annotated[str, _string(100)]
String255 = Annotated[str, _string(255)]
String512 = Annotated[str, _string(512)]
Text5000 = Annotated[str, StringConstraints(strict=True, max_length=5000)]
"""string(5000) of calibration-law data: whatever is in it was signed, line breaks included (D-47)."""

Language = Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Za-z]{2}$")]
"""ISO 639-1 (Y-20)."""
Country = Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Za-z]{3}$")]
"""ISO 3166 alpha-3 (Y-20)."""
Currency = Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Z]{3}$")]
"""ISO 4217 (Y-21)."""
TimeOfDay = Annotated[str, StringConstraints(strict=True, pattern=r"^([0-1][0-9]|2[0-3]):[0-5][0-9]$")]
"""HH:MM, local time; 24:00 does not exist (G-80)."""

Url = Annotated[
    str, _string(255), AfterValidator(_url), WithJsonSchema({"type": "string", "format": "uri", "maxLength": 255})
]
"""URL: string(255) (Y-18)."""
OcpiDateTime = Annotated[
    datetime,
    BeforeValidator(_datetime),
    PlainSerializer(format_datetime, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-01-31T12:00:00Z"]}),
]
Number = Annotated[Decimal, BeforeValidator(_number), WithJsonSchema({"type": "number"})]
"""number: a Decimal with every digit as written (Y-13, Y-14)."""
Integer = Annotated[int, BeforeValidator(_integer), WithJsonSchema({"type": "integer"})]
Boolean = StrictBool


class DisplayText(OcpiObject):
    """types, DisplayText (Y-12)."""

    language: Language
    text: String512


class Price(OcpiObject):
    """types, Price: amounts of the object's currency. A missing incl_vat is unknown, not equal to excl_vat (Y-15, Y-16)."""

    excl_vat: Number
    incl_vat: Number | None = None
