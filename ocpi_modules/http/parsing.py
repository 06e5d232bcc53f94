"""From the headers and query of an HTTP request to what OcpiRequest holds, or a refusal."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from urllib.parse import unquote, unquote_plus

from ocpi_modules import headers as names
from ocpi_modules.message import PartyId
from ocpi_modules.status import InvalidParameters, UnsupportedContent

MAXIMUM_QUERY = 4096

REQUEST_ID = names.REQUEST_ID.lower()
CORRELATION_ID = names.CORRELATION_ID.lower()
_TO = (names.TO_COUNTRY_CODE.lower(), names.TO_PARTY_ID.lower())
_FROM = (names.FROM_COUNTRY_CODE.lower(), names.FROM_PARTY_ID.lower())
_ONCE = frozenset({"authorization", "content-type", "content-length", REQUEST_ID, CORRELATION_ID, *_TO, *_FROM})
_ID = re.compile(r"[\x21-\x7e]{1,64}")
_COUNTRY_CODE = re.compile(r"[\x21-\x7e]{2}")
_PARTY_ID = re.compile(r"[\x21-\x7e]{1,3}")
_RESPONSE_URL = re.compile(r"(?:^|&)response_url=(https?://.*)", re.IGNORECASE | re.DOTALL)
_JSON = re.compile(r"application/json\s*(;.*)?", re.IGNORECASE | re.DOTALL)
_CHARSET = re.compile(r';\s*charset\s*=\s*"?([^\s;"]*)', re.IGNORECASE)


def read_headers(pairs: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers by lower-case name (X-22), the first of each. Raises InvalidParameters (HTTP 400) when a header that names
    the caller, the route, the message or the body stands twice (F-40, S-10)."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in pairs}
    return headers if len(headers) == len(pairs) else _read_repeated(pairs)


def _read_repeated(pairs: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    decoded = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in pairs]
    names_given = Counter(name for name, _ in decoded)
    for name in _ONCE:
        if names_given[name] > 1:
            raise InvalidParameters(f"The header {name} stands twice; send it once.", http_status=400)
    return dict(reversed(decoded))


def message_id(headers: dict[str, str], name: str) -> str:
    """X-Request-ID or X-Correlation-ID; generated where it is missing (X-93). Raises InvalidParameters (HTTP 400)."""
    value = headers.get(name, "")
    if not value:
        return names.new_message_id()
    if not _ID.fullmatch(value):
        raise InvalidParameters(f"The header {name} must be 1 to 64 visible ASCII characters.", http_status=400)
    return value


def message_id_or_new(pairs: Iterable[tuple[bytes, bytes]], name: str) -> str:
    """The id a refusal echoes (X-92): the caller's where it is a good one, else a new one."""
    value = next((value.decode("latin-1") for key, value in pairs if key.decode("latin-1") == name), "")
    return value if _ID.fullmatch(value) else names.new_message_id()


def routing(headers: dict[str, str]) -> tuple[PartyId | None, PartyId | None]:
    """(to, sender) from the four routing headers (R-03, R-09). Raises InvalidParameters on half a pair (R-08) or a bad length."""
    return _party(headers, *_TO), _party(headers, *_FROM)


def _party(headers: dict[str, str], country: str, party: str) -> PartyId | None:
    country_code, party_id = headers.get(country, ""), headers.get(party, "")
    if not country_code and not party_id:
        return None
    if not country_code or not party_id:
        given, missing = (country, party) if country_code else (party, country)
        raise InvalidParameters(f"The header {given} came without {missing}; send both or neither.")
    found = _party_of(country_code, party_id)
    if found is None:
        raise InvalidParameters(f"{country} must be 2 and {party} at most 3 visible ASCII characters.")
    return found


@lru_cache(4096)
def _party_of(country_code: str, party_id: str) -> PartyId | None:
    if not _COUNTRY_CODE.fullmatch(country_code) or not _PARTY_ID.fullmatch(party_id):
        return None
    return PartyId.of(country_code, party_id)


def read_params(query: str) -> dict[str, str]:
    """The decoded query, the first of each name.

    A `+` in date_from and date_to stays a plus, and a space there was one (G-10). A response_url that was not encoded takes
    everything after `response_url=` (P-22). Raises InvalidParameters.
    """
    if not query:
        return {}
    if len(query) > MAXIMUM_QUERY:
        raise InvalidParameters(f"The query is longer than {MAXIMUM_QUERY} bytes.", http_status=414)
    unencoded = _RESPONSE_URL.search(query)
    rest = query[: unencoded.start()] if unencoded else query
    params: dict[str, str] = {}
    for part in rest.split("&"):
        name, _, value = part.partition("=")
        if name:
            params.setdefault(_decoded(name), _decoded(value, date=name.startswith("date_")))
    if unencoded:
        params.setdefault("response_url", unencoded[1])
    return params


def _decoded(text: str, *, date: bool = False) -> str:
    if text.isalnum():
        return text
    try:
        decoded = unquote(text, errors="strict").replace(" ", "+") if date else unquote_plus(text, errors="strict")
    except UnicodeDecodeError:
        raise InvalidParameters("The query is not UTF-8.") from None
    if "\x00" in decoded:
        raise InvalidParameters("The query holds the character NUL (%00), which no partner can store.")
    return decoded


def check_content(headers: Mapping[str, str]) -> None:
    """A body must be plain application/json; parameters are accepted (X-15, X-17, F-39). Raises UnsupportedContent (415)."""
    content_type = headers.get("content-type", "")
    if content_type != "application/json":
        _check_type(content_type)
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedContent(
            "Bodies are accepted without Content-Encoding only.", headers={"Accept-Encoding": "identity"}
        )


def _check_type(content_type: str) -> None:
    if not _JSON.fullmatch(content_type.strip()):
        raise UnsupportedContent("The body must be sent with Content-Type: application/json.")
    charset = _CHARSET.search(content_type)
    if charset and charset[1].lower() not in ("utf-8", "utf8", "us-ascii"):
        raise UnsupportedContent("The body must be UTF-8.")
