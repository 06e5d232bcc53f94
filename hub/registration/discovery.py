"""Reads a partner's versions and version details, and lets nobody lead our token to another host (S-25, S-27)."""

import asyncio
from collections.abc import Collection
from typing import Any
from urllib.parse import urlsplit

from hub.registration.version_choice import choose
from ocpi_modules.http import handshake
from ocpi_modules.http.client import OcpiClient
from ocpi_modules.http.handshake import PlatformDetails
from ocpi_modules.spec import InterfaceRole, Method, ModuleID
from ocpi_modules.status import ClientApiUnusable, NoMatchingEndpoints

DISCOVERY_SECONDS = 25.0
_MOST_ENDPOINTS = 200
_MOST_CHARACTERS = 255


async def discover(
    client: OcpiClient, versions_url: str, token: str, *, base64: bool, spoken: Collection[str]
) -> PlatformDetails:
    """Versions, then the details of the chosen version. After a 401 the other form of the token is tried once (X-07).

    Raises ClientApiUnusable (3001), UnsupportedVersion (3002), NoMatchingEndpoints (3003); at most DISCOVERY_SECONDS.
    """
    try:
        async with asyncio.timeout(DISCOVERY_SECONDS):
            return await _discover(client, versions_url, token, base64, spoken)
    except TimeoutError:
        raise ClientApiUnusable(
            f"{versions_url} and the version details took longer than {DISCOVERY_SECONDS:g} s."
        ) from None


async def _discover(
    client: OcpiClient, versions_url: str, token: str, base64: bool, spoken: Collection[str]
) -> PlatformDetails:
    try:
        listed = await handshake.call(client, Method.GET, versions_url, token, base64=base64)
    except handshake.Unauthorized:
        base64 = not base64
        listed = await handshake.call(client, Method.GET, versions_url, token, base64=base64)
    version, url = choose(listed, spoken)
    _same_host(url, versions_url)
    document = await handshake.call(client, Method.GET, url, token, base64=base64)
    return PlatformDetails(version, endpoints_of(document, versions_url), base64)


def endpoints_of(document: Any, versions_url: str) -> dict[tuple[str, str], str]:
    """(identifier, role) -> URL as listed (X-98). What cannot be read is passed over (E-13), another host refused (S-25)."""
    listed = document.get("endpoints") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise ClientApiUnusable("The version details hold no list of endpoints.")
    endpoints: dict[tuple[str, str], str] = {}
    for entry in listed[:_MOST_ENDPOINTS]:
        found = _endpoint(entry)
        if found is not None:
            _same_host(found[2], versions_url)
            endpoints[found[0], found[1]] = found[2]
    if (ModuleID.credentials.value, InterfaceRole.SENDER.value) not in endpoints:
        raise NoMatchingEndpoints("The version details list no credentials endpoint; the hub needs it.")
    return endpoints


def _endpoint(entry: Any) -> tuple[str, str, str] | None:
    if not isinstance(entry, dict):
        return None
    identifier, role, url = entry.get("identifier"), entry.get("role"), entry.get("url")
    if not isinstance(identifier, str) or not isinstance(url, str) or not 0 < len(identifier) <= _MOST_CHARACTERS:
        return None
    if identifier == ModuleID.credentials:
        role = InterfaceRole.SENDER.value  # its role means nothing (E-08)
    return (identifier, role, url) if role in tuple(InterfaceRole) else None


def _same_host(url: str, versions_url: str) -> None:
    try:
        there, approved = urlsplit(url), urlsplit(versions_url)
        same = there.scheme in ("https", approved.scheme) and there.hostname == approved.hostname and not there.username
    except ValueError:
        same = False
    if not same or len(url) > _MOST_CHARACTERS:
        raise ClientApiUnusable(
            f"{url[:_MOST_CHARACTERS]} does not lie on the host of the versions URL {versions_url}."
        )
