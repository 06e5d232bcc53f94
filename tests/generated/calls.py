"""Generated calls of partners to the hub: any endpoint of any module, from a party that may call it to one that may be called."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from types import UnionType
from typing import Any, get_args, get_origin
from urllib.parse import quote

from ocpi_modules import headers as names
from ocpi_modules import roles
from ocpi_modules.message import PartyId
from ocpi_modules.registry import MODULES
from ocpi_modules.spec import Endpoint, Kind, Method, ModuleID, ModuleSpec, Partial, Place, Role
from ocpi_modules.tokens.enums import TokenType
from tests.generated.build import build, build_changes
from tests.generated.platforms import Platform, authorization
from tests.generated.spell import spell

HUB = PartyId("NL", "HUB")
PREFIX = "/ocpi/2.2.1"
IDS = [f"ID-{number}" for number in range(20)] + [
    "a/b",
    "A B",
    "%41",
    "x?y#z",
    "..x",
    "~!$&'()*+,;=:@",
    "i" * 36,
    "id-1",
]


@dataclass
class Call:
    """`headers` are sent in this order; `faults` names what was broken on purpose."""

    number: int
    platform: Platform
    method: str
    path: str
    query: list[tuple[str, str]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    more_headers: list[tuple[str, str]] = field(default_factory=list)
    document: Any = None
    body: bytes = b""
    raw_query: str | None = None
    faults: list[str] = field(default_factory=list)
    chunked: bool = False

    @property
    def target(self) -> str:
        given = "&".join(f"{name}={quote(value, safe=':')}" for name, value in self.query)
        query = given if self.raw_query is None else self.raw_query
        return f"{self.path}?{query}" if query else self.path

    def wire(self) -> bytes:
        """The request as it goes over the socket."""
        headers = [("Host", "hub"), *self.headers.items(), *self.more_headers]
        body = self.body
        if self.chunked and body:
            headers.append(("Transfer-Encoding", "chunked"))
            half = len(body) // 2
            parts = [part for part in (body[:half], body[half:]) if part]
            body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
        elif body or self.method in ("POST", "PUT", "PATCH"):
            headers.append(("Content-Length", str(len(body))))
        head = "".join(f"{name}: {value}\r\n" for name, value in headers)
        return f"{self.method} {self.target} HTTP/1.1\r\n{head}\r\n".encode("utf-8", "surrogateescape") + body


@dataclass
class Memory:
    """What calls refer back to: Locations of CDRs, Links of lists, CDRs already posted."""

    locations: deque[tuple[Platform, str]] = field(default_factory=lambda: deque(maxlen=50))
    links: deque[tuple[Platform, PartyId, str]] = field(default_factory=lambda: deque(maxlen=50))
    cdrs: deque[tuple[Platform, PartyId, PartyId, bytes]] = field(default_factory=lambda: deque(maxlen=50))


@dataclass(frozen=True)
class Relation:
    spec: ModuleSpec
    endpoint: Endpoint
    caller: PartyId
    platform: Platform
    receiver: PartyId
    customer: bool
    """Whether the receiver has drivers of its own."""


class Generator:
    """Call `number` depends on the seed and its number, and (tickets, Links) on what the hub answered before."""

    def __init__(self, platforms: Sequence[Platform], seed: int, break_it: Callable[[Call, Random], None]) -> None:
        self._platforms = platforms
        self._seed = seed
        self._break = break_it
        self.memory = Memory()
        self._relations = _relations(platforms)

    def call(self, number: int) -> Call:
        random = Random(f"{self._seed} {number}")
        call = self._one(number, random)
        call.chunked = bool(call.body) and random.random() < 0.05
        if random.random() < 0.28:
            self._break(call, random)
        return call

    def _one(self, number: int, random: Random) -> Call:
        kind = random.random()
        if kind < 0.06:
            return self._own_module(number, random)
        if kind < 0.14 and (again := self._follow_up(number, random)):
            return again
        return self._routed(number, random)

    def _routed(self, number: int, random: Random) -> Call:
        relation = random.choice(random.choice(self._relations))
        endpoint, spec = relation.endpoint, relation.spec
        path, fixed = _path(relation, number, random)
        call = Call(number, relation.platform, str(endpoint.method), path)
        call.query = _query(relation, random)
        call.document = _document(relation, fixed, random)
        to: PartyId | None = relation.receiver
        if random.random() < 0.15:
            to = random.choice((HUB, None))
        _sign(call, relation.caller, to)
        if call.document is not None:
            call.body = spell(call.document, random, hostile=random.choice((0.0, 0.3)))
            call.headers["Content-Type"] = random.choice(("application/json", "application/json; charset=utf-8"))
        if spec.id is ModuleID.cdrs and endpoint.method is Method.POST and to == relation.receiver:
            self.memory.cdrs.append((relation.platform, relation.caller, relation.receiver, call.body))
        return call

    def _follow_up(self, number: int, random: Random) -> Call | None:
        """A result to a ticket, a GET of a Location or Link, a CDR posted again."""
        memory, platform = self.memory, random.choice(self._platforms)
        which = random.choice(("ticket", "location", "link", "cdr"))
        if which == "ticket" and platform.tickets:
            return self._result(number, platform, random)
        if which == "location" and memory.locations:
            platform, path = random.choice(memory.locations)
            return _signed(Call(number, platform, "GET", path))
        if which == "link" and memory.links:
            platform, party, url = random.choice(memory.links)
            path, _, query = url.partition("?")
            call = Call(number, platform, "GET", path, raw_query=query)
            _sign(call, party, None)
            return call
        if which == "cdr" and memory.cdrs:
            platform, sender, to, body = random.choice(memory.cdrs)
            call = Call(number, platform, "POST", f"{PREFIX}/receiver/cdrs", body=body)
            _sign(call, sender, to)
            call.headers["Content-Type"] = "application/json"
            return call
        return None

    def _result(self, number: int, platform: Platform, random: Random) -> Call:
        call = _signed(Call(number, platform, "POST", random.choice(platform.tickets)))
        call.document = {"result": random.choice(("ACCEPTED", "REJECTED", "FAILED", "TIMEOUT"))}
        call.body = spell(call.document, random)
        call.headers["Content-Type"] = "application/json"
        return call

    def _own_module(self, number: int, random: Random) -> Call:
        path = random.choice(
            ("/ocpi/versions", PREFIX, f"{PREFIX}/credentials", *[f"{PREFIX}/sender/hubclientinfo"] * 3)
        )
        call = _signed(Call(number, random.choice(self._platforms), "GET", path))
        if path.endswith("hubclientinfo"):
            call.query = _list_query(random)
        return call


def _relations(platforms: Sequence[Platform]) -> list[list[Relation]]:
    """For each endpoint the pairs of parties that may use it; what tickets stand for is left to follow-ups."""
    parties = [(party, own, platform) for platform in platforms for party, own in platform.parties.items()]
    found = []
    for spec in MODULES.values():
        for endpoint in spec.endpoints:
            if spec.kind is Kind.CONFIGURATION or endpoint.self_defined:
                continue
            pairs = [
                Relation(spec, endpoint, caller, platform, receiver, theirs != {Role.SCSP})
                for caller, own, platform in parties
                for receiver, theirs, _ in parties
                if caller != receiver
                and roles.may_exchange(own, spec.id, endpoint.interface, theirs)
                and roles.may_call(own, spec.id, endpoint.interface)
            ]
            found.append(pairs)
    return found


def _path(relation: Relation, number: int, random: Random) -> tuple[str, dict[str, Any]]:
    """The path, and the fields of the body that must agree with it."""
    spec, endpoint = relation.spec, relation.endpoint
    values = {name: random.choice(IDS) for name in endpoint.names}
    fixed: dict[str, Any] = {}
    if "command" in values:
        values["command"] = random.choice(list(endpoint.bodies))
        fixed["command"] = values["command"]
    if "country_code" in values:
        values["country_code"], values["party_id"] = relation.caller
        depth = len(endpoint.names) - 3
        fixed = (
            {"country_code": relation.caller.country_code, "party_id": relation.caller.party_id} if depth == 0 else {}
        )
        id_field = spec.key[2] if depth == 0 else spec.nested[depth - 1][2]
        fixed[id_field] = values[endpoint.names[-1]]
    elif spec.id is ModuleID.cdrs:
        fixed = {"country_code": relation.caller.country_code, "party_id": relation.caller.party_id, "id": f"C{number}"}
    rest = "".join(
        f"/{quote(values[part[1:-1]], safe='') if part.startswith('{') else part}" for part in endpoint.segments
    )
    return f"{PREFIX}/{endpoint.interface.lower()}/{spec.id}{rest}", fixed


def _query(relation: Relation, random: Random) -> list[tuple[str, str]]:
    endpoint = relation.endpoint
    if endpoint.is_list:
        return _list_query(random)
    query = [("type", str(random.choice(list(TokenType))))] if "type" in endpoint.query else []
    if "duration" in endpoint.required_query:
        query.append(("duration", str(random.randint(0, 9000))))
    if endpoint.response_url is Place.QUERY:
        query.append(("response_url", f"{relation.platform.url}/sender/chargingprofiles/{random.randint(0, 99)}"))
    return query


def _list_query(random: Random) -> list[tuple[str, str]]:
    known = {
        "offset": str(random.choice((0, 1, 5, 1000))),
        "limit": str(random.choice((1, 2, 50, 100, 5000))),
        "date_from": random.choice(("2026-01-01T00:00:00Z", "2030-01-01T00:00:00", "2015-06-29T20:39:09.123Z")),
        "date_to": random.choice(("2026-12-31T00:00:00Z", "1999-01-01T00:00:00Z")),
    }
    return [(name, value) for name, value in known.items() if random.random() < 0.4]


def _document(relation: Relation, fixed: dict[str, Any], random: Random) -> Any:
    endpoint, spec = relation.endpoint, relation.spec
    body = endpoint.bodies.get(fixed.pop("command", ""), endpoint.body)
    if body is None or (endpoint.body_optional and random.random() < 0.3):
        return None
    if isinstance(body, UnionType):
        body = random.choice(get_args(body))
    if get_origin(body) is Partial:
        return build_changes(get_args(body)[0], random, **_hints(relation, get_args(body)[0], random, patch=True))
    document = build(body, random, **fixed, **_hints(relation, body, random, patch=False))
    if endpoint.response_url is Place.BODY:
        document["response_url"] = f"{relation.platform.url}/sender/{spec.id}/{random.randint(0, 99)}"
    if document.get("credit"):
        document["credit"] = False
    return document


def _hints(relation: Relation, schema: Any, random: Random, *, patch: bool) -> dict[str, Any]:
    """Whose driver it is: of the addressed party in Sessions and CDRs, of the sender in commands."""
    fields = schema.model_fields
    if "cdr_token" in fields and relation.customer and not (patch and random.random() < 0.8):
        return {"cdr_token": build(fields["cdr_token"].annotation, random, **relation.receiver._asdict())}
    if "token" in fields and relation.spec.id is ModuleID.commands:
        return {"token": build(fields["token"].annotation, random, **relation.caller._asdict())}
    return {}


def _sign(call: Call, sender: PartyId | None, to: PartyId | None) -> None:
    call.headers |= {
        "Authorization": authorization(call.platform.hub_token),
        names.REQUEST_ID: f"fuzz-{call.number}",
        names.CORRELATION_ID: f"fuzz-{call.number}",
        **names.routing_headers(to=to, sender=sender),
    }


def _signed(call: Call) -> Call:
    _sign(call, next(iter(call.platform.parties)), None)
    return call
