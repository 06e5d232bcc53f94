"""OCPI's own HTTP headers and the Authorization header (transport_and_format)."""

import base64
import binascii
import os

from ocpi_modules.message import PartyId

REQUEST_ID = "X-Request-ID"
CORRELATION_ID = "X-Correlation-ID"
TO_PARTY_ID = "OCPI-to-party-id"
TO_COUNTRY_CODE = "OCPI-to-country-code"
FROM_PARTY_ID = "OCPI-from-party-id"
FROM_COUNTRY_CODE = "OCPI-from-country-code"
TOTAL_COUNT = "X-Total-Count"
LIMIT = "X-Limit"
LINK = "Link"
LOCATION = "Location"
RETRY_AFTER = "Retry-After"


def routing_headers(*, to: PartyId | None, sender: PartyId | None) -> dict[str, str]:
    """The four routing headers (R-03); a pair is left out where its party is None."""
    headers: dict[str, str] = {}
    if to:
        headers |= {TO_COUNTRY_CODE: to.country_code, TO_PARTY_ID: to.party_id}
    if sender:
        headers |= {FROM_COUNTRY_CODE: sender.country_code, FROM_PARTY_ID: sender.party_id}
    return headers


def new_message_id() -> str:
    """A random UUID for X-Request-ID or X-Correlation-ID (X-93), as `str(uuid4())` in an eighth of the time."""
    digits = os.urandom(16).hex()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def authorization(token: str, *, base64_encoded: bool = True) -> str:
    """The Authorization value for a raw token (X-03, X-04, X-09); plain for peers that expect it raw (X-06)."""
    sent = base64.b64encode(token.encode()).decode() if base64_encoded else token
    return f"Token {sent}"


def tokens_in(authorization_value: str) -> list[str]:
    """The raw tokens an Authorization value may stand for: decoded first, then as it is (X-06, X-08, X-13).

    Empty when the value is not `Token ...`. A line feed at the end of the decoded token is dropped: the specification's own
    samples carry one.
    """
    scheme, _, value = authorization_value.partition(" ")
    value = value.strip()
    if scheme.lower() != "token" or not value or len(value) > 256:
        return []
    decoded = _decoded(value)
    return [token for token in (decoded, value) if token]


def _decoded(value: str) -> str | None:
    try:
        text = base64.b64decode(value, validate=True).decode("utf-8").rstrip("\r\n")
    except (binascii.Error, ValueError):
        return None
    return text if text and text.isprintable() else None
