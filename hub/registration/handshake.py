"""The credentials handshake, as Receiver (a partner registers with us) and as Sender (we register with a partner).

Why a kill at any step leaves a usable pair (F-52): what the other side may already use is committed before it is told, and
nothing that still works is ended before its successor was used.

Receiver, POST and PUT: the callback (versions, details) runs without a transaction; then ONE transaction stores the
partner's new token, endpoints and roles and our new Token C. Killed before it: nothing changed, token A (or the old C) works
and the call is repeated. Killed after it, before the answer arrived: token A (or the old C) still works, because only the
first use of the new C ends it (`Directory.authenticate`); the repeated POST or PUT replaces the C that nobody used.

Sender, POST and PUT: our new token for the partner is committed first (C-07), marked so that its use in the callback ends
nothing yet. Then the call. Then ONE transaction stores the partner's token, and from its next use on ours ends the older ones.
Killed in between: old and new token of ours both work, and the partner's old token works until its new one is used. A clear
refusal discards our new token (C-08); an unknown outcome (timeout) keeps it, as the partner may hold it already.

DELETE: the partner is told first, then everything is ended here whatever it answered; repeated without harm.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn
from uuid import UUID

import structlog
from pydantic import SecretStr

from hub.db.engine import Database, DatabaseAway
from hub.delivery.beginnings_repository import note_gains
from hub.delivery.repository import drop_destinations
from hub.parties import announced_repository as announced
from hub.parties import repository
from hub.parties.directory import Directory
from hub.parties.platforms import Caller, Platform, PlatformState, TokenKind
from hub.parties.repository import PartyEntry
from hub.parties.rows import seal_token
from hub.registration import approval
from hub.registration.discovery import discover
from hub.registration.invitations import plan_platform
from ocpi_modules import json, nulls, validation
from ocpi_modules.credentials.schemas import Credentials
from ocpi_modules.envelope import success
from ocpi_modules.http import handshake
from ocpi_modules.http.client import OcpiClient
from ocpi_modules.http.handshake import PlatformDetails
from ocpi_modules.http.paths import versions_url
from ocpi_modules.message import Clock, OcpiRequest, OcpiResponse, PartyId
from ocpi_modules.registry import VERSIONS
from ocpi_modules.secrets import Keys, new_token, token_mac, token_macs
from ocpi_modules.spec import InterfaceRole, Method, Role
from ocpi_modules.status import (
    ClientApiUnusable,
    InvalidParameters,
    MethodNotAllowed,
    NotAuthenticated,
    NotAvailable,
    OcpiError,
)

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class HubIdentity:
    """How the hub presents itself: one role, HUB (C-34). `business_details` as JSON: name, and website and logo if there are."""

    party: PartyId
    public_url: str
    business_details: Mapping[str, Any]

    def credentials(self, token: str, platform: Platform | None = None) -> dict[str, Any]:
        """Our Credentials object with this token in it, raw (C-16, X-05); with explicit nulls where `platform` wants them."""
        role = {
            "role": Role.HUB.value,
            "business_details": dict(self.business_details),
            "party_id": self.party.party_id,
            "country_code": self.party.country_code,
        }
        document = {"token": token, "url": versions_url(self.public_url), "roles": [role]}
        if platform is None or not platform.switches.explicit_nulls:
            return document
        filled: dict[str, Any] = json.decode(nulls.explicit(Credentials, json.encode(document)))
        return filled


@dataclass(frozen=True)
class _Accepted:
    """What a handshake brought to light, before it is stored."""

    theirs: Credentials
    entries: Sequence[PartyEntry]
    host: str
    details: PlatformDetails


class Registration:
    """Both sides of the credentials module."""

    def __init__(
        self,
        database: Database,
        directory: Directory,
        client: OcpiClient,
        keys: Keys,
        clock: Clock,
        identity: HubIdentity,
    ) -> None:
        self._database = database
        self._directory = directory
        self._client = client
        self._keys = keys
        self._clock = clock
        self._identity = identity

    # Receiver: the four methods of our credentials endpoint

    async def show(self, request: OcpiRequest, caller: Caller) -> OcpiResponse:
        """GET: our Credentials object with the token the caller uses (C-19, C-28)."""
        return self._answer(caller.token.get_secret_value(), caller.platform)

    async def register(self, request: OcpiRequest, caller: Caller) -> OcpiResponse:
        """POST with Token A. MethodNotAllowed (405) for a registered client (C-24), 2001, 3001, 3002, 3003, NotAvailable."""
        if caller.token_kind is not TokenKind.A:
            raise MethodNotAllowed("This platform is registered already; use PUT to update its credentials.")
        return await self._take_over(request, caller)

    async def update(self, request: OcpiRequest, caller: Caller) -> OcpiResponse:
        """PUT with Token C: reads everything again, answers with a new Token C (C-21). Errors as `register`; 405 with Token A."""
        self._require_registered(caller, "update")
        return await self._take_over(request, caller)

    async def unregister(self, request: OcpiRequest, caller: Caller) -> OcpiResponse:
        """DELETE with Token C: both tokens are dead, the parties SUSPENDED (C-22, C-27, C-38). 405 with Token A (C-26)."""
        self._require_registered(caller, "unregister")
        await self._end(caller.platform.id)
        return success(now=self._clock())

    # Sender: the hub registers with a partner, renews and ends it

    async def connect(
        self, partner_versions_url: str, token_a: str, parties: Sequence[tuple[Role, PartyId]], name: str | None = None
    ) -> UUID:
        """Register with a partner that gave us its versions URL and Token A; returns the platform's id.

        `parties` are the roles it may declare; with any other it is left again. May be repeated after any failure.
        Raises InvitationRefused, OcpiError (2001, 3001, 3002, 3003) and DatabaseAway.
        """
        host = approval.host_of(partner_versions_url)
        token_b, mac = self._new_token()
        async with self._database.transaction() as connection:
            platform_id = await plan_platform(connection, self._identity.party, parties, self._clock, name)
            await repository.approve_host(connection, platform_id, host)
            await self._issue(connection, platform_id, mac, retires_others=False)
        approved = frozenset((PartyId.of(*party), role) for role, party in parties)
        await self._hand_over(
            Method.POST, platform_id, partner_versions_url, SecretStr(token_a), (token_b, mac), approved, True
        )
        return platform_id

    async def renew(self, platform_id: UUID) -> None:
        """PUT our credentials at the partner: new tokens both ways, endpoints read again (C-30, C-31). Errors as `connect`."""
        platform = self._registered(platform_id)
        assert platform.versions_url is not None
        assert platform.token is not None
        token, mac = self._new_token()
        async with self._database.transaction() as connection:
            await self._issue(connection, platform_id, mac, retires_others=False)
        approved = approval.approved_roles(platform.parties)
        await self._hand_over(
            Method.PUT, platform_id, platform.versions_url, platform.token, (token, mac), approved, platform.base64
        )

    async def unregister_platform(self, platform_id: UUID) -> bool:
        """Offboarding by the hub: DELETE at the partner, then end everything here whatever it said (C-41).

        Returns whether the partner confirmed. Raises DatabaseAway.
        """
        platform = self._directory.platform(platform_id)
        told = await self._tell_deleted(platform) if platform is not None and platform.token is not None else False
        await self._end(platform_id)
        return told

    # Receiver, the parts

    async def _take_over(self, request: OcpiRequest, caller: Caller) -> OcpiResponse:
        theirs = validation.read(Credentials, request.document)
        accepted = await self._examine(theirs, caller, request.version)
        token_c, mac = self._new_token()
        try:
            await self._store_theirs(caller, accepted, mac)
            await self._directory.refresh()
        except DatabaseAway:
            raise NotAvailable(
                "The registration could not be stored; send it again.", headers={"Retry-After": "5"}
            ) from None
        return self._answer(token_c, caller.platform)

    async def _examine(self, theirs: Credentials, caller: Caller, version: str) -> _Accepted:
        platform = caller.platform
        entries = approval.entries(theirs.roles, approval.approved_roles(platform.parties), self._identity.party)
        host = approval.check_host(theirs.url, platform.approved_host)
        encoding = platform.switches.token_encoding
        base64 = caller.base64 if encoding == "auto" else encoding == "base64"
        details = await discover(self._client, theirs.url, theirs.token, base64=base64, spoken=[version])
        return _Accepted(theirs, entries, host, details)

    async def _store_theirs(self, caller: Caller, accepted: _Accepted, mac: bytes) -> None:
        """The one transaction of POST and PUT."""
        platform_id = caller.platform.id
        used = token_macs(self._keys, caller.token.get_secret_value())
        async with self._database.transaction() as connection:
            state = await repository.lock_platform(connection, platform_id)
            alive = await repository.token_is_alive(connection, platform_id, used)
            if not alive or state == PlatformState.SUSPENDED:
                raise NotAuthenticated("The token was ended while this request was under way.")
            await self._store(connection, platform_id, accepted)
            await repository.drop_unused_tokens(connection, platform_id, keep=used)
            await self._issue(connection, platform_id, mac, retires_others=True)
            await announced.announce(connection, platform_id, self._clock())

    def _answer(self, token: str, platform: Platform) -> OcpiResponse:
        return success(self._identity.credentials(token, platform), now=self._clock())

    def _require_registered(self, caller: Caller, what: str) -> None:
        if caller.token_kind is TokenKind.A or not caller.platform.registered:
            raise MethodNotAllowed(f"This platform is not registered yet, so there is nothing to {what}; use POST.")

    # Sender, the parts

    async def _hand_over(
        self,
        method: Method,
        platform_id: UUID,
        url: str,
        token: SecretStr,
        ours: tuple[str, bytes],
        approved: Collection[approval.Approved],
        base64: bool,
    ) -> None:
        """Discover, POST or PUT our credentials, store the answer. `ours` is our new token, committed, and its MAC."""
        try:
            details = await discover(self._client, url, token.get_secret_value(), base64=base64, spoken=list(VERSIONS))
        except OcpiError:
            await self._discard(ours[1])
            raise
        send = handshake.post_credentials if method is Method.POST else handshake.put_credentials
        try:
            credentials = self._identity.credentials(ours[0], self._directory.platform(platform_id))
            document = await send(self._client, details, token.get_secret_value(), credentials)
        except (handshake.RefusedThere, handshake.Unauthorized):
            await self._discard(ours[1])
            raise
        accepted = await self._read_theirs(document, details, url, approved, ours[1], undo=method is Method.POST)
        await self._store_answer(platform_id, accepted, ours[1])
        await self._directory.refresh()

    async def _read_theirs(
        self,
        document: Any,
        details: PlatformDetails,
        url: str,
        approved: Collection[approval.Approved],
        mac: bytes,
        *,
        undo: bool,
    ) -> _Accepted:
        try:
            theirs = Credentials.of(document)
            entries = approval.entries(theirs.roles, approved, self._identity.party)
            host = approval.check_host(theirs.url, approval.host_of(url))
        except (InvalidParameters, ValueError) as problem:
            await self._leave(document, details, mac, problem, undo=undo)
        return _Accepted(theirs, entries, host, details)

    async def _leave(
        self, document: Any, details: PlatformDetails, mac: bytes, problem: Exception, *, undo: bool
    ) -> NoReturn:
        """What came back is not acceptable: a new registration is taken back over there; then the reason is raised."""
        if undo:
            token = str(document.get("token"))
            try:
                await handshake.call(self._client, Method.DELETE, details.credentials_url, token, base64=details.base64)
            except OcpiError as error:
                _log.warning("registration_not_taken_back", reason=error.message)
            await self._discard(mac)
        raise (
            problem
            if isinstance(problem, OcpiError)
            else ClientApiUnusable("The partner's answer is not a Credentials object as OCPI wants it.")
        ) from problem

    async def _store_answer(self, platform_id: UUID, accepted: _Accepted, mac: bytes) -> None:
        """The one transaction after our POST or PUT."""
        async with self._database.transaction() as connection:
            await repository.lock_platform(connection, platform_id)
            await self._store(connection, platform_id, accepted)
            await repository.let_token_retire_others(connection, mac)
            await repository.touch(connection, platform_id)
            await announced.announce(connection, platform_id, self._clock())

    async def _discard(self, mac: bytes) -> None:
        """C-08. When PostgreSQL is away the token stays: it opens no more than before."""
        try:
            async with self._database.transaction() as connection:
                platform_id = await repository.drop_token(connection, mac)
                if platform_id is not None:
                    await repository.touch(connection, platform_id)
            await self._directory.refresh()
        except DatabaseAway as away:
            _log.warning("token_not_discarded", reason=str(away))

    async def _tell_deleted(self, platform: Platform) -> bool:
        url = next((url for (module, _), url in platform.endpoints.items() if module == "credentials"), None)
        if url is None or platform.token is None:
            return False
        try:
            await handshake.call(
                self._client, Method.DELETE, url, platform.token.get_secret_value(), base64=platform.base64
            )
        except OcpiError as error:
            _log.warning("partner_did_not_confirm_the_end", platform=platform.name, reason=error.message)
            return False
        return True

    def _registered(self, platform_id: UUID) -> Platform:
        platform = self._directory.platform(platform_id)
        if platform is None or not platform.registered:
            raise MethodNotAllowed("This platform is not registered; there are no credentials to renew.")
        return platform

    # Both sides

    def _new_token(self) -> tuple[str, bytes]:
        token = new_token("hubC_")
        return token, token_mac(self._keys.mac[0], token)

    async def _issue(self, connection: Any, platform_id: UUID, mac: bytes, *, retires_others: bool) -> None:
        await repository.add_token(
            connection, mac, platform_id, "C", self._clock(), retires_others=retires_others, key_id=self._keys.ids[0]
        )
        await repository.touch(connection, platform_id)

    async def _store(self, connection: Any, platform_id: UUID, accepted: _Accepted) -> None:
        """Their token, version, endpoints and roles; roles that are gone become SUSPENDED (C-37)."""
        theirs, details = accepted.theirs, accepted.details
        await note_gains(
            connection,
            platform_id,
            [(f"{entry.country_code}*{entry.party_id}", entry.role) for entry in accepted.entries],
            [module for module, interface in details.endpoints if interface == InterfaceRole.RECEIVER],
        )
        await repository.store_registration(
            connection,
            platform_id,
            version=details.version,
            versions_url=theirs.url,
            approved_host=accepted.host,
            outgoing_token=seal_token(self._keys, platform_id, theirs.token),
            base64_learned=details.base64,
            name=theirs.roles[0].business_details.name,
            now=self._clock(),
            told_url=self._identity.public_url,
        )
        await repository.drop_endpoints(connection, platform_id)
        await repository.add_endpoints(connection, platform_id, [(*key, url) for key, url in details.endpoints.items()])
        await repository.suspend_parties(connection, platform_id)
        for entry in accepted.entries:
            if not await repository.register_party(connection, platform_id, entry):
                raise InvalidParameters(
                    f"roles: {entry.role} {entry.country_code}*{entry.party_id} is not approved any more."
                )

    async def _end(self, platform_id: UUID) -> None:
        """No token works in either direction, every party is SUSPENDED, nothing is owed to it; in one transaction (Q-14)."""
        try:
            async with self._database.transaction() as connection:
                await repository.forget_outgoing_token(connection, platform_id)
                await repository.drop_tokens(connection, platform_id)
                await repository.suspend_parties(connection, platform_id)
                await drop_destinations(connection)
                await repository.touch(connection, platform_id)
                await announced.announce(connection, platform_id, self._clock())
            await self._directory.refresh()
        except DatabaseAway:
            raise NotAvailable("This could not be stored; send it again.", headers={"Retry-After": "5"}) from None
