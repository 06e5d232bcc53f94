"""From the rows of `tests/spec/endpoints.csv` to requests that read or write what belongs to another tenant.

A row needs nothing but itself: path variables take the victim's ids, the body column its objects, a list the victim's Links.
"""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ocpi_modules import headers as header_names
from ocpi_modules import json
from ocpi_modules.message import PartyId
from tests.scenarios.conftest import HUB
from tests.support.party import Party
from tests.tenants.documents import changes, command_of, strings, written
from tests.tenants.names import Names

CHANGES = "changes of "
DATES = "date_from=2026-03-01T12:00:00Z&date_to=2026-03-01T12:00:00.001Z"
LIST_QUERIES = ("", DATES, "limit=1", "offset=1&limit=1", "date_to=2020-01-01T00:00:00Z")
SHARE = 6
"""Less than there are attackers, so that everything is tried by one or two of them."""
Headers = list[tuple[str, str]]


@dataclass(frozen=True)
class Row:
    """One line of endpoints.csv."""

    module: str
    interface: str
    method: str
    path: str
    body: str
    query: str
    required_query: str
    list: str

    @property
    def is_list(self) -> bool:
        return self.list == "yes"

    @property
    def variables(self) -> list[str]:
        return [part[1:-1] for part in self.path.split("/") if part.startswith("{")]

    @property
    def bodies(self) -> list[str]:
        """The objects a body may be, "" for none."""
        if not self.body:
            return [""]
        names = self.body.removeprefix(CHANGES).split(" or ")
        return ["" if name == "nothing" else name for name in names]

    @property
    def title(self) -> str:
        return f"{self.method} {self.interface} {self.module}{self.path}"


def rows() -> list[Row]:
    with (Path(__file__).parents[1] / "spec" / "endpoints.csv").open() as file:
        return [Row(**{name: line[name] for name in Row.__annotations__}) for line in csv.DictReader(file)]


@dataclass(frozen=True)
class Attacker:
    """A platform with a valid token, whom it may talk with, and the ids it writes under besides the victim's."""

    platform: Party
    partner: PartyId

    @property
    def id(self) -> PartyId:
        return self.platform.id

    @property
    def title(self) -> str:
        return f"{'+'.join(item.role for item in self.platform.roles)} {self.id}"


@dataclass(frozen=True)
class Request:
    method: str
    target: str
    headers: Headers
    body: bytes
    sent: tuple[str, ...]
    """Every string in it."""


@dataclass(frozen=True)
class Attempt:
    """`mode` says what the routing headers claim, `owner` whose object the path names, `own` whose body is sent."""

    row: Row
    mode: str
    owner: str = "cpo"
    name: str = ""
    own: bool = True
    query: str = ""
    link: int | None = None

    @property
    def plain(self) -> bool:
        """Worth being tried by everybody."""
        if self.row.is_list and self.mode == "TO the hub":
            return True
        first = self.owner == "cpo" and self.own and self.link is None and not self.query
        return first and self.mode in PLAIN

    @property
    def title(self) -> str:
        whose = ("its own " if self.own else "the victim's ") + self.name if self.name else "no body"
        query = f"Link {self.link}" if self.link is not None else self.query
        return f"{self.row.title} of the {self.owner}, {self.mode}, {whose} {query}".strip()

    def request(self, attacker: Attacker, names: Names) -> Request:
        values = self._values(attacker, names)
        path = "".join(f"/{values.get(part, part)}" for part in self.row.path.split("/") if part)
        query = self._query(attacker, names)
        document = self._document(attacker, names, values)
        headers = routing(self.mode, attacker, names)
        sent = (*values.values(), *strings(document), *(value for _, value in headers), *query.split("&"), query)
        target = f"{place(self.row)}{path}{'?' if query else ''}{query}"
        body = b"" if document is None else json.encode(document)
        return Request(self.row.method, target, headers, body, sent)

    def _values(self, attacker: Attacker, names: Names) -> dict[str, str]:
        owner = {"cpo": names.cpo, "emsp": names.emsp, "attacker": attacker.id}[self.owner]
        fixed = {**owner._asdict(), "command": command_of(self.name), "version": "2.2.1"}
        return {f"{{{name}}}": fixed.get(name) or names.id(self.row.module, name) for name in self.row.variables}

    def _query(self, attacker: Attacker, names: Names) -> str:
        if self.link is not None:
            return names.links[self.row.module][self.link]
        if self.row.is_list:
            return self.query
        known = {"type": "RFID", "duration": "900", "response_url": quote(result_url(attacker), safe="")}
        given = [*self.row.query.split(), *self.row.required_query.split()]
        return "&".join(f"{name}={known.get(name, '1')}" for name in given)

    def _document(self, attacker: Attacker, names: Names, values: Mapping[str, str]) -> Any:
        if not self.name:
            return None
        own_id = next((value for name, value in reversed(values.items()) if name != "{command}"), None)
        if not self.own:
            document = names.document(self.name, own_id)
        elif self.name == "Credentials":
            document = attacker.platform.credentials("a-token-of-its-own")
            roles = [{**role, **names.cpo._asdict()} for role in document["roles"]]
            document |= {"roles": document["roles"] + roles}
        else:
            drives = {item.role for item in attacker.platform.roles}.isdisjoint({"CPO"})
            document = written(
                self.name,
                names.ids,
                owner=attacker.id,
                driver=attacker.id if drives else attacker.partner,
                text="attack",
                response_url=result_url(attacker),
                own_id=own_id or names.ids["cdr_id"],
            )
        return changes(document) if self.row.body.startswith(CHANGES) else document


def attempts(row: Row, attacker: int) -> Iterator[Attempt]:
    """What the attacker of this number tries at one endpoint: the plain ways, and its share of the rest.

    Each way of saying who a request is from and for, whose object, whose body, which filter or Link is tried by somebody.
    """
    for number, attempt in enumerate(_all(row)):
        if attempt.plain or (number + attacker) % SHARE == 0:
            yield attempt


def _all(row: Row) -> Iterator[Attempt]:
    for mode in MODES:
        for variant in _variants(row, mode):
            yield variant
            if mode in ODD:
                break


def _variants(row: Row, mode: str) -> Iterator[Attempt]:
    owners = ["cpo", "emsp", "attacker"] if "country_code" in row.variables else ["cpo"]
    for name in row.bodies:
        for owner in owners:
            for own in (True, False) if name else (True,):
                yield Attempt(row, mode, owner, name, own)
    if row.is_list:
        for query in LIST_QUERIES[1:]:
            yield Attempt(row, mode, query=query)
        for link in range(3 if row.module != "hubclientinfo" else 0):
            yield Attempt(row, mode, link=link)


def place(row: Row) -> str:
    """What stands before the path of a row."""
    if row.module == "versions":
        return "/ocpi"
    interface = "" if row.module == "credentials" else f"/{row.interface.lower()}"
    return f"/ocpi/2.2.1{interface}/{row.module}"


def result_url(attacker: Attacker) -> str:
    return f"{attacker.platform.url}/ocpi/2.2.1/sender/commands/attack"


def routing(mode: str, attacker: Attacker, names: Names) -> Headers:
    """The routing headers of a mode, in order and as often as it says."""
    own = _from(attacker.id)
    match mode:
        case "no headers":
            return []
        case "FROM itself":
            return own
        case "TO the hub":
            return own + _to(HUB)
        case "TO the cpo":
            return own + _to(names.cpo)
        case "TO the emsp":
            return own + _to(names.emsp)
        case "TO its own partner":
            return own + _to(attacker.partner)
        case "TO itself":
            return own + _to(attacker.id)
        case "FROM the cpo":
            return _from(names.cpo)
        case "FROM the cpo TO the emsp":
            return _from(names.cpo) + _to(names.emsp)
        case "FROM the emsp TO the cpo":
            return _from(names.emsp) + _to(names.cpo)
        case "FROM the emsp TO the hub":
            return _from(names.emsp) + _to(HUB)
        case "half of TO":
            return own + _to(names.cpo)[:1]
        case "half of FROM":
            return _from(names.cpo)[:1] + _to(names.emsp)
        case "TO twice":
            return own + _to(attacker.partner) + _to(names.cpo)
        case "FROM twice":
            return own + _from(names.cpo) + _to(names.emsp)
        case "TO in lower case":
            return own + [(name, value.lower()) for name, value in _to(names.cpo)]
    raise ValueError(mode)


PLAIN = ("FROM itself", "TO the hub", "TO the cpo", "TO the emsp", "TO its own partner")
ODD = (
    "no headers",
    "TO itself",
    "FROM the cpo",
    "FROM the cpo TO the emsp",
    "FROM the emsp TO the cpo",
    "FROM the emsp TO the hub",
    "half of TO",
    "half of FROM",
    "TO twice",
    "FROM twice",
    "TO in lower case",
)
MODES = PLAIN + ODD


def _from(party: PartyId) -> Headers:
    return list(header_names.routing_headers(to=None, sender=party).items())


def _to(party: PartyId) -> Headers:
    return list(header_names.routing_headers(to=party, sender=None).items())
