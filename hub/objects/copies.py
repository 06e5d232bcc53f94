"""Single objects out of the hub's own store, with EVSEs and Connectors cut out of their Location (U-08)."""

from hub.db.engine import Database
from hub.objects import page_repository as repository
from hub.objects.keep import key_folded
from hub.objects.listing import EVERYBODY
from hub.objects.nested import cut_out
from hub.objects.pages import FOR_ONE_PARTY
from ocpi_modules import patch
from ocpi_modules.message import OcpiRequest, PartyId
from ocpi_modules.spec import ModuleSpec


class Copies:
    """Raises DatabaseAway."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_viewer(self, request: OcpiRequest, module: ModuleSpec, viewer: PartyId) -> bytes | None:
        """An object of the viewer itself, at a path that begins with its owner."""
        owner = PartyId.of(request.variables["country_code"], request.variables["party_id"])
        if owner != viewer:
            return None
        async with self._database.connection() as connection:
            body = await repository.find_own_copy(connection, str(viewer), module.id, key_folded(request, module))
        return _cut(body, request, module)

    async def owners(
        self, request: OcpiRequest, module: ModuleSpec, viewer: PartyId, *, others: bool, own: bool
    ) -> list[PartyId]:
        """The owners of whom the viewer would find an object at this path without an owner."""
        audiences = [str(viewer)] if module.id in FOR_ONE_PARTY else [EVERYBODY, str(viewer)]
        async with self._database.connection() as connection:
            found = await repository.find_owners(
                connection, module.id, _key(request), str(viewer) if own else "", audiences if others else []
            )
        return [PartyId.read(owner) for owner in found if own or owner != str(viewer)]

    async def read(self, request: OcpiRequest, module: ModuleSpec, viewer: PartyId, owner: PartyId) -> bytes | None:
        """The copy of one owner's object that the viewer finds."""
        async with self._database.connection() as connection:
            if owner == viewer:
                body = await repository.find_own_copy(connection, str(owner), module.id, _key(request))
            else:
                body = await repository.find_copy(connection, str(owner), module.id, _key(request), str(viewer))
        return _cut(body, request, module)


def _key(request: OcpiRequest) -> str:
    return request.variables[request.endpoint.names[0]].upper()


def _cut(body: bytes | None, request: OcpiRequest, module: ModuleSpec) -> bytes | None:
    return cut_out(body, patch.levels_of(module, request.variables)) if body is not None else None
