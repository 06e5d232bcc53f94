"""invite, connect, platform ... and party ...: who takes part."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.command_line import arguments, databases, tell
from hub.command_line.arguments import Json, Parties, PartyOption
from hub.command_line.tell import now

if TYPE_CHECKING:
    from hub.parties.platforms import Platform
    from hub.settings import Settings

platform_app = typer.Typer(no_args_is_help=True, help="Partners' platforms.")
party_app = typer.Typer(no_args_is_help=True, help="Parties on those platforms.")


def invite(
    party: Parties = None,
    role: Annotated[str | None, typer.Option(help="Short form of --party: the role.")] = None,
    country_code: Annotated[str | None, typer.Option(help="Short form of --party: the country.")] = None,
    party_id: Annotated[str | None, typer.Option(help="Short form of --party: the party id.")] = None,
    expires: Annotated[str, typer.Option(help="How long Token A works: 7d, 12h, 30m.")] = "7d",
    json: Json = False,
) -> None:
    """Make a Token A for a partner and say where it registers."""
    short = [f"{role or ''}:{country_code or ''}/{party_id or ''}"] if role or country_code or party_id else []
    parties = arguments.roles_and_parties([*(party or []), *short])
    life = arguments.duration(expires)

    async def work(settings: "Settings") -> dict[str, Any]:
        from hub.registration import invitations

        async with databases.opened(settings) as database:
            token_a, url = await invitations.invite(
                database, settings.keys, now, settings.public_url, settings.hub_party, parties, expires=life
            )
        return {"token_a": token_a, "versions_url": url}

    tell.done(
        work,
        json,
        lambda made: (
            "Give these two to the partner, each on a safe way; Token A is shown only now.\n"
            f"  Token A       {made['token_a']}\n  Versions URL  {made['versions_url']}"
        ),
    )


def connect(
    versions_url: Annotated[str, typer.Option(help="The partner's versions URL.")],
    party: Parties = None,
    token_a_stdin: Annotated[bool, typer.Option("--token-a-stdin", help="Read Token A from standard input.")] = False,
    json: Json = False,
) -> None:
    """Register with a partner that gave us a Token A; it may declare the parties named here and no others."""
    parties = arguments.roles_and_parties(party)
    if not token_a_stdin:
        raise typer.BadParameter("give the partner's Token A on standard input and say --token-a-stdin.")
    token_a = arguments.secret_line("Token A")

    async def work(settings: "Settings") -> dict[str, Any]:
        async with databases.quiet_hub(settings) as hub:
            return {"platform": str(await hub.registration.connect(versions_url, token_a, parties))}

    tell.done(work, json, f"Registered with {versions_url}.")


@platform_app.command("list")
def platform_list(json: Json = False) -> None:
    """Every platform with its parties, states and switches."""

    async def work(settings: "Settings") -> list[dict[str, Any]]:
        async with databases.with_directory(settings) as (_, directory):
            return [_platform(platform) for platform in directory.platforms()]

    tell.listed(work, json, "There is no platform yet; `ocpi-hub invite --party CPO:NL/ABC` invites one.")


@platform_app.command("unregister")
def platform_unregister(party: PartyOption, json: Json = False) -> None:
    """End a registration: the partner is told, both tokens die, its parties are SUSPENDED; it may be invited again."""
    named = arguments.party(party)

    async def work(settings: "Settings") -> dict[str, Any]:
        async with databases.quiet_hub(settings) as hub:
            platform = databases.platform_of(named, hub.directory)
            confirmed = await hub.registration.unregister_platform(platform.id)
        return {"platform": str(platform.id), "partner_confirmed": confirmed}

    tell.done(work, json, f"{named} is unregistered.")


@platform_app.command("set")
def platform_set(
    party: PartyOption,
    switch: Annotated[list[str], typer.Argument(help="NAME=VALUE, for example strict=true direct_timeout=10.")],
    json: Json = False,
) -> None:
    """Change what differs for one platform; `NAME=default` takes a change back. Every process knows within a second.

    `ocpi-hub platform switches` lists them.
    """
    named = arguments.party(party)
    changes, reset = arguments.switches(switch)

    async def work(settings: "Settings") -> dict[str, Any]:
        from hub.parties import repository

        async with databases.with_directory(settings) as (database, directory):
            platform = databases.platform_of(named, directory)
            async with database.transaction() as connection:
                await repository.change_switches(connection, platform.id, changes, reset)
                await repository.touch(connection, platform.id)
            await directory.refresh()
            return _platform(databases.platform_of(named, directory))

    tell.done(work, json, lambda changed: f"{named}: {tell.cell(changed['switches'])}")


@platform_app.command("switches")
def platform_switches(json: Json = False) -> None:
    """What can be set with `platform set`: each switch, its values, its default, what it does and which code reads it."""
    from hub.parties.switches import TABLE

    rows = [
        {
            "switch": switch.name,
            "values": switch.values.words,
            "default": switch.default,
            "meaning": switch.meaning,
            "read_by": switch.read_by,
        }
        for switch in TABLE
    ]
    if json:
        tell.print_json(rows)
        return
    for row in rows:
        typer.echo(f"{row['switch']}: {row['values']}; default {tell.cell(row['default'])}\n  {row['meaning']}")


@party_app.command("list")
def party_list(json: Json = False) -> None:
    """Every role of every party, and what the others are told of it."""

    async def work(settings: "Settings") -> list[dict[str, Any]]:
        async with databases.with_directory(settings) as (_, directory):
            return [_party(platform, party) for platform in directory.platforms() for party in platform.parties]

    tell.listed(work, json, "There is no party yet; `ocpi-hub invite --party CPO:NL/ABC` invites one.")


def _platform(platform: "Platform") -> dict[str, Any]:
    return {
        "platform": str(platform.id),
        "name": platform.name,
        "state": platform.state,
        "connection": platform.connection,
        "versions_url": platform.versions_url,
        "parties": [f"{party.role}:{party.country_code}/{party.party_id}" for party in platform.parties],
        "switches": platform.switches.changed(),
    }


def _party(platform: "Platform", party: Any) -> dict[str, Any]:
    return {
        "party": f"{party.country_code}/{party.party_id}",
        "role": party.role,
        "name": party.business_details.get("name"),
        "state": party.state,
        "announced": party.announced,
        "platform": platform.name,
    }
