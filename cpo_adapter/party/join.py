"""Joining a hub as Sender of the registration, and telling it about a changed address (credentials; C-03, C-07, C-21, F-52)."""

from typing import Any

from cpo_adapter.config import Site
from cpo_adapter.party.link import PURPOSE, SEALED_FOR, HubLink
from cpo_adapter.storage import registration_repository
from cpo_adapter.storage.engine import Database
from ocpi_modules import json, secrets
from ocpi_modules.http import handshake
from ocpi_modules.http.handshake import PlatformDetails
from ocpi_modules.http.paths import versions_url
from ocpi_modules.message import Clock, PartyId
from ocpi_modules.secrets import Keys
from ocpi_modules.status import ClientApiUnusable

TOKEN_PREFIX = "adpB_"  # noqa: S105


class Registrar:
    """`public_url` is the address we hand out now."""

    def __init__(
        self, database: Database, keys: Keys, link: HubLink, site: Site, public_url: str, clock: Clock
    ) -> None:
        self._database = database
        self._keys = keys
        self._link = link
        self._site = site
        self._public_url = public_url
        self._clock = clock

    async def join(self, hub_versions_url: str, token_a: str) -> PartyId:
        """Register; may be repeated with the same token A after any failure. The hub's party.

        Token B is stored before the POST leaves, because the hub uses it before it answers. Raises OcpiError, DatabaseAway.
        """
        platform = await handshake.details(self._link.client, hub_versions_url, token_a)
        token_b = secrets.new_token(TOKEN_PREFIX)
        async with self._database.connection() as connection:
            await registration_repository.put_registration(
                connection,
                state="JOINING",
                versions_url=hub_versions_url,
                token_macs=[self.mac(token_b)],
                sealed_token=self.seal(token_a),
                base64=platform.base64,
                public_url=self._public_url,
                at=self._clock(),
            )
        theirs = await handshake.post_credentials(self._link.client, platform, token_a, self.credentials(token_b))
        hub = await self._complete(platform, theirs, token_b)
        self._link.forget()
        return hub

    async def tell_new_url(self) -> bool:
        """PUT our Credentials when the hub knows another address of ours; True when it was needed (contracts 6).

        Raises OcpiError, DatabaseAway.
        """
        joined = await self._link.joined()
        if joined is None or joined.public_url == self._public_url:
            return False
        platform = await handshake.details(self._link.client, joined.versions_url, joined.token, base64=joined.base64)
        token_b = secrets.new_token(TOKEN_PREFIX)
        async with self._database.connection() as connection:
            await registration_repository.add_token(connection, self.mac(token_b))
        theirs = await handshake.put_credentials(self._link.client, platform, joined.token, self.credentials(token_b))
        await self._complete(platform, theirs, token_b)
        self._link.forget()
        return True

    def credentials(self, token: str) -> dict[str, Any]:
        """Our own Credentials object (C-16)."""
        party = self._site.party
        role = {
            "role": "CPO",
            "country_code": party.country_code,
            "party_id": party.party_id,
            "business_details": self._site.business_details,
        }
        return {"token": token, "url": versions_url(self._public_url), "roles": [role]}

    def mac(self, token: str) -> bytes:
        return secrets.token_mac(self._keys.mac[0], token)

    def seal(self, token: str) -> bytes:
        return secrets.seal(self._keys, token, owner=SEALED_FOR, purpose=PURPOSE)

    async def _complete(self, platform: PlatformDetails, theirs: dict[str, Any], token_b: str) -> PartyId:
        hub = _hub_of(theirs)
        token_c = theirs["token"]
        fresh = await handshake.details(self._link.client, _text(theirs, "url"), token_c, base64=platform.base64)
        endpoints = [{"identifier": name, "role": role, "url": url} for (name, role), url in fresh.endpoints.items()]
        async with self._database.connection() as connection:
            await registration_repository.complete_registration(
                connection,
                sealed_token=self.seal(token_c),
                token_macs=[self.mac(token_b)],
                hub_country_code=hub.country_code,
                hub_party_id=hub.party_id,
                endpoints=json.encode(endpoints),
                base64=fresh.base64,
                public_url=self._public_url,
                at=self._clock(),
            )
        return hub


def _hub_of(theirs: dict[str, Any]) -> PartyId:
    roles = theirs.get("roles")
    listed = [role for role in roles if isinstance(role, dict)] if isinstance(roles, list) else []
    chosen = next((role for role in listed if role.get("role") == "HUB"), listed[0] if listed else {})
    return PartyId.of(_text(chosen, "country_code"), _text(chosen, "party_id"))


def _text(document: dict[str, Any], name: str) -> str:
    value = document.get(name)
    if not isinstance(value, str) or not value:
        raise ClientApiUnusable(f"The Credentials of the hub hold no {name}.")
    return value
