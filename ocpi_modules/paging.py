"""Paginated lists: the query of a request and the headers of its answer (transport_and_format, Pagination)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote, unquote_plus

from ocpi_modules.headers import LIMIT, LINK, TOTAL_COUNT
from ocpi_modules.spec import PAGING
from ocpi_modules.status import InvalidParameters
from ocpi_modules.types import parse_datetime

MAXIMUM_LINK_HEADER = 8192
MAXIMUM_PARAMETERS = 100
_NUMBER = re.compile(r"[0-9]{1,15}")


@dataclass(slots=True)
class PageRequest:
    """What a client asked for, counted in objects.

    `limit` is what it gets at most, already lowered to `cap`, the server's own bound. `date_from` is inclusive, `date_to`
    exclusive (X-31, X-32). `filters` are the texts of both, as they go into a Link.
    """

    cap: int
    limit: int
    offset: int = 0
    date_from: datetime | None = None
    date_to: datetime | None = None
    filters: tuple[tuple[str, str], ...] = field(default=(), compare=False)


def parse(query: str, *, cap: int) -> PageRequest:
    """The page a raw query string asks for; other parameters are ignored.

    Raises InvalidParameters (2001) that names the parameter (X-47). A `+` that became a space is accepted in dates (G-10).
    """
    values = _values(query)
    dates = tuple([(name, _repaired(values[name])) for name in ("date_from", "date_to") if name in values])
    instants = {name: _instant(name, text) for name, text in dates}
    limit = _number("limit", values["limit"], least=1) if "limit" in values else cap
    offset = _number("offset", values["offset"], least=0) if "offset" in values else 0
    return PageRequest(cap, min(limit, cap), offset, instants.get("date_from"), instants.get("date_to"), filters=dates)


def link_header(url: str, page: PageRequest, *, offset: int, extra: Iterable[tuple[str, str]] = ()) -> str:
    """The value of Link to the page that begins at `offset`: the filters of the request, offset and effective limit (X-38, X-39).

    `url` is the absolute public URL of the list without a query; `extra` are parameters of our own, which clients carry along.
    """
    parameters = [*_quoted(page.filters), f"offset={offset}", f"limit={page.limit}", *_quoted(extra)]
    return f'<{url}?{"&".join(parameters)}>; rel="next"'


def headers(page: PageRequest, *, total: int, link: str | None = None) -> dict[str, str]:
    """X-Total-Count (what matches and the client may see), X-Limit (the server's bound) and, but on the last page, Link
    (X-38 to X-42)."""
    values = {TOTAL_COUNT: str(total), LIMIT: str(page.cap)}
    return values | {LINK: link} if link else values


def parse_link(header: str) -> str | None:
    """The URL of `rel="next"` in a Link header, as it stands there; None when there is none or the header is too long.

    A link without a rel counts as next, one without a URL as none.
    """
    if len(header) > MAXIMUM_LINK_HEADER:
        return None
    rest = header
    while (start := rest.find("<")) >= 0 and (end := rest.find(">", start)) >= 0:
        url, rest = rest[start + 1 : end].strip(), rest[end + 1 :]
        parameters, rest = _until_next_link(rest)
        relations = [value.lower().split() for name, value in parameters if name.lower() == "rel"]
        if not relations or "next" in relations[0]:
            return url or None
    return None


def _until_next_link(text: str) -> tuple[list[tuple[str, str]], str]:
    """The parameters of one link, and what follows the comma after them."""
    quoted, end = False, len(text)
    for position, character in enumerate(text):
        quoted ^= character == '"'
        if character == "," and not quoted:
            end = position
            break
    pairs = (part.partition("=") for part in text[:end].split(";"))
    return [(name.strip(), value.strip().strip('"')) for name, _, value in pairs], text[end:]


def _quoted(parameters: Iterable[tuple[str, str]]) -> list[str]:
    return [f"{name}={quote(value, safe=':')}" for name, value in parameters]


def _values(query: str) -> dict[str, str]:
    if query.count("&") >= MAXIMUM_PARAMETERS:
        raise InvalidParameters(f"The query has more than {MAXIMUM_PARAMETERS} parameters.")
    values: dict[str, str] = {}
    for part in query.split("&"):
        name, _, value = part.partition("=")
        name, value = _decoded(name), _decoded(value)
        if value and name in PAGING and values.setdefault(name, value) != value:
            raise InvalidParameters(f"{name} is given twice; give it once.")
    return values


def _decoded(text: str) -> str:
    return unquote_plus(text, errors="replace") if "%" in text or "+" in text else text


def _number(name: str, text: str, *, least: int) -> int:
    if not _NUMBER.fullmatch(text) or int(text) < least:
        raise InvalidParameters(f"{name} must be a whole number of at least {least}.")
    return int(text)


def _repaired(text: str) -> str:
    return text.strip().replace(" ", "+")


def _instant(name: str, text: str) -> datetime:
    try:
        return parse_datetime(text)
    except ValueError as error:
        raise InvalidParameters(f"{name} {error}.") from None
