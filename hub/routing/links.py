"""The `Link` header of a destination's page, taken onto the hub's own endpoint (R-68 to R-71, field 2 and 3). Pure."""

from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from hub.routing.decide import LINK_AFTER, LINK_RECEIVER, LINK_TICKET
from ocpi_modules.message import PartyId
from ocpi_modules.paging import MAXIMUM_LINK_HEADER, parse_link

_OURS = (LINK_RECEIVER, LINK_TICKET, LINK_AFTER)
_FILTERS = ("offset", "limit", "date_from", "date_to")


@dataclass(frozen=True)
class OnOurEndpoint:
    """The next page, on the hub; `repaired` when the destination's Link led away from its registered endpoint."""

    url: str
    repaired: bool = False


@dataclass(frozen=True)
class BehindTicket:
    """The next page has no offset: its whole URL must be remembered."""

    url: str


def rewrite(link: str, *, endpoint: str, ours: str, receiver: PartyId) -> OnOurEndpoint | BehindTicket | None:
    """The next page of `link`, or None when there is none.

    `endpoint` is the destination's registered URL, `ours` the hub's. A Link that leads elsewhere and cannot be repaired raises
    ValueError: dropping it would cut the crawl short without anybody knowing (R-71).
    """
    if len(link) > MAXIMUM_LINK_HEADER:
        raise ValueError(f"the Link of the receiver's page is longer than {MAXIMUM_LINK_HEADER} characters")
    target = parse_link(link)
    if target is None:
        return None
    if not (target.isascii() and target.isprintable()):
        raise ValueError("the Link of the receiver's page is not a URL")
    url = urljoin(endpoint, target)
    parts, known = urlsplit(url), urlsplit(endpoint)
    at_home = (parts.scheme, parts.netloc.lower()) == (known.scheme, known.netloc.lower())
    same_path = parts.path.rstrip("/") == known.path.rstrip("/")
    names = [_name(pair) for pair in parts.query.split("&")]
    if "offset" in names:
        kept = parts.query if at_home and same_path else _filters_only(parts.query)
        return OnOurEndpoint(f"{ours}?{_without_none(kept)}&{LINK_RECEIVER}={receiver}", not (at_home and same_path))
    if not at_home:
        raise ValueError("the Link of the receiver's page leads to another host than its registered endpoint")
    return BehindTicket(url)


def without_our_parameters(query: str) -> str:
    """The query with the hub's own additions taken out; every other byte as it was."""
    if not any(name in query for name in _OURS):
        return query
    return "&".join(pair for pair in query.split("&") if _name(pair) not in _OURS)


def at_most(query: str, cap: int | None) -> str:
    """The query with no limit above `cap`, which the platform set for itself; every other byte as it was.

    An answer that is shorter than asked is what every client must expect (X-34); a limit that is no number stays the receiver's.
    """
    if cap is None:
        return query
    pairs = query.split("&") if query else []
    if not any(_name(pair) == "limit" for pair in pairs):
        return "&".join([*pairs, f"limit={cap}"])
    return "&".join(f"limit={cap}" if _is_over(pair, cap) else pair for pair in pairs)


def _is_over(pair: str, cap: int) -> bool:
    name, _, value = pair.partition("=")
    return name == "limit" and value.isascii() and value.isdecimal() and (len(value) > 9 or int(value) > cap)


def _name(pair: str) -> str:
    return pair.partition("=")[0]


def _filters_only(query: str) -> str:
    return "&".join(pair for pair in query.split("&") if _name(pair) in _FILTERS)


def _without_none(query: str) -> str:
    """Some stacks print an unset filter as `date_from=None` (field 3)."""
    return "&".join(pair for pair in query.split("&") if pair not in ("date_from=None", "date_to=None"))
