"""Who calls, and the credentials module as the hub calls it (C-20 to C-27, S-01)."""

import hmac
from typing import Any

import structlog

from cpo_adapter.party.join import TOKEN_PREFIX, Registrar
from cpo_adapter.party.link import HubLink
from cpo_adapter.storage import registration_repository
from cpo_adapter.storage.engine import Database
from ocpi_modules import secrets
from ocpi_modules.credentials.schemas import Credentials
from ocpi_modules.envelope import success
from ocpi_modules.headers import tokens_in
from ocpi_modules.message import Clock, OcpiRequest, OcpiResponse
from ocpi_modules.spec import Method
from ocpi_modules.status import MethodNotAllowed, NotAuthenticated
from ocpi_modules.validation import read

log = structlog.get_logger(__name__)


class CredentialsDesk:
    """Only the MACs of our tokens are known; the database says which are alive, so that another process may renew them."""

    def __init__(self, database: Database, registrar: Registrar, link: HubLink, clock: Clock) -> None:
        self._database = database
        self._registrar = registrar
        self._link = link
        self._clock = clock

    async def authenticate(self, request: OcpiRequest) -> str:
        """The token of ours the caller showed. Raises NotAuthenticated (401), DatabaseAway.

        The first use of the newest token ends the older ones (contracts 6)."""
        shown = [(token, self._registrar.mac(token)) for token in tokens_in(request.authorization)]
        if shown:
            async with self._database.connection() as connection:
                row = await registration_repository.registration(connection)
                alive = list(row["token_macs"]) if row else []
                for token, mac in shown:
                    if any(hmac.compare_digest(mac, known) for known in alive):
                        if len(alive) > 1 and hmac.compare_digest(mac, alive[-1]):
                            await registration_repository.keep_only_token(connection, mac)
                        return token
        raise NotAuthenticated("The token in the Authorization header is not known here.")

    async def answer(self, request: OcpiRequest, token: str) -> OcpiResponse:
        """GET, PUT and DELETE by the hub; POST is for who registers with us, and nobody does (C-24)."""
        joined = await self._link.joined()
        match request.method:
            case Method.GET:
                return success(self._registrar.credentials(token), now=self._clock())
            case Method.PUT if joined:
                return success(await self._renew(read(Credentials, request.document), token), now=self._clock())
            case Method.DELETE if joined:
                async with self._database.connection() as connection:
                    await registration_repository.leave(connection, self._clock())
                self._link.forget()
                log.warning("unregistered_by_hub")
                return success(now=self._clock())
        raise MethodNotAllowed("This platform registers with hubs itself.", headers={"Allow": "GET, PUT, DELETE"})

    async def _renew(self, theirs: Credentials, token: str) -> dict[str, Any]:
        """The hub has a new token for us and gets a new one of ours; the one it used lives until that is used."""
        fresh = secrets.new_token(TOKEN_PREFIX)
        async with self._database.connection() as connection:
            await registration_repository.renew_registration(
                connection,
                self._registrar.seal(theirs.token),
                theirs.url,
                [self._registrar.mac(token), self._registrar.mac(fresh)],
                self._clock(),
            )
        self._link.forget()
        log.info("credentials_renewed_by_hub")
        return self._registrar.credentials(fresh)
