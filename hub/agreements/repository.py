"""SQL of agreements."""

from typing import Any

from ocpi_modules.message import PartyId
from ocpi_modules.spec import ModuleID


async def all_agreements(connection: Any) -> dict[frozenset[PartyId], frozenset[ModuleID]]:
    """Every agreement, as `AgreementBook.replace` takes it."""
    rows = await connection.fetch("SELECT cpo, emsp, modules FROM agreement")
    return {
        frozenset((_party(row["cpo"]), _party(row["emsp"]))): frozenset(ModuleID(name) for name in row["modules"])
        for row in rows
    }


async def put_agreement(connection: Any, cpo: PartyId, emsp: PartyId, modules: list[ModuleID]) -> None:
    """Make or change the agreement of two parties."""
    await connection.execute(
        "INSERT INTO agreement (cpo, emsp, modules) VALUES ($1, $2, $3) "
        "ON CONFLICT (cpo, emsp) DO UPDATE SET modules = excluded.modules",
        str(cpo),
        str(emsp),
        [str(module) for module in modules],
    )


async def drop_agreement(connection: Any, cpo: PartyId, emsp: PartyId) -> bool:
    """End the agreement of two parties, whichever of them was called the CPO; False when there was none."""
    status = await connection.execute(
        "DELETE FROM agreement WHERE (cpo, emsp) = ($1, $2) OR (cpo, emsp) = ($2, $1)", str(cpo), str(emsp)
    )
    return bool(status != "DELETE 0")


def _party(text: str) -> PartyId:
    country_code, _, party_id = text.partition("*")
    return PartyId.of(country_code, party_id)
