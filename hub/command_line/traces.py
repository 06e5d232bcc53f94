"""trace ...: what became of a message."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.command_line import arguments, databases, tell
from hub.command_line.arguments import Json

if TYPE_CHECKING:
    from hub.settings import Settings
    from ocpi_modules.message import PartyId

MOST = 1000
_NOTHING = "No trace of such a message is kept; traces are written within a second and kept for HUB_TRACE_DAYS days."
trace_app = typer.Typer(no_args_is_help=True, help="What became of each message.")


@trace_app.command("list")
def trace_list(
    party: Annotated[str | None, typer.Option(help="Sent or received by this party: NL/ABC.")] = None,
    correlation_id: Annotated[str | None, typer.Option(help="The X-Correlation-ID.")] = None,
    module: Annotated[str | None, typer.Option(help="One module, for example sessions.")] = None,
    object_id: Annotated[
        str | None, typer.Option("--object", help="The id of an object; a Token's uid is found by its hash.")
    ] = None,
    since: Annotated[str | None, typer.Option(help="Not older than 7d, 12h or 30m.")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only what was refused or did not arrive.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=MOST, help="How many at most, the newest first.")] = 50,
    json: Json = False,
) -> None:
    """The newest messages that match everything given."""
    named = arguments.party(party) if party else None
    modules = arguments.modules([module] if module else None)
    oldest = tell.now() - arguments.duration(since) if since else None

    async def work(settings: "Settings") -> list[dict[str, Any]]:
        from hub.traces import views
        from hub.traces.repository import Search

        ids = _object_ids(settings, object_id) if object_id else None
        search = Search(correlation_id, str(modules[0]) if modules else None, ids, oldest, failed)
        return [(views.document if json else views.line)(row) for row in await _found(settings, search, named, limit)]

    tell.listed(work, json, _NOTHING)


@trace_app.command("show")
def trace_show(
    correlation_id: Annotated[str, typer.Argument(help="The X-Correlation-ID of the message.")], json: Json = False
) -> None:
    """Both legs of a message side by side, and every delivery of a broadcast, the oldest first."""

    async def work(settings: "Settings") -> list[dict[str, Any]]:
        from hub.traces.repository import Search

        rows = await _found(settings, Search(correlation_id), None, MOST)
        if not rows:
            raise tell.CommandFailed(_NOTHING)
        return [dict(row) for row in reversed(rows)]

    from hub.traces import views

    rows = tell.told(work)
    if json:
        tell.print_json([views.document(row) for row in rows])
    else:
        typer.echo("\n\n".join("\n".join(views.side_by_side(row)) for row in rows))


async def _found(settings: "Settings", search: Any, party: "PartyId | None", limit: int) -> list[Any]:
    """Of a party that nobody knows there may be traces too: of messages to it that were refused."""
    from hub.traces import repository

    async with databases.with_directory(settings) as (database, directory), database.connection() as connection:
        if party is None:
            return await repository.find_traces(connection, search, limit)
        rows = await repository.find_traces_of(connection, str(party), search, limit)
        if not rows and not directory.is_hub(party):
            databases.platform_of(party, directory)
        return rows


def _object_ids(settings: "Settings", given: str) -> list[str]:
    """As traces spell it: folded, or hashed under the present or the former key."""
    from functools import partial

    from hub.traces import redact
    from ocpi_modules.secrets import pseudonym
    from ocpi_modules.types import folded

    return [folded(given), *(redact.hashed(given, partial(pseudonym, key)) for key in settings.keys.pseudonym)]
