"""The command line `ocpi-hub`. Exit codes: 0 done, 1 failed, 2 misuse. Secrets come by standard input, never as arguments."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from hub import commands, telemetry
from hub.commands import CommandFailed
from hub.db.embedded import EmbeddedPostgresError
from hub.db.engine import DatabaseAway
from hub.db.migrate import MigrationError
from hub.demo.demo import DemoOptions, run_demo
from hub.demo.processes import DemoFailed
from hub.registration.invitations import InvitationRefused
from hub.serve import Inherited
from hub.settings import Settings, SettingsError, load
from ocpi_modules.status import OcpiError

Json = Annotated[bool, typer.Option("--json", help="Print one line of JSON.")]
PartyOption = Annotated[
    list[str] | None, typer.Option("--party", help="ROLE:COUNTRY/PARTY, for example CPO:NL/ABC; may be repeated.")
]

app = typer.Typer(
    add_completion=True, no_args_is_help=True, help="An OCPI 2.2.1 roaming hub.", pretty_exceptions_enable=False
)
_errors = Console(stderr=True, highlight=False)


@app.command()
def serve(
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes that share the ports.")] = 1,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Instead of HUB_PORT.")] = None,
) -> None:
    """Serve OCPI on HUB_PORT and the admin interface on HUB_ADMIN_PORT."""
    if port is not None:
        os.environ["HUB_PORT"] = str(port)
    telemetry.configure_logs()
    _told(lambda settings: commands.serve(settings, workers, _errors))


@app.command(hidden=True)
def worker(ocpi: int, admin: int, parent: int, ready: int) -> None:
    """One worker of `serve --workers`; started by its parent only."""
    telemetry.configure_logs()
    _told(lambda settings: commands.work(settings, Inherited(ocpi, admin, parent, ready)))


@app.command()
def migrate(json: Json = False) -> None:
    """Bring the tables up to date."""
    _told(lambda settings: _print(commands.migrate(settings), json, "The tables are up to date."))


@app.command()
def invite(
    party: PartyOption = None,
    role: Annotated[str | None, typer.Option(help="Short form of --party: the role.")] = None,
    country_code: Annotated[str | None, typer.Option(help="Short form of --party: the country.")] = None,
    party_id: Annotated[str | None, typer.Option(help="Short form of --party: the party id.")] = None,
    expires: Annotated[str, typer.Option(help="How long Token A works: 7d, 12h, 30m.")] = "7d",
    json: Json = False,
) -> None:
    """Make a Token A for a partner and say where it registers."""
    parties = commands.parties_of(party or [], role, country_code, party_id)
    _told(
        lambda settings: _show_invitation(
            commands.run(commands.invite(settings, parties, commands.duration(expires))), json
        )
    )


@app.command()
def connect(
    versions_url: Annotated[str, typer.Option(help="The partner's versions URL.")],
    party: PartyOption = None,
    token_a_stdin: Annotated[bool, typer.Option("--token-a-stdin", help="Read Token A from standard input.")] = False,
    json: Json = False,
) -> None:
    """Register with a partner that gave us a Token A."""
    if not token_a_stdin:
        raise typer.BadParameter("give the partner's Token A on standard input and say --token-a-stdin.")
    parties = commands.parties_of(party or [], None, None, None)
    token_a = sys.stdin.readline().strip()
    _told(
        lambda settings: _print(
            commands.run(commands.connect(settings, versions_url, token_a, parties)),
            json,
            f"Registered with {versions_url}.",
        )
    )


platform_app = typer.Typer(no_args_is_help=True, help="Partners' platforms.")
agreement_app = typer.Typer(no_args_is_help=True, help="Who may exchange what with whom.")
app.add_typer(platform_app, name="platform")
app.add_typer(agreement_app, name="agreement")


@platform_app.command("list")
def platform_list(json: Json = False) -> None:
    """Every platform with its parties and states."""
    _told(lambda settings: _table(commands.run(commands.list_platforms(settings)), json))


@platform_app.command("unregister")
def platform_unregister(
    party: Annotated[str, typer.Option(help="A party of the platform: NL/ABC.")], json: Json = False
) -> None:
    """End a registration: the partner is told, both tokens die, its parties are SUSPENDED; it may be invited again."""
    named = commands.party(party)
    _told(
        lambda settings: _print(commands.run(commands.unregister(settings, named)), json, f"{named} is unregistered.")
    )


@agreement_app.command("set")
def agreement_set(
    cpo: Annotated[str, typer.Option(help="NL/ABC")],
    emsp: Annotated[str, typer.Option(help="DE/XYZ")],
    module: Annotated[list[str] | None, typer.Option(help="One module; may be repeated; all when left out.")] = None,
    json: Json = False,
) -> None:
    """Let a CPO and an eMSP exchange messages."""
    pair = commands.party(cpo), commands.party(emsp)
    modules = commands.modules(module or [])
    _told(
        lambda settings: _print(
            commands.run(commands.set_agreement(settings, *pair, modules)),
            json,
            f"{pair[0]} and {pair[1]} may exchange.",
        )
    )


@agreement_app.command("list")
def agreement_list(json: Json = False) -> None:
    """Every agreement."""
    _told(lambda settings: _table(commands.run(commands.list_agreements(settings)), json))


@app.command()
def openapi(output: Annotated[Path, typer.Option(help="The folder to write to.")] = Path("openapi")) -> None:
    """Write the OpenAPI documents of the OCPI endpoints."""
    for path in commands.openapi(output):
        typer.echo(path)


@app.command()
def demo(
    once: Annotated[bool, typer.Option("--once", help="End after the CDR arrived.")] = False,
    json: Json = False,
    reset: Annotated[bool, typer.Option("--reset", help="Forget what earlier demos kept.")] = False,
    folder: Annotated[Path | None, typer.Option(help="Where the demo keeps its data.")] = None,
) -> None:
    """Start hub, adapter, sample eMSP and a simulated charger, and charge a car."""
    try:
        run_demo(DemoOptions(once=once, json=json, reset=reset, folder=folder))
    except (DemoFailed, EmbeddedPostgresError) as error:
        _fail(str(error))


def _told(work: Callable[[Settings], Any]) -> None:
    """Do it with the settings; what a person can put right is told in sentences, never as a traceback."""
    try:
        work(load(os.environ))
    except SettingsError as error:
        _fail(*error.sentences, code=2)
    except OcpiError as error:
        _fail(error.message)
    except (CommandFailed, InvitationRefused, EmbeddedPostgresError, MigrationError, DatabaseAway) as error:
        _fail(str(error))


def _print(result: dict[str, Any], json: bool, sentence: str) -> None:
    typer.echo(commands.as_json(result) if json else sentence)


def _table(rows: list[dict[str, Any]], json: bool) -> None:
    for row in rows:
        typer.echo(commands.as_json(row) if json else "  ".join(str(value) for value in row.values()))


def _show_invitation(invitation: dict[str, Any], json: bool) -> None:
    if json:
        typer.echo(commands.as_json(invitation))
        return
    typer.echo("Give these two to the partner, each on a safe way; Token A is shown only now.")
    typer.echo(f"  Token A       {invitation['token_a']}")
    typer.echo(f"  Versions URL  {invitation['versions_url']}")


def _fail(*sentences: str, code: int = 1) -> None:
    for sentence in sentences:
        _errors.print(sentence, style="red", soft_wrap=True, markup=False)
    raise typer.Exit(code)


def main() -> None:
    """The console script."""
    app()


if __name__ == "__main__":
    main()
