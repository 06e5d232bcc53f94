"""Requests as the bytes that leave: any request, and those to an endpoint that is called again and again."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from ocpi_modules import headers as names
from ocpi_modules.http.addresses import MAXIMUM_URL, Origin, split_url
from ocpi_modules.http.failures import RequestRefused
from ocpi_modules.message import PartyId

_BAD_HEADER = re.compile(r"[\x00-\x1f\x7f]")
_METHOD = re.compile(r"[A-Z]{3,10}")
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_OURS = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "accept-encoding", "user-agent", "accept"}
)
_WITH_BODY = ("POST", "PUT", "PATCH")


@dataclass(slots=True)
class OutgoingRequest:
    """Host, Content-Length and the like in `headers` are replaced by our own; a body without Content-Type is application/json.

    `last`: its connection is closed behind it, whatever the partner says. `lane`: its connections are shared with requests of the
    same lane only, whoever else calls the host.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    last: bool = False
    lane: str = ""


@dataclass(slots=True)
class WrittenRequest:
    """A request that was checked; `rest` is what follows the request line."""

    method: str
    origin: Origin
    target: str
    rest: bytes = field(repr=False)
    last: bool = False
    lane: str = ""

    def bytes_to(self, target: str) -> bytes:
        """What goes on the wire."""
        return f"{self.method} {target} HTTP/1.1\r\n".encode("ascii") + self.rest


def write(request: OutgoingRequest, *, allow_insecure: bool = False) -> WrittenRequest:
    """Raises RequestRefused for a method, URL or header that no request of ours has."""
    if not _METHOD.fullmatch(request.method):
        raise RequestRefused("The method is not one of HTTP.")
    origin, target = split_url(request.url, allow_insecure=allow_insecure)
    _refuse_bad(request.headers)
    lines = [_host(origin)]
    given = {name.lower(): f"{name}: {value}" for name, value in request.headers.items()}
    lines += [line for name, line in given.items() if name not in _OURS]
    if request.body and "content-type" not in given:
        lines.append("Content-Type: application/json")
    if request.body or request.method in _WITH_BODY:
        lines.append(f"Content-Length: {len(request.body)}")
    if request.last:
        lines.append("Connection: close")
    rest = "\r\n".join(lines).encode("ascii") + b"\r\n\r\n" + request.body
    return WrittenRequest(request.method, origin, target, rest, request.last, request.lane)


class PreparedEndpoint:
    """An endpoint of a partner: its URL and our token for it, checked and written once. Raises RequestRefused."""

    __slots__ = ("_below", "_head", "_itself", "_longest", "_origin")

    def __init__(self, url: str, authorization: str) -> None:
        _refuse_bad({"Authorization": authorization})
        self._origin, self._itself = split_url(url, allow_insecure=True)
        _, self._below = split_url(f"{url.rstrip('/')}/", allow_insecure=True)
        if "#" in url:
            raise RequestRefused("The URL holds a fragment.")
        self._longest = MAXIMUM_URL - len(url) - 1
        self._head = f"{_host(self._origin)}\r\nAuthorization: {authorization}\r\n{names.REQUEST_ID}: "

    def written(
        self,
        method: str,
        path: str,
        query: str,
        request_id: str,
        correlation_id: str,
        routing: str,
        body: bytes,
        lane: str = "",
    ) -> WrittenRequest | None:
        """As `write` does it, byte for byte; None for what needs its closer look: anything unusual in what it is given."""
        after = f"{path}?{query}" if query else path
        given = f"{after}{request_id}{correlation_id}"
        if not given.isascii() or not given.isprintable() or " " in given or "#" in given or len(after) > self._longest:
            return None
        if not path:
            target = self._itself + after
        elif len(path) > 1 and path[0] == "/" != path[1]:
            target = self._below + after[1:]
        else:
            return None
        kind = "Content-Type: application/json\r\n" if body else ""
        length = f"Content-Length: {len(body)}\r\n" if body or method in _WITH_BODY else ""
        ids = f"{request_id}\r\n{names.CORRELATION_ID}: {correlation_id}\r\n"
        rest = f"{self._head}{ids}{routing}{kind}{length}\r\n".encode("ascii") + body
        return WrittenRequest(method, self._origin, target, rest, False, lane)


@lru_cache(4096)
def routing_lines(to: PartyId, sender: PartyId) -> str:
    """The routing headers of a prepared request (R-03). Raises RequestRefused."""
    headers = names.routing_headers(to=to, sender=sender)
    _refuse_bad(headers)
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items())


@lru_cache(1024)
def _host(origin: Origin) -> str:
    return f"Host: {origin.host_header}\r\nUser-Agent: ocpi\r\nAccept: application/json\r\nAccept-Encoding: identity"


def _refuse_bad(headers: Mapping[str, str]) -> None:
    values = "".join(headers.values())
    if _BAD_HEADER.search(values) or not values.isascii():
        wrong = next(name for name, value in headers.items() if _BAD_HEADER.search(value) or not value.isascii())
        raise RequestRefused(f"The header {wrong} holds characters no header may hold.")
    for name in headers:
        if not _is_token(name):
            raise RequestRefused("The name of a header holds characters no header may hold.")


@lru_cache(256)
def _is_token(name: str) -> bool:
    return _TOKEN.fullmatch(name) is not None
