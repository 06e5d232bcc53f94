"""The Tokens eMSPs push to us: kept as they came, by their whole key (K-01 to K-09)."""

from typing import Any

from cpo_adapter.party.link import HubLink
from cpo_adapter.storage import token_repository
from cpo_adapter.storage.engine import Database, Row
from ocpi_modules import json
from ocpi_modules.envelope import success, success_with_bytes
from ocpi_modules.message import Clock, OcpiRequest, OcpiResponse, PartyId
from ocpi_modules.patch import merge
from ocpi_modules.spec import Method
from ocpi_modules.status import InvalidParameters, UnknownToken
from ocpi_modules.tokens.enums import TokenType
from ocpi_modules.tokens.schemas import Token
from ocpi_modules.types import parse_datetime
from ocpi_modules.validation import read


class KeptTokens:
    """The RECEIVER interface of Tokens."""

    def __init__(self, database: Database, link: HubLink, clock: Clock) -> None:
        self._database = database
        self._link = link
        self._clock = clock

    async def answer(self, request: OcpiRequest) -> OcpiResponse:
        """GET, PUT and PATCH of one Token. Raises OcpiError, DatabaseAway."""
        owner = PartyId.of(request.variables["country_code"], request.variables["party_id"])
        uid, type_ = request.variables["token_uid"], request.params.get("type", str(TokenType.RFID)).upper()
        async with self._database.connection() as connection:
            row = await token_repository.token(connection, *owner, uid.casefold(), type_)
        if request.method is Method.GET:
            if row is None:
                raise UnknownToken(f"There is no token {uid} of type {type_} here.", http_status=404)
            return success_with_bytes(bytes(row["document"]), now=self._clock())
        await self._check_owner(request, owner)
        if request.method is Method.PATCH:
            if row is None:
                raise UnknownToken(f"There is no token {uid} of type {type_} here; PUT it first.", http_status=404)
            merged = _merged(request, row)
            return await self._keep(merged, json.encode(merged), owner, uid, type_, is_new=False)
        return await self._keep(request.document, request.body, owner, uid, type_, is_new=row is None)

    async def _check_owner(self, request: OcpiRequest, owner: PartyId) -> None:
        """A party changes its own tokens only; the hub, which checked it, broadcasts in their names (R-47)."""
        joined = await self._link.joined()
        if request.sender not in (None, owner, joined.hub if joined else None):
            raise InvalidParameters(f"{request.sender} may not change a token of {owner}.")

    async def _keep(
        self, document: Any, body: bytes, owner: PartyId, uid: str, type_: str, *, is_new: bool
    ) -> OcpiResponse:
        token = read(Token, document)
        named = (PartyId.of(token.country_code, token.party_id), token.uid.casefold(), str(token.type))
        if named != (owner, uid.casefold(), type_):
            raise InvalidParameters("country_code, party_id, uid and type of the body must be those of the URL.")
        async with self._database.connection() as connection:
            await token_repository.put_token(connection, *owner, uid.casefold(), type_, body, token.last_updated)
        return success(now=self._clock(), http_status=201 if is_new else 200)


def _merged(request: OcpiRequest, row: Row) -> Any:
    changes = request.document
    if not isinstance(changes, dict) or not isinstance(changes.get("last_updated"), str):
        raise InvalidParameters("last_updated is required but missing.")
    try:
        parse_datetime(changes["last_updated"])
    except ValueError as error:
        raise InvalidParameters(f"last_updated {error}.") from None
    return merge(json.decode(row["document"]), changes)
