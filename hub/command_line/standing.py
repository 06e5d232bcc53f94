"""platform suspend, resume, approve, approve-host and revoke-tokens: what an operator lets a registered platform do."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from hub.command_line import arguments, databases, tell
from hub.command_line.arguments import Json, PartyOption
from hub.command_line.platforms import platform_app
from hub.command_line.tell import CommandFailed, now

if TYPE_CHECKING:
    from hub.db.engine import Database
    from hub.settings import Settings

__all__ = ["platform_app"]
Change = Callable[["Settings", "Database", UUID], Awaitable[None]]


@platform_app.command("suspend")
def platform_suspend(party: PartyOption, json: Json = False) -> None:
    """Stop a platform at once: its tokens are refused and nothing is sent to it, until `resume`. Nothing is lost meanwhile."""
    from hub.parties import changes

    _change(party, lambda _, database, id: changes.suspend(database, now, id), json, "is suspended")


@platform_app.command("resume")
def platform_resume(party: PartyOption, json: Json = False) -> None:
    """Let a suspended platform go on with the tokens it had."""
    from hub.parties import changes

    _change(party, lambda _, database, id: changes.resume(database, now, id), json, "goes on")


@platform_app.command("approve")
def platform_approve(
    party: PartyOption,
    role: Annotated[list[str], typer.Option(help="ROLE:COUNTRY/PARTY, for example EMSP:NL/ABC; may be repeated.")],
    json: Json = False,
) -> None:
    """Let a registered platform declare more roles with its next PUT credentials."""
    wanted = [arguments.role_and_party(one) for one in role]

    async def approve(settings: "Settings", database: "Database", platform_id: UUID) -> None:
        from hub.registration import invitations

        invitations.refuse_impossible(wanted, settings.hub_party)
        async with database.transaction() as connection:
            await invitations.approve(connection, platform_id, wanted, now)

    _change(party, approve, json, f"may declare {', '.join(role)} with its next PUT credentials")


@platform_app.command("approve-host")
def platform_approve_host(
    party: PartyOption,
    host: Annotated[str, typer.Option(help="The host of its new versions URL, without port: ocpi.example.com.")],
    json: Json = False,
) -> None:
    """Let a registered platform move to another host with its next PUT credentials."""
    from hub.parties import changes

    name = host.strip().lower()
    if not name or any(character in name for character in "/: @"):
        raise typer.BadParameter(f"{host} is no host; give it without scheme, port and path: ocpi.example.com.")
    _change(
        party,
        lambda _, database, id: changes.approve_host(database, now, id, name),
        json,
        f"may move to {name} with its next PUT credentials",
    )


@platform_app.command("revoke-tokens")
def platform_revoke_tokens(party: PartyOption, json: Json = False) -> None:
    """Emergency: every token we gave a platform is dead within a second, and the partner is not asked; invite it anew then."""
    from hub.parties import changes

    _change(party, lambda _, database, id: changes.revoke_tokens(database, now, id), json, "has no token any more")


def _change(party: str, change: Change, json: bool, done: str) -> None:
    named = arguments.party(party)

    async def work(settings: "Settings") -> dict[str, Any]:
        from hub.parties.changes import UnknownPlatform

        async with databases.with_directory(settings) as (database, directory):
            platform = databases.platform_of(named, directory)
            try:
                await change(settings, database, platform.id)
            except UnknownPlatform as refused:
                raise CommandFailed(str(refused)) from None
            await directory.refresh()
            return {"platform": platform.name, "state": str(databases.platform_of(named, directory).state)}

    tell.done(work, json, f"The platform of {named} {done}.")
