"""From one page of a partner's list to the next, whatever its Link is worth. Pure (X-38, X-46, G-08).

A Link on the registered endpoint is followed as it is. One that leads elsewhere is not: the hub goes on at the endpoint it knows,
with offset and limit of its own, and says so.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

from ocpi_modules.http.crawl import repaired
from ocpi_modules.http.failures import BadAnswer
from ocpi_modules.paging import parse_link
from ocpi_modules.types import format_datetime

LIMIT = 100
_NUMBER = re.compile(r"[0-9]{1,15}", re.ASCII)


@dataclass(frozen=True)
class Asked:
    """A page that was asked for: the endpoint as registered, the page's URL, the filter of the run, most objects on a page."""

    endpoint: str
    url: str
    date_from: datetime | None = None
    limit: int = LIMIT

    def page(self, offset: int) -> str:
        """Another page of the same list, of our own counting."""
        return page_url(self.endpoint, offset, self.date_from, self.limit)


@dataclass(frozen=True)
class Step:
    """`url` is None after the last page; `flag` says how the page differs from the specification."""

    url: str | None
    flag: str = ""


@dataclass
class Way:
    """The pages of one look so far. A page that repeats is a loop, under whatever URL it comes (X-46)."""

    urls: set[str] = field(default_factory=set)
    contents: set[bytes] = field(default_factory=set)

    def repeats(self, url: str, data: bytes, count: int) -> bool:
        """Note a page of `count` objects; whether it was there before."""
        content = blake2b(data, digest_size=16).digest()
        known = url in self.urls or (count > 0 and content in self.contents)
        self.urls.add(url)
        self.contents.add(content)
        return known


def here(asked: str | None, endpoint: str, received: int, date_from: datetime | None, limit: int) -> str:
    """The page to ask for: a stored URL only while it still lies at the endpoint, which may have moved since (S-25)."""
    if asked is not None and _lies_at(asked, endpoint):
        return asked
    return page_url(endpoint, received, date_from, limit)


def _lies_at(url: str, endpoint: str) -> bool:
    try:
        return repaired(url, urlsplit(endpoint), url) == url
    except BadAnswer:
        return False


def page_url(endpoint: str, offset: int, date_from: datetime | None, limit: int) -> str:
    """A page of our own counting."""
    filters = {"date_from": format_datetime(date_from)} if date_from else {}
    query = urlencode(filters | {"offset": offset, "limit": limit}, safe=":")
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{query}"


def following(asked: Asked, headers: Mapping[str, str], *, count: int, received: int) -> Step:
    """The page after this one, of `count` objects; with them `received` have come."""
    link = parse_link(headers.get("link", ""))
    if link is not None:
        return _linked(asked, link, count, received)
    if count and missing(headers, received):
        flag = "Its pages end without a Link although X-Total-Count names more; the hub counts on by itself."
        return Step(asked.page(received), flag)
    return Step(None)


def missing(headers: Mapping[str, str], received: int) -> int:
    """How many more objects X-Total-Count names."""
    total = headers.get("x-total-count", "").strip()
    return max(0, int(total) - received) if _NUMBER.fullmatch(total) else 0


def _linked(asked: Asked, link: str, count: int, received: int) -> Step:
    try:
        url = repaired(link, urlsplit(asked.endpoint), asked.url)
    except BadAnswer:
        url = ""
    if url and url == urljoin(asked.url, link):
        return Step(url)
    flag = "Its Links lead away from the endpoint it registered; the hub asks there, with offset and limit of its own."
    return Step(asked.page(_offset(link, received)) if count else None, flag)


def _offset(link: str, received: int) -> int:
    """The offset the Link names, else what has come."""
    query = link.partition("?")[2]
    given = next((value for name, value in parse_qsl(query) if name == "offset" and _NUMBER.fullmatch(value)), None)
    return received if given is None else int(given)
