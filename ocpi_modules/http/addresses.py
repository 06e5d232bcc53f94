"""Which URLs and addresses we call: checked on the text of the URL and again on the very address being connected (S-21 to S-23).

Names are resolved once per connection, and the connection goes to the addresses that were checked, so a name that changes its
mind in between gains nothing. Whatever cannot be resolved or is not understood is refused.
"""

import asyncio
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import idna

from ocpi_modules.http.failures import AddressRefused, RequestRefused, Unreachable

MAXIMUM_URL = 2000
MAXIMUM_ADDRESSES = 4
NOT_SECURE = "The URL must begin with https://."

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""(host, port) -> IP addresses as text; raises OSError."""

_URL = re.compile(
    r"(https?)://(\[[0-9A-Fa-f:.]+\]|[^\s/?#@\\:\[\]]+)(?::([0-9]{1,5}))?([/?][^#]*)?(?:#.*)?", re.IGNORECASE
)
_VISIBLE = re.compile(r"[\x21-\x7e]*")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_TRANSLATED = tuple(
    ipaddress.IPv6Network(network)
    for network in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96", "fec0::/10")
)
_PROTOCOL_ASSIGNMENTS = ipaddress.IPv4Network("192.0.0.0/24")
_PRIVATE = tuple(
    ipaddress.ip_network(network)
    for network in ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7")
)


class Origin(NamedTuple):
    """Scheme, host (ASCII, lower case, without brackets) and port: what a connection is kept for."""

    scheme: str
    host: str
    port: int

    @property
    def host_header(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host_header}"


def split_url(url: str, *, allow_insecure: bool = False) -> tuple[Origin, str]:
    """(origin, request target). Raises AddressRefused with a sentence on what is wrong with the URL (S-21)."""
    if len(url) > MAXIMUM_URL:
        raise AddressRefused(f"The URL is longer than {MAXIMUM_URL} characters.")
    parts = _URL.fullmatch(url)
    if parts is None:
        raise AddressRefused("The URL must be absolute, begin with https:// and hold no user name.")
    scheme = parts[1].lower()
    if scheme != "https" and not allow_insecure:
        raise AddressRefused(NOT_SECURE)
    target = parts[4] or "/"
    if not _VISIBLE.fullmatch(target):
        raise AddressRefused("The URL holds a character that must be percent-encoded.")
    port = int(parts[3]) if parts[3] else _DEFAULT_PORTS[scheme]
    if port not in (443, _DEFAULT_PORTS[scheme]) and not 1024 <= port <= 65535:
        raise AddressRefused("The port of the URL must be 443 or between 1024 and 65535.")
    return Origin(scheme, _ascii(parts[2].strip("[]")), port), target if target[0] == "/" else f"/{target}"


def _ascii(host: str) -> str:
    if host.isascii():
        return host.lower()
    try:
        return idna.encode(host, uts46=True).decode("ascii")
    except idna.IDNAError:
        raise AddressRefused("The host of the URL is not a valid name.") from None


def check_address(address: str, *, allow_insecure: bool = False) -> None:
    """Raises AddressRefused unless the IP address is a public one (S-22); loopback and private ones with `allow_insecure`."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        raise AddressRefused(f"The address {address} is not understood.") from None
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    if allow_insecure and any(ip in network for network in _PRIVATE):
        return
    if not _is_public(ip):
        raise AddressRefused(f"The address {address} is not a public one.")


def _is_public(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Python 3.11 takes 192.0.0.8 and addresses that embed others (NAT64, 6to4, Teredo) for global (S-22)."""
    if not ip.is_global or ip.is_multicast or ip.is_reserved or ip.is_unspecified or ip.is_link_local:
        return False
    if isinstance(ip, ipaddress.IPv4Address):
        return ip not in _PROTOCOL_ASSIGNMENTS
    return not any(ip in network for network in _TRANSLATED)


async def addresses_of(origin: Origin, resolve: Resolve, *, allow_insecure: bool) -> list[str]:
    """The addresses to connect to, every one of them checked: one that is refused refuses the name (S-23)."""
    try:
        found = await resolve(origin.host, origin.port)
    except (OSError, UnicodeError):
        raise Unreachable(f"The name {origin.host} does not resolve.") from None
    if not found:
        raise Unreachable(f"The name {origin.host} does not resolve.")
    for address in found:
        check_address(address, allow_insecure=allow_insecure)
    return found[:MAXIMUM_ADDRESSES]


class Resolver:
    """The system's resolver in threads of its own: a slow name server holds up its own names only, one thread a name."""

    def __init__(self, threads: int = 8) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="resolve")
        self._under_way: dict[tuple[str, int], asyncio.Future[list[str]]] = {}

    async def __call__(self, host: str, port: int) -> list[str]:
        key = (host, port)
        if key not in self._under_way:
            if len(self._under_way) >= 1000:
                raise RequestRefused("Too many names are being resolved.")
            future = asyncio.get_running_loop().run_in_executor(self._threads, _look_up, host, port)
            self._under_way[key] = future
            future.add_done_callback(lambda done: self._forget(key, done))
        return await asyncio.shield(self._under_way[key])

    def _forget(self, key: tuple[str, int], done: "asyncio.Future[list[str]]") -> None:
        self._under_way.pop(key, None)
        if not done.cancelled():
            done.exception()

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _look_up(host: str, port: int) -> list[str]:
    infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(info[4][0]) for info in infos))
