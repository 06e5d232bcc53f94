"""Where everything lies below the public URL: documents, dispatcher and tickets take their URLs from here.

    /ocpi/versions                              the list of versions
    /ocpi/2.2.1                                 version details
    /ocpi/2.2.1/credentials
    /ocpi/2.2.1/{sender|receiver}/{module}/...  all other modules

Look-ups walk dictionaries, one step a segment, on the raw path: `%2F` inside an id does not split it (X-102, G-72).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import unquote

from ocpi_modules.custom import is_custom
from ocpi_modules.spec import Endpoint, InterfaceRole, Method, ModuleID, ModuleSpec
from ocpi_modules.status import InvalidParameters, MethodNotAllowed, NotFound

PREFIX = "/ocpi"
VERSION = "2.2.1"
MAXIMUM_PATH = 2048

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def versions_url(public_url: str) -> str:
    """The URL handed to partners out of band (E-01)."""
    return f"{public_url.rstrip('/')}{PREFIX}/versions"


def details_url(public_url: str, version: str = VERSION) -> str:
    """The URL of version details (E-03)."""
    return f"{public_url.rstrip('/')}{PREFIX}/{version}"


def endpoint_url(public_url: str, module: ModuleID, interface: InterfaceRole, version: str = VERSION) -> str:
    """The endpoint URL of one interface of one module, without a slash at its end."""
    root = details_url(public_url, version)
    return f"{root}/credentials" if module == ModuleID.credentials else f"{root}/{interface.lower()}/{module}"


def custom_endpoint_url(public_url: str, identifier: str, interface: InterfaceRole, version: str = VERSION) -> str:
    """The endpoint URL of one interface of a custom module."""
    return f"{details_url(public_url, version)}/{interface.lower()}/{identifier}"


def endpoint_urls(
    public_url: str,
    modules: Mapping[ModuleID, ModuleSpec],
    offered: Iterable[tuple[ModuleID, InterfaceRole]],
    version: str = VERSION,
) -> list[dict[str, str]]:
    """The `endpoints` of version details: identifier, role, url (E-04, E-11); credentials once, as SENDER (E-08).

    `offered` names what this platform implements; what is not in `modules` is left out, so that no document promises a URL
    the dispatcher does not know.
    """
    endpoints: dict[tuple[str, str], dict[str, str]] = {}
    for module, interface in offered:
        if module not in modules or module == ModuleID.versions:
            continue
        role = InterfaceRole.SENDER if module == ModuleID.credentials else interface
        url = endpoint_url(public_url, module, role, version)
        endpoints[module, role] = {"identifier": str(module), "role": str(role), "url": url}
    return list(endpoints.values())


@dataclass(slots=True)
class Match:
    """A path and method that are offered: the endpoint, the raw suffix and the decoded variables."""

    module: ModuleID
    endpoint: Endpoint
    version: str
    path: str
    variables: dict[str, str]
    custom: str = ""
    """The identifier of a custom module."""


@dataclass
class _Node:
    """One step of a module's paths."""

    fixed: dict[str, "_Node"] = field(default_factory=dict)
    variable: "_Node | None" = None
    methods: dict[str, Endpoint] = field(default_factory=dict)


@dataclass
class _Interface:
    """The paths of one module under one URL. `anywhere` holds endpoints that own every suffix: self-defined and custom ones."""

    module: ModuleID
    root: _Node = field(default_factory=_Node)
    anywhere: dict[str, Endpoint] = field(default_factory=dict)

    def add(self, endpoint: Endpoint) -> None:
        if (endpoint.self_defined or self.module is ModuleID.custom) and not endpoint.segments:
            self.anywhere[endpoint.method] = endpoint
            return
        node = self.root
        for segment in endpoint.segments:
            if segment.startswith("{"):
                node.variable = node = node.variable or _Node()
            else:
                node = node.fixed.setdefault(segment, _Node())
        node.methods[endpoint.method] = endpoint

    def methods_at(self, segments: list[str]) -> dict[str, Endpoint]:
        found = _methods(self.root, segments, 0)
        return self.anywhere | found if self.anywhere else found


def _methods(node: _Node, segments: list[str], depth: int) -> dict[str, Endpoint]:
    """A fixed segment wins over a variable one, method by method."""
    if depth == len(segments):
        return node.methods
    found = _methods(node.variable, segments, depth + 1) if node.variable else {}
    fixed = node.fixed.get(segments[depth])
    return found | _methods(fixed, segments, depth + 1) if fixed else found


class Paths:
    """All paths of one server, looked up by `match`. With the table of custom modules among `modules`, every identifier that
    OCPI does not define is one."""

    def __init__(
        self, modules: Mapping[ModuleID, ModuleSpec], *, prefix: str = PREFIX, versions: tuple[str, ...] = (VERSION,)
    ):
        self._prefix = prefix
        self._versions = frozenset(versions)
        self._interfaces: dict[str, _Interface] = {}
        for spec in modules.values():
            for endpoint in spec.endpoints:
                place = _place(spec.id, endpoint.interface)
                self._interfaces.setdefault(place, _Interface(spec.id)).add(endpoint)

    def own(self, raw_path: str) -> bool:
        """Whether this path is OCPI's: the prefix itself or anything below it."""
        rest = raw_path.removeprefix(self._prefix)
        return rest != raw_path and (not rest or rest[0] == "/")

    def match(self, method: str, raw_path: str) -> Match:
        """Find the endpoint. Raises NotFound (404), InvalidParameters (414 for a path over 2 KB) or MethodNotAllowed (405
        with Allow). A slash at the end is accepted (X-101); empty and dot segments are not."""
        if len(raw_path) > MAXIMUM_PATH:
            raise InvalidParameters(f"The path is longer than {MAXIMUM_PATH} bytes.", http_status=414)
        segments = raw_path.removeprefix(self._prefix).removesuffix("/").split("/")[1:]
        interface, version, rest = self._find(segments)
        decoded = [_decoded(segment) for segment in rest]
        offered = interface.methods_at(decoded)
        endpoint = offered.get(method)
        if endpoint is None:
            raise _refusal(method, offered)
        variables = {name: decoded[place] for place, name in _names(endpoint.path)}
        custom = segments[2] if interface.module is ModuleID.custom else ""
        return Match(interface.module, endpoint, version, "/".join(("", *rest)), variables, custom)

    def _find(self, segments: list[str]) -> tuple[_Interface, str, list[str]]:
        match segments:
            case ["versions"]:
                place, version, rest = "versions", VERSION, segments
            case [version] if version in self._versions:
                place, rest = "versions", segments
            case [version, "credentials", *rest] if version in self._versions:
                place = "credentials"
            case [version, ("sender" | "receiver") as interface, module, *rest] if version in self._versions:
                place = f"{interface}/{ModuleID.custom if is_custom(module) else module}"
            case _:
                raise NotFound("There is nothing at this URL. Take URLs from version details.")
        try:
            return self._interfaces[place], version, rest
        except KeyError:
            raise NotFound("This module is not offered here. Take URLs from version details.") from None


@lru_cache(256)
def _names(path: str) -> tuple[tuple[int, str], ...]:
    """(position, name) of the variable segments of an endpoint's path."""
    parts = [part for part in path.split("/") if part]
    return tuple((place, part[1:-1]) for place, part in enumerate(parts) if part.startswith("{"))


def _place(module: ModuleID, interface: InterfaceRole) -> str:
    return str(module) if module in (ModuleID.versions, ModuleID.credentials) else f"{interface.lower()}/{module}"


def _refusal(method: str, offered: Mapping[str, Endpoint]) -> NotFound | MethodNotAllowed:
    if not offered:
        return NotFound("There is nothing at this URL. Take URLs from version details.")
    allow = ", ".join(name for name in Method if name in offered)
    return MethodNotAllowed(f"{method} is not offered at this URL, only {allow}.", headers={"Allow": allow})


def _decoded(segment: str) -> str:
    if segment.isalnum():
        return segment
    try:
        text = unquote(segment, errors="strict") if "%" in segment else segment
    except UnicodeDecodeError:
        raise NotFound("The path is not UTF-8.") from None
    if text in ("", ".", "..") or _CONTROL.search(text):
        raise NotFound("The path holds an empty segment, a dot segment or a control character.")
    return text
