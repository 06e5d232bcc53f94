"""agreement ...: who may exchange what with whom."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.command_line import arguments, databases, tell
from hub.command_line.arguments import Json
from hub.command_line.tell import CommandFailed
from ocpi_modules.message import PartyId

if TYPE_CHECKING:
    from hub.settings import Settings

Cpo = Annotated[str, typer.Option(help="The CPO: NL/ABC.")]
Emsp = Annotated[str, typer.Option(help="The eMSP: DE/XYZ.")]
agreement_app = typer.Typer(no_args_is_help=True, help="Who may exchange what with whom.")


@agreement_app.command("set")
def agreement_set(
    cpo: Cpo,
    emsp: Emsp,
    module: Annotated[list[str] | None, typer.Option(help="One module; may be repeated; all when left out.")] = None,
    json: Json = False,
) -> None:
    """Let a CPO and an eMSP exchange messages; replaces what was agreed before."""
    one, other = _pair(cpo, emsp)
    named = arguments.modules(module)

    async def work(settings: "Settings") -> dict[str, Any]:
        from hub.agreements import repository

        async with databases.opened(settings) as database, database.transaction() as connection:
            await repository.drop_agreement(connection, other, one)
            await repository.put_agreement(connection, one, other, named)
        return {"cpo": str(one), "emsp": str(other), "modules": named}

    tell.done(work, json, f"{one} and {other} may exchange {', '.join(named) or 'every module'}.")


@agreement_app.command("list")
def agreement_list(json: Json = False) -> None:
    """Every agreement."""

    async def work(settings: "Settings") -> list[dict[str, Any]]:
        from hub.agreements import repository

        async with databases.opened(settings) as database, database.connection() as connection:
            found = await repository.all_agreements(connection)
        return sorted(
            (
                {"parties": sorted(map(str, pair)), "modules": sorted(modules) or ["all"]}
                for pair, modules in found.items()
            ),
            key=lambda row: row["parties"],
        )

    tell.listed(work, json, "There is no agreement yet; `ocpi-hub agreement set --cpo NL/ABC --emsp DE/XYZ` makes one.")


@agreement_app.command("remove")
def agreement_remove(cpo: Cpo, emsp: Emsp, json: Json = False) -> None:
    """End an agreement: messages between the two are refused within a second."""
    one, other = _pair(cpo, emsp)

    async def work(settings: "Settings") -> dict[str, Any]:
        from hub.agreements import repository

        async with databases.opened(settings) as database, database.transaction() as connection:
            if not await repository.drop_agreement(connection, one, other):
                raise CommandFailed(
                    f"{one} and {other} have no agreement; `ocpi-hub agreement list` shows those there are."
                )
        return {"cpo": str(one), "emsp": str(other)}

    tell.done(work, json, f"{one} and {other} may not exchange any more.")


def _pair(cpo: str, emsp: str) -> tuple[PartyId, PartyId]:
    one, other = arguments.party(cpo), arguments.party(emsp)
    if one == other:
        raise typer.BadParameter(f"{one} needs no agreement with itself.")
    return one, other
