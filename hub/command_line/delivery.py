"""delivery ...: who gets its pushes, who does not, why, and what an operator can do about it."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.command_line import arguments, databases, tell
from hub.command_line.arguments import Json, PartyOption
from hub.command_line.tell import CommandFailed
from ocpi_modules.message import PartyId

if TYPE_CHECKING:
    from hub.settings import Settings

delivery_app = typer.Typer(no_args_is_help=True, help="Deliveries to receiving parties.")
Of = Annotated[str | None, typer.Option("--party", help="Show what this party is owed, and why: NL/ABC.")]


@delivery_app.command("list")
def delivery_list(party: Of = None, json: Json = False) -> None:
    """Every receiving party with its lag, state, failures and next attempt; with --party the objects it did not take."""
    named = arguments.party(party) if party else None

    async def work(settings: "Settings") -> list[dict[str, Any]]:
        from hub.delivery import overview_repository as overview

        async with databases.knowing(settings, named) as database, database.connection() as connection:
            rows = await (overview.debts(connection, str(named)) if named else overview.destinations(connection))
        return [{name: _told(value) for name, value in dict(row).items()} for row in rows]

    nothing = f"{named} is owed nothing." if named else "Nobody receives anything yet: no party is registered."
    tell.listed(work, json, nothing)


@delivery_app.command("pause")
def delivery_pause(party: PartyOption, json: Json = False) -> None:
    """Send nothing to a party until `resume`; nothing is lost meanwhile."""
    named = arguments.party(party)
    tell.done(lambda settings: _set(settings, named, "pause"), json, f"{named} is sent nothing until it is resumed.")


@delivery_app.command("resume")
def delivery_resume(party: PartyOption, json: Json = False) -> None:
    """Go on with a party that was paused, by hand or after five days of failure."""
    named = arguments.party(party)
    tell.done(lambda settings: _set(settings, named, "resume"), json, f"{named} is sent what it missed.")


@delivery_app.command("retry")
def delivery_retry(
    party: PartyOption,
    module: Annotated[str | None, typer.Option(help="Only objects of this module.")] = None,
    key: Annotated[str | None, typer.Option(help="Only the object with this id.")] = None,
    json: Json = False,
) -> None:
    """Try at once what a party did not take, quarantined objects included, and end its back-off."""
    named = arguments.party(party)
    [only] = arguments.modules([module]) if module else [None]

    async def work(settings: "Settings") -> dict[str, Any]:
        from hub.delivery import overview_repository as overview

        async with databases.knowing(settings, named) as database, database.transaction() as connection:
            if await overview.end_backoff(connection, str(named)) is None:
                raise _unknown(named)
            released = await overview.release_debts(connection, str(named), only, key)
        return {"party": str(named), "objects": released}

    tell.done(work, json, lambda done: f"{done['objects']} objects are tried again for {named}.")


async def _set(settings: "Settings", party: PartyId, change: str) -> dict[str, Any]:
    from hub.delivery import overview_repository as overview

    async with databases.knowing(settings, party) as database, database.transaction() as connection:
        changed = await (overview.pause if change == "pause" else overview.resume)(connection, str(party))
    if changed is None:
        raise _unknown(party)
    return {"party": str(party), "state": "PAUSED" if change == "pause" else "ACTIVE"}


def _unknown(party: PartyId) -> CommandFailed:
    return CommandFailed(f"{party} receives nothing here; `ocpi-hub delivery list` shows who does.")


def _told(value: Any) -> Any:
    return value.isoformat(timespec="seconds") if hasattr(value, "isoformat") else value
