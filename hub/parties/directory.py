"""The directory: who a request comes from and where a party lives, answered from memory.

PostgreSQL is the truth. Every change of a platform takes the next revision inside its own transaction, before anybody is told
of it; so a process that does not know a token or a party reads on from the revision it has seen, once for all who wait
(single flight), and remembers a "no" for at most a second. `watch` does the same once a second, which is how a revoked token
dies on every worker; it also moves tokens to a new secret key. While PostgreSQL is away, what is known keeps working; an unknown
token is 503, not 401.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any, NamedTuple
from uuid import UUID

import structlog
from pydantic import SecretStr

from hub.db.engine import Database, DatabaseAway
from hub.parties import repository, rows
from hub.parties.key_repository import move_tokens
from hub.parties.platforms import Caller, Platform, PlatformState, TokenKind
from hub.parties.rows import Issued
from ocpi_modules import headers
from ocpi_modules.message import Clock, OcpiRequest, PartyId
from ocpi_modules.secrets import CannotOpen, Keys, token_mac, token_macs
from ocpi_modules.spec import ModuleID
from ocpi_modules.status import InvalidParameters, NotAuthenticated, NotAvailable

CONFIGURATION = frozenset({ModuleID.versions, ModuleID.credentials, ModuleID.hubclientinfo})
OPEN_TO_TOKEN_A = frozenset({ModuleID.versions, ModuleID.credentials})
WATCH_SECONDS = 0.5
NEGATIVE_SECONDS = 1.0
_REMEMBERED_NEGATIVES = 10_000
_RECOGNISED = 10_000
_MOVED_AT_ONCE = 100

_log = structlog.get_logger(__name__)


class _Found(NamedTuple):
    issued: Issued
    mac: bytes
    token: SecretStr
    base64: bool


class Directory:
    """The in-memory view of platforms, parties and tokens that every request uses. One per process.

    `hub_party` is the hub's own (country_code, party_id). `on_change(platform)` callbacks in `listeners` run after a platform
    changed in this process's view.
    """

    def __init__(self, database: Database, keys: Keys, hub_party: PartyId, clock: Clock) -> None:
        self.hub_party = hub_party
        self.listeners: list[Callable[[Platform], None]] = []
        self._database = database
        self._keys = keys
        self._clock = clock
        self._revision = 0
        self._platforms: dict[UUID, Platform] = {}
        self._tokens: dict[bytes, Issued] = {}
        self._tokens_of: dict[UUID, tuple[bytes, ...]] = {}
        self._owners: dict[PartyId, UUID] = {}
        self._homes: dict[PartyId, Platform] = {}
        self._recognised: dict[str, _Found] = {}
        self._unknown: dict[bytes | PartyId, float] = {}
        self._to_move: dict[bytes, bytes] = {}
        self._loading = asyncio.Lock()
        self._loads_started = 0
        self._load_failure: DatabaseAway | None = None

    # Who is it

    async def authenticate(self, request: OcpiRequest) -> Caller:
        """The platform behind the Authorization header, and its FROM party.

        Raises NotAuthenticated (401: no token, unknown, expired, Token A elsewhere than versions and credentials: X-11, X-12),
        InvalidParameters (2001: FROM is not a party of this platform, R-07, S-10; or missing where it is ambiguous, R-06), and
        NotAvailable (503) when the token is unknown and PostgreSQL cannot be asked.
        """
        found = self._recognised.get(request.authorization) or await self._recognise(request)
        platform = self._admit(found, request.module)
        party = self._from_party(platform, request)
        return Caller(platform, found.issued.kind, party, found.token, found.base64)

    async def platform_of(self, party: PartyId) -> Platform | None:
        """The platform a party lives on, in whatever state (`Platform.serves` tells); None when nobody claimed it.

        Compares case-insensitively (R-09). Looks in PostgreSQL once when memory does not know it; raises NotAvailable then.
        """
        known = self.known_platform_of(party)
        if known is not None:
            return known
        wanted = PartyId.of(*party)
        if wanted != self.hub_party and self._worth_asking([wanted]):
            await self._ask_database()
            self._remember_unknown([] if wanted in self._owners else [wanted])
        return self.known_platform_of(wanted)

    def known_platform_of(self, party: PartyId) -> Platform | None:
        """As `platform_of`, from memory only; what was found is remembered until any platform changes."""
        return self._homes.get(party) or self._find_home(party)

    def _find_home(self, party: PartyId) -> Platform | None:
        known = party if party in self._owners else PartyId.of(*party)
        if known not in self._owners:
            return None
        home = self._homes[known] = self._platforms[self._owners[known]]
        return home

    def platform(self, platform_id: UUID) -> Platform | None:
        """One platform from memory."""
        return self._platforms.get(platform_id)

    def platforms(self) -> Iterable[Platform]:
        """Every platform in memory, in every state."""
        return tuple(self._platforms.values())

    def is_hub(self, party: PartyId) -> bool:
        return PartyId.of(*party) == self.hub_party

    # What changed

    async def refresh(self) -> None:
        """Read what changed since the last time. Joins a reading only if it starts after this call; raises DatabaseAway."""
        wanted = self._loads_started + 1
        async with self._loading:
            if self._loads_started >= wanted:
                if self._load_failure:
                    raise self._load_failure
                return
            self._loads_started += 1
            self._load_failure = None
            try:
                await self._load()
            except DatabaseAway as away:
                self._load_failure = away
                raise

    async def watch(self) -> None:
        """Read on for ever, so that changes made by other processes are seen within a second."""
        while True:
            try:
                await self.move_tokens()
                await self.refresh()
            except DatabaseAway as away:
                _log.warning("directory_not_refreshed", reason=str(away))
            await asyncio.sleep(WATCH_SECONDS)

    async def move_tokens(self) -> None:
        """Store tokens that were in hand since the last time under the newest key (S-03). Raises DatabaseAway."""
        moving = dict(islice(self._to_move.items(), _MOVED_AT_ONCE))
        if not moving:
            return
        for former in moving:
            del self._to_move[former]
        try:
            async with self._database.transaction() as connection:
                moved = await move_tokens(connection, list(moving), list(moving.values()), self._keys.ids[0])
                await repository.touch(connection, *moved)
        except DatabaseAway:
            self._to_move |= moving
            raise

    async def _load(self) -> None:
        async with self._database.connection() as connection:
            changed = await repository.changed_platforms(connection, self._revision)
        for row in changed:
            self._take(row)
            self._revision = max(self._revision, row["revision"])

    def _take(self, row: Mapping[str, Any]) -> None:
        try:
            platform, tokens = rows.platform_of(row, self._keys), rows.tokens_of(row)
        except CannotOpen as problem:
            _log.error("platform_left_out", platform=str(row["platform_id"]), reason=str(problem))
            return
        self._recognised.clear()
        for mac in self._tokens_of.get(platform.id, ()):
            self._tokens.pop(mac, None)
        self._platforms[platform.id] = platform
        self._tokens |= tokens
        self._tokens_of[platform.id] = tuple(tokens)
        self._owners |= {party.id: platform.id for party in platform.parties}
        self._homes.clear()
        for listener in self.listeners:
            listener(platform)

    # The parts of authenticate

    async def _recognise(self, request: OcpiRequest) -> _Found:
        """The token behind an Authorization value; remembered once nothing about it is open, until any token changes."""
        candidates = headers.tokens_in(request.authorization)
        if not candidates:
            raise NotAuthenticated("Send the header `Authorization: Token <your credentials token in Base64>`.")
        found = await self._find_token(candidates, encoded=len(candidates) > 1)
        if self._may_have_registered(found, request.module):
            await self._ask_database()
            self._remember_unknown([found.mac])
            found = await self._find_token(candidates, encoded=len(candidates) > 1)
        platform = self._admit(found, request.module)
        if found.issued.pending:
            await self._use_first(found)
            return await self._find_token(candidates, encoded=len(candidates) > 1)
        if found.issued.move_to == self._keys.ids[0]:
            self._to_move[found.mac] = token_mac(self._keys.mac[0], found.token.get_secret_value())
        if found.issued.kind is TokenKind.C and platform.registered:
            if len(self._recognised) >= _RECOGNISED:
                self._recognised.clear()
            self._recognised[request.authorization] = found
        return found

    async def _find_token(self, candidates: list[str], *, encoded: bool) -> _Found:
        possible = {mac: token for token in candidates for mac in token_macs(self._keys, token)}
        if not any(mac in self._tokens for mac in possible) and self._worth_asking(possible):
            await self._ask_database()
        known = [mac for mac in possible if mac in self._tokens]
        owners = {self._tokens[mac].platform_id for mac in known}
        if len(owners) != 1:
            self._remember_unknown(possible)
            raise NotAuthenticated(
                "The token is not known here; check it, or ask the hub's operator for a new invitation."
            )
        mac = known[0]
        token = possible[mac]
        return _Found(self._tokens[mac], mac, SecretStr(token), base64=encoded and token == candidates[0])

    def _may_have_registered(self, found: _Found, module: ModuleID) -> bool:
        """A Token C is committed before a registration as Sender ends: another process may know that it has ended."""
        registered = self._platforms[found.issued.platform_id].registered
        waits = found.issued.kind is TokenKind.C and not registered and module not in OPEN_TO_TOKEN_A
        return waits and self._worth_asking([found.mac])

    def _admit(self, found: _Found, module: ModuleID) -> Platform:
        if found.mac not in self._tokens:
            raise NotAuthenticated("The token was ended a moment ago.")
        platform = self._platforms[found.issued.platform_id]
        expires_at = found.issued.expires_at
        if expires_at is not None and expires_at <= self._clock():
            raise NotAuthenticated("The token has expired; ask the hub's operator for a new invitation.")
        if platform.state is PlatformState.SUSPENDED:
            raise NotAuthenticated("The hub's operator has suspended this platform; ask there.")
        functional = found.issued.kind is TokenKind.C and platform.registered
        if not functional and module not in OPEN_TO_TOKEN_A:
            raise NotAuthenticated("This token opens versions and credentials only; register first (POST credentials).")
        return platform

    async def _use_first(self, found: _Found) -> None:
        """The first use of a new Token C ends the platform's other tokens; put off while PostgreSQL is away."""
        platform_id = found.issued.platform_id
        self._tokens[found.mac] = replace(found.issued, pending=False)
        try:
            async with self._database.transaction() as connection:
                await repository.lock_platform(connection, platform_id)
                if await repository.use_token_first(connection, found.mac, self._clock()):
                    await repository.retire_other_tokens(connection, platform_id, found.mac)
                    await repository.touch(connection, platform_id)
            await self.refresh()
        except DatabaseAway as away:
            if found.mac in self._tokens:
                self._tokens[found.mac] = found.issued
            _log.warning("old_tokens_not_retired_yet", platform=str(platform_id), reason=str(away))

    def _from_party(self, platform: Platform, request: OcpiRequest) -> PartyId | None:
        if request.module in CONFIGURATION:
            return None
        if request.sender is not None:
            given = request.sender if request.sender in platform.party_ids else PartyId.of(*request.sender)
            if given not in platform.party_ids:
                raise InvalidParameters(
                    f"OCPI-from-country-code and OCPI-from-party-id name {given}, which is no party of this token's platform."
                )
            return given
        if len(platform.party_ids) == 1:
            return next(iter(platform.party_ids))
        if request.endpoint.self_defined:
            return None
        raise InvalidParameters(
            "OCPI-from-country-code and OCPI-from-party-id are missing; this platform has several parties, so name the sender."
        )

    # What memory does not know

    async def _ask_database(self) -> None:
        try:
            await self.refresh()
        except DatabaseAway:
            raise NotAvailable(
                "The hub cannot look this up at the moment; try again.", headers={"Retry-After": "5"}
            ) from None

    def _worth_asking(self, keys: Iterable[bytes | PartyId]) -> bool:
        now = time.monotonic()
        return not all(now - self._unknown.get(key, -NEGATIVE_SECONDS) < NEGATIVE_SECONDS for key in keys)

    def _remember_unknown(self, keys: Iterable[bytes | PartyId]) -> None:
        if len(self._unknown) > _REMEMBERED_NEGATIVES:
            self._unknown.clear()
        now = time.monotonic()
        self._unknown |= dict.fromkeys(keys, now)
