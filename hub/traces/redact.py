"""What a trace may show of a message: no token, no personal value (S-07, S-36, R-85). Pure.

Uids of tokens and the values in PERSONAL stand as keyed hashes, so that an operator who knows a value finds its traces and nobody
reads one there. Ids of Locations, Tariffs, Sessions and CDRs stand as they are. Of what a partner wrote, bodies and texts of its
own are never shown, of its headers and query only what is named here.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import unquote, unquote_plus, urlsplit

from ocpi_modules.message import OcpiRequest
from ocpi_modules.spec import PAGING, InterfaceRole, ModuleID
from ocpi_modules.types import folded

PERSONAL = frozenset(
    {
        "uid",
        "contract_id",
        "visual_number",
        "group_id",
        "authorization_reference",
        "auth_id",
        "token_uid",
        "driver_id",
        "license_plate",
    }
)
HEADERS = frozenset(
    {
        "accept",
        "content-type",
        "date",
        "ocpi-from-country-code",
        "ocpi-from-party-id",
        "ocpi-to-country-code",
        "ocpi-to-party-id",
        "retry-after",
        "server",
        "user-agent",
        "x-limit",
        "x-total-count",
    }
)
"""The message ids stand in columns of their own."""
URLS = ("link", "location")
"""Headers of which only the host is shown: the rest may be a ticket of somebody."""
_BEFORE_PATH = re.compile(r"[^/?#]*//[^/?#]*")
_NUMBERS = re.compile(r"[-0-9TZ:.+%A-F]{0,40}")
QUERY = dict.fromkeys((*PAGING, "duration"), _NUMBERS) | {
    "type": re.compile("AD_HOC_USER|APP_USER|OTHER|RFID"),
    "hub_to": re.compile(r"[A-Za-z]{2}(\*|%2A)[A-Za-z0-9]{3}"),
}
"""Parameters shown as they are where they look as they should; of all others the name at most."""
_HIDDEN = ("response_url", "hub_after", "hub_link")
LONGEST = 200
_SHORTEST = 3
_DEEPEST = 16
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_ID_NAMES = ("session_id", "reservation_id", "location_id", "tariff_id", "token_uid")

Pseudonym = Callable[[str], str]


def headers(given: Mapping[str, str]) -> dict[str, str]:
    """The named ones by their lower-case names, cut to LONGEST characters."""
    shown = {}
    for name, value in given.items():
        lower = name.lower()
        if lower in HEADERS:
            shown[lower] = value[:LONGEST]
        elif lower in URLS:
            shown[lower] = origin(value.lstrip("< "))
    return shown


def origin(url: str) -> str:
    """`https://host:port/...`: where a URL leads, without what it says."""
    before = _BEFORE_PATH.match(url)
    return _origin(before[0] if before else url)


@lru_cache(256)
def _origin(url: str) -> str:
    try:
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}/..."
    except ValueError:
        return "not a URL"


def target(
    module: ModuleID, interface: InterfaceRole, path: str, query: str, pseudonym: Pseudonym, *, ticket: bool = False
) -> str:
    """Path and query below the endpoint, personal parts hashed. `ticket`: the path is a URL the hub handed out."""
    if module is ModuleID.custom:
        return "/..." if path else ""
    if path and (ticket or module is ModuleID.tokens):
        place = 0 if ticket or interface is InterfaceRole.SENDER else 2
        parts = path.strip("/").split("/")
        hidden = (hashed(unquote(part), pseudonym) if at == place else part for at, part in enumerate(parts))
        path = "/" + "/".join(hidden)
    return f"{path}?{'&'.join(_pairs(query, pseudonym))}" if query else path


def hashed(value: str, pseudonym: Pseudonym) -> str:
    """`#` and ten digits; values that differ in case only are the same (Y-02)."""
    return f"#{pseudonym(folded(value))}"


def object_of(request: OcpiRequest, pseudonym: Pseudonym) -> tuple[str, str]:
    """(owner, id) of the object a request is about, each "" where there is none; the uid of a Token is hashed."""
    if request.custom:
        return "", ""
    given = request.variables
    owner = f"{given['country_code']}*{given['party_id']}" if "country_code" in given else ""
    found = next((given[name] for name in _ID_NAMES if name in given), "")
    if not given or "command" in given:
        owner, found = _in_body(request, document(request))
    return _reference(request.module, owner, found, pseudonym)


def _in_body(request: OcpiRequest, body: Any) -> tuple[str, str]:
    """The CDR that is posted, or what a command is about."""
    if request.module is ModuleID.commands:
        return "", next(filter(None, (_string(body, name) for name in _ID_NAMES)), "")
    owner = f"{_string(body, 'country_code')}*{_string(body, 'party_id')}" if body else ""
    return owner, _string(body, "id")


def object_at(module: ModuleID, path: str, pseudonym: Pseudonym) -> tuple[str, str]:
    """The same of a push, from its path `/NL/ABC/<id>/...`."""
    parts = [unquote(part) for part in path.strip("/").split("/")]
    return _reference(module, "*".join(parts[:2]), parts[2], pseudonym) if len(parts) > 2 else ("", "")


def sentence(text: str, request: OcpiRequest, pseudonym: Pseudonym) -> str:
    """What the hub wrote about a request: values in quotes are left out, personal ones of the request hashed."""
    text = _QUOTED.sub("'...'", text)
    values = {request.variables[name] for name in request.variables if name in PERSONAL}
    values |= set(_personal_values(document(request), 0))
    within = text.upper().casefold()  # a body may hold a hundred thousand of them
    for value in sorted(values, key=len, reverse=True):
        if len(value) >= _SHORTEST and value.upper().casefold() in within:
            text = re.sub(re.escape(value), hashed(value, pseudonym), text, flags=re.IGNORECASE)
    return text


def document(request: OcpiRequest) -> Any:
    """The body where routing has read it; None otherwise: nothing is parsed for a trace alone."""
    return request.__dict__.get("document")


def _pairs(query: str, pseudonym: Pseudonym) -> Iterator[str]:
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if name in QUERY and QUERY[name].fullmatch(value):
            yield pair
        elif name == "response_url":
            yield f"{name}={origin(unquote_plus(value))}"
        else:
            yield f"{name if name in QUERY or name in _HIDDEN else '?'}={hashed(unquote_plus(value), pseudonym)}"


def _reference(module: ModuleID, owner: str, id: str, pseudonym: Pseudonym) -> tuple[str, str]:
    return folded(owner)[:LONGEST], hashed(id, pseudonym) if id and module is ModuleID.tokens else folded(id)[:LONGEST]


def _string(body: Any, name: str) -> str:
    value = body.get(name) if isinstance(body, Mapping) else None
    return value if isinstance(value, str) else ""


def _personal_values(value: Any, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        return
    for name, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        if isinstance(item, str):
            if name in PERSONAL:
                yield item
        else:
            yield from _personal_values(item, depth + 1)
