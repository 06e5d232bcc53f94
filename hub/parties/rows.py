"""From rows of the directory's query to Platform values."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import SecretStr

from hub.parties.platforms import (
    Connection,
    EndpointKey,
    Party,
    PartyState,
    Platform,
    PlatformState,
    TokenKind,
)
from hub.parties.switches import Switches
from ocpi_modules import json
from ocpi_modules.secrets import Keys, open_sealed, opens_under, seal
from ocpi_modules.spec import InterfaceRole, Role

_PURPOSE = "outgoing token"


@dataclass(frozen=True)
class Issued:
    """A token we gave out. `pending`: its first use retires the platform's other tokens. `move_to`: the key to store its MAC
    under instead, once it is in hand."""

    platform_id: UUID
    kind: TokenKind
    pending: bool
    expires_at: datetime | None
    move_to: str | None = None


def seal_token(keys: Keys, platform_id: UUID, token: str) -> bytes:
    """Our token for a platform, as it is stored."""
    return seal(keys, token, owner=str(platform_id), purpose=_PURPOSE)


def key_of_sealed(keys: Keys, platform_id: UUID, sealed: bytes) -> str | None:
    """The id of the key our token for a platform is stored under; None where it is none of these."""
    return opens_under(keys, sealed, owner=str(platform_id), purpose=_PURPOSE)


def sealed_anew(keys: Keys, platform_id: UUID, sealed: bytes) -> bytes:
    """The same token under the newest key. Raises CannotOpen."""
    return seal_token(keys, platform_id, open_sealed(keys, sealed, owner=str(platform_id), purpose=_PURPOSE))


def platform_of(row: Mapping[str, Any], keys: Keys) -> Platform:
    """Raises CannotOpen when the stored token was sealed with another key or for another platform (S-03)."""
    switches = Switches.of(json.decode(row["switches"].encode()))
    encoding = switches.token_encoding
    return Platform(
        id=row["platform_id"],
        name=row["name"],
        state=PlatformState(row["state"]),
        version=row["version"],
        versions_url=row["versions_url"],
        approved_host=row["approved_host"],
        endpoints=_endpoints(row["endpoints"], switches),
        token=_token(row, keys),
        base64=row["base64_learned"] if encoding == "auto" else encoding == "base64",
        parties=tuple(_party(*item) for item in row["parties"]),
        switches=switches,
        connection=Connection(row["connection"]),
        last_seen=row["last_seen"],
        revision=row["revision"],
    )


def tokens_of(row: Mapping[str, Any]) -> dict[bytes, Issued]:
    """MAC -> what it stands for."""
    return {
        bytes(mac): Issued(row["platform_id"], TokenKind(kind), pending, expires_at, move_to)
        for mac, kind, pending, expires_at, move_to in row["tokens"]
    }


def _token(row: Mapping[str, Any], keys: Keys) -> SecretStr | None:
    sealed = row["outgoing_token"]
    return (
        None
        if sealed is None
        else SecretStr(open_sealed(keys, sealed, owner=str(row["platform_id"]), purpose=_PURPOSE))
    )


def _endpoints(listed: list[tuple[str, str, str]], switches: Switches) -> dict[EndpointKey, str]:
    endpoints = {(module, InterfaceRole(interface)): url for module, interface, url in listed}
    for name, url in switches.endpoint_overrides.items():
        module, _, interface = name.partition(":")
        endpoints[module, InterfaceRole(interface)] = url
    return endpoints


def _party(
    country_code: str,
    party_id: str,
    role: str,
    state: str,
    business_details: str,
    announced: str,
    announced_at: datetime,
) -> Party:
    details = json.decode(business_details.encode())
    return Party(country_code, party_id, Role(role), PartyState(state), details, announced, announced_at)
