"""pull ...: reading the lists of parties that do not push."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.command_line import arguments, databases, tell
from hub.command_line.arguments import Json, PartyOption
from hub.command_line.tell import CommandFailed

if TYPE_CHECKING:
    from hub.parties.platforms import Platform
    from hub.settings import Settings
    from ocpi_modules.message import PartyId
    from ocpi_modules.spec import ModuleID

pull_app = typer.Typer(no_args_is_help=True, help="Lists the hub reads from parties that do not push.")


@pull_app.command("start")
def pull_start(
    party: PartyOption,
    module: Annotated[
        list[str] | None,
        typer.Option(help="locations, tariffs or tokens; may be repeated; all it offers when left out."),
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Read the whole list; what is not in it is taken out, however much it is.")
    ] = False,
    json: Json = False,
) -> None:
    """Let the hub read a party's lists now; a serving process begins within a second, or when the party is connected."""
    named, modules = arguments.party(party), arguments.modules(module)

    async def work(settings: "Settings") -> dict[str, Any]:
        from hub.pulls import repository

        async with databases.with_directory(settings) as (database, directory):
            wanted = _readable(databases.platform_of(named, directory), named, modules)
            async with database.transaction() as connection:
                await repository.want(
                    connection,
                    [str(named)] * len(wanted),
                    [str(one) for one in wanted],
                    tell.now(),
                    whole=full,
                    by_hand=True,
                )
        return {"party": str(named), "modules": wanted, "full": full}

    tell.done(
        work, json, lambda result: f"{', '.join(result['modules'])} of {named}: `ocpi-hub pull list` shows how it goes."
    )


@pull_app.command("list")
def pull_list(json: Json = False) -> None:
    """Every list the hub may read: when it was read, what came of it, and how far a running one is."""

    async def work(settings: "Settings") -> list[dict[str, Any]]:
        from hub.pulls import repository

        async with databases.opened(settings) as database, database.connection() as connection:
            return [_shown(row) for row in await repository.all_lists(connection)]

    tell.listed(work, json, "There is nothing to read yet; `ocpi-hub pull start --party NL/ABC` reads a party's lists.")


def _readable(platform: "Platform", party: "PartyId", modules: list["ModuleID"]) -> list["ModuleID"]:
    """The named modules, each of which must be readable; without a name all that are."""
    from hub.pulls.schedule import MODULES, forbidden

    if strange := [one for one in modules if one not in MODULES]:
        raise CommandFailed(
            f"The hub reads {', '.join(MODULES)} only; {strange[0]} comes with the pushes of its owner."
        )
    reasons = {one: forbidden(platform, party, one) for one in modules or MODULES}
    allowed = [one for one, reason in reasons.items() if reason is None]
    refused = [reason for reason in reasons.values() if reason is not None]
    if refused and (modules or not allowed):
        raise CommandFailed(refused[0])
    return allowed


def _shown(row: Any) -> dict[str, Any]:
    from ocpi_modules.types import format_datetime

    instants = {
        name: None if row[name] is None else format_datetime(row[name])
        for name in ("began_at", "ended_at", "date_from", "pushed_at", "whole_at")
    }
    return {
        "party": row["party"],
        "module": row["module"],
        "state": "WAITING" if row["wanted"] and row["state"] != "RUNNING" else row["state"],
        "full": row["whole"],
        "began_at": instants["began_at"],
        "ended_at": instants["ended_at"],
        "date_from": instants["date_from"],
        "pages": row["pages"],
        "objects": row["objects"],
        "changed": row["changed"],
        "vanished": row["vanished"],
        "refused": row["refused"],
        "said": row["said"] or None,
        "flag": row["flag"] or None,
        "last_full": instants["whole_at"],
        "last_push": instants["pushed_at"],
    }
