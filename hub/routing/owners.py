"""Looks up who stands behind a clue, in what was kept and what was noted. What nobody showed the asker is not found."""

from collections.abc import Iterable
from typing import Any

from hub.db.engine import Database, DatabaseAway
from hub.objects import page_repository
from hub.objects import repository as objects
from hub.objects.listing import EVERYBODY
from hub.objects.nested import cut_out
from hub.routing import repository
from hub.routing.clues import Clue, Find
from hub.routing.tickets import not_available
from ocpi_modules import json
from ocpi_modules.message import Clock, PartyId
from ocpi_modules.patch import Level
from ocpi_modules.spec import ModuleID


class Owners:
    """Never holds a connection longer than its own few reads."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def behind(self, clue: Clue, asker: PartyId) -> list[PartyId]:
        """Every party the clue leads to, the likeliest first. Raises NotAvailable (503)."""
        if clue.find is Find.PARTY:
            return [PartyId.read(clue.key)]
        try:
            async with self._database.connection() as connection:
                return list(dict.fromkeys(await self._read(connection, clue, asker)))
        except DatabaseAway:
            raise not_available() from None

    async def with_evse(self, clue: Clue, asker: PartyId, owners: Iterable[PartyId]) -> list[PartyId]:
        """Those of several owners of a Location whose Location has the EVSE of the clue. Raises NotAvailable (503)."""
        level = Level("evses", "uid", clue.detail)
        found = []
        try:
            async with self._database.connection() as connection:
                for owner in owners:
                    body = await page_repository.find_copy(
                        connection, str(owner), ModuleID.locations, clue.key, str(asker)
                    )
                    if body is not None and cut_out(body, [level]) is not None:
                        found.append(owner)
        except DatabaseAway:
            raise not_available() from None
        return found

    async def _read(self, connection: Any, clue: Clue, asker: PartyId) -> list[PartyId]:
        now = self._clock()
        match clue.find:
            case Find.LOCATION:
                return await _owners(connection, ModuleID.locations, clue.key, [EVERYBODY, str(asker)])
            case Find.SESSION:
                kept = await _owners(connection, ModuleID.sessions, clue.key, [str(asker)])
                return kept + await repository.find_route_owners(connection, asker, "SESSION", clue.key, now)
            case Find.DRIVER:
                audiences = await objects.find_audiences(connection, asker, ModuleID.sessions, clue.key)
                noted = await repository.find_route_partners(connection, asker, "SESSION", clue.key, now)
                return [PartyId.read(audience) for audience in audiences] + noted
            case Find.UID:
                copies = await objects.find_copies(connection, ModuleID.tokens, clue.key)
                return [PartyId.read(owner) for owner, body in copies if _of_contract(body, clue.detail)]
            case Find.RESERVATION:
                return await repository.find_route_owners(connection, asker, "RESERVATION", clue.key, now)
            case Find.PROFILE:
                return (await repository.find_route_partners(connection, asker, "PROFILE", clue.key, now))[:1]
            case Find.AUTHORIZATION:
                return await repository.find_route_partners(connection, asker, "AUTHORIZATION", clue.key, now)
            case Find.PARTY:
                return [PartyId.read(clue.key)]


async def _owners(connection: Any, module: ModuleID, key: str, audiences: list[str]) -> list[PartyId]:
    return [PartyId.read(owner) for owner in await page_repository.find_owners(connection, module, key, "", audiences)]


def _of_contract(body: bytes, contract_id: str) -> bool:
    """Whether a token belongs to this contract; a CDR that names another contract means another card."""
    if not contract_id:
        return True
    known = json.decode(body).get("contract_id")
    return not isinstance(known, str) or known.upper() == contract_id
