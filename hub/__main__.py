"""`ocpi-hub`: every command in one list; what they do stands in hub/command_line."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from hub.command_line import diagnosis, platforms, serving, standing, tell
from hub.command_line.agreements import agreement_app
from hub.command_line.arguments import Json
from hub.command_line.cdrs import cdr_app
from hub.command_line.delivery import delivery_app
from hub.command_line.keys import key_app
from hub.command_line.pulls import pull_app
from hub.command_line.traces import trace_app
from ocpi_modules.typed import complaint

app = typer.Typer(
    add_completion=True, no_args_is_help=True, help="An OCPI 2.2.1 roaming hub.", pretty_exceptions_enable=False
)
app.command()(serving.serve)
app.command(hidden=True)(serving.worker)
app.command()(serving.migrate)
app.command()(platforms.invite)
app.command()(platforms.connect)
app.add_typer(standing.platform_app, name="platform")
app.add_typer(platforms.party_app, name="party")
app.add_typer(agreement_app, name="agreement")
app.add_typer(trace_app, name="trace")
app.add_typer(pull_app, name="pull")
app.add_typer(delivery_app, name="delivery")
app.add_typer(cdr_app, name="cdr")
app.add_typer(key_app, name="key")
app.command()(diagnosis.doctor)
app.command()(serving.openapi)


@app.command()
def demo(
    once: Annotated[bool, typer.Option("--once", help="End after the CDR arrived.")] = False,
    json: Json = False,
    reset: Annotated[bool, typer.Option("--reset", help="Forget what earlier demos kept.")] = False,
    folder: Annotated[Path | None, typer.Option(help="Where the demo keeps its data.")] = None,
) -> None:
    """Start hub, adapter, sample eMSP and a simulated charger, and charge a car."""
    from hub.db.postgres_binaries import EmbeddedPostgresError
    from hub.demo.demo import DemoOptions, run_demo
    from hub.demo.processes import DemoFailed

    try:
        run_demo(DemoOptions(once=once, json=json, reset=reset, folder=folder))
    except (DemoFailed, EmbeddedPostgresError) as error:
        tell.fail(str(error))


def main() -> None:
    """The console script."""
    if sentence := complaint(sys.argv[1:]):
        sys.stderr.write(f"{sentence}\n")
        sys.exit(2)
    app()


if __name__ == "__main__":
    main()
