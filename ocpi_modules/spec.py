"""The vocabulary of the module tables: what a module offers, on which interface, at which path.

A ModuleSpec is read by the door in (`http/server.py`), the door out, the OpenAPI writer and the hub's routing. Every oddity
of OCPI is a named field here, so that all oddities can be read in one sitting and a test can enumerate them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, Generic, TypeVar

Object = TypeVar("Object")

PAGING = ("date_from", "date_to", "offset", "limit")
"""The query of every paginated list (X-30)."""


class Word(StrEnum):
    """A word of OCPI. Hashed as the text it is: Enum's own hash is a call, and keys of objects hold words."""

    __hash__ = str.__hash__


class ModuleID(Word):
    """version_information_endpoint, ModuleID (E-06); `versions` is ours, for the two documents that have no id, and `custom`,
    for all modules that OCPI does not define (`ocpi_modules/custom.py`)."""

    versions = "versions"
    credentials = "credentials"
    locations = "locations"
    sessions = "sessions"
    cdrs = "cdrs"
    tariffs = "tariffs"
    tokens = "tokens"
    commands = "commands"
    chargingprofiles = "chargingprofiles"
    hubclientinfo = "hubclientinfo"
    custom = "custom"


class InterfaceRole(Word):
    """SENDER owns the data and is pulled; RECEIVER is pushed to (E-05)."""

    SENDER = "SENDER"
    RECEIVER = "RECEIVER"


class Method(Word):
    """The only HTTP methods of OCPI (X-18)."""

    GET = "GET"
    POST = "POST"
    PUT = "PUT"
    PATCH = "PATCH"
    DELETE = "DELETE"


class Role(Word):
    """types, Role (Y-17)."""

    CPO = "CPO"
    EMSP = "EMSP"
    HUB = "HUB"
    NAP = "NAP"
    NSP = "NSP"
    OTHER = "OTHER"
    SCSP = "SCSP"


class Kind(StrEnum):
    """FUNCTIONAL modules are routed between parties, CONFIGURATION modules end at the platform (R-01, R-02)."""

    FUNCTIONAL = "FUNCTIONAL"
    CONFIGURATION = "CONFIGURATION"


class Place(StrEnum):
    """Where a request carries its response_url."""

    BODY = "BODY"
    QUERY = "QUERY"


class Page(Generic[Object]):
    """Marker: the answer is a paginated list of Object."""


class Partial(Generic[Object]):
    """Marker: the body holds only the changed fields of Object (PATCH)."""


@dataclass(frozen=True)
class Endpoint:
    """One method at one path of one interface.

    `path` follows the endpoint URL of version details: "" or "/{name}/..." with one name a segment.
    """

    interface: InterfaceRole
    method: Method
    path: str
    body: Any = None
    returns: Any = None
    body_optional: bool = False
    query: tuple[str, ...] = ()
    required_query: tuple[str, ...] = ()
    expected_query: tuple[str, ...] = ()
    """Required by the specification, but a request without it is served all the same (date_from of Sessions, S-05)."""
    response_url: Place | None = None
    location_header: bool = False
    """The answer must carry a `Location` header (POST of a CDR, D-15)."""
    self_defined: bool = False
    """The URL was handed out by its owner and means nothing but a ticket (response_url, CDR Location)."""

    bodies: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Where the body depends on the last path segment: its value -> body (the five commands, M-02)."""

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the path's variable segments, in order; fixed segments are not in it."""
        return tuple(part[1:-1] for part in self.segments if part.startswith("{"))

    @cached_property
    def segments(self) -> tuple[str, ...]:
        return tuple(part for part in self.path.split("/") if part)

    @cached_property
    def is_list(self) -> bool:
        return getattr(self.returns, "__origin__", None) is Page


@dataclass(frozen=True)
class ModuleSpec:
    """One OCPI module as a table."""

    id: ModuleID
    kind: Kind
    owner: Role | None
    object: Any
    endpoints: tuple[Endpoint, ...]
    key: tuple[str, ...] = ()
    """The fields that identify an object, owner first; tokens add `type` (K-04)."""
    query_key: dict[str, str] = field(default_factory=dict)
    """Key parts that travel in the query, with their default: {"type": "RFID"} for tokens (K-03)."""
    nested: tuple[tuple[str, str, str], ...] = ()
    """(path name, list field, id field) of each level below the object: EVSEs and Connectors of a Location."""
    receiver_hint: tuple[str, ...] = ()
    """Dotted fields that name the addressee of a push without OCPI-to headers (R-58)."""
    broadcast: bool = False
    merge: Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]] | None = None
    """How PATCH merges when it is not the plain rule of transport_and_format, PATCH."""
