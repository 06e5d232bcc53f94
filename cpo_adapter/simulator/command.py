"""`cpo-adapter simulate`: a simulated charger on the command line."""

import asyncio
import signal
import sys
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer

from cpo_adapter.simulator.run import run
from cpo_adapter.simulator.settings import ChargerSettings


def simulate(
    url: Annotated[str, typer.Option(help="Where chargers connect: ws://host:9000/ocpp")],
    charger_id: Annotated[str, typer.Option(help="The charger's id.")],
    password_stdin: Annotated[bool, typer.Option("--password-stdin", help="Read the password from stdin.")] = False,
    password_file: Annotated[Path | None, typer.Option(help="Or from the first line of this file.")] = None,
    id_tag: Annotated[str | None, typer.Option(help="Charge with this tag; without it wait for remote starts.")] = None,
    charges: Annotated[int, typer.Option(min=1, max=10_000, help="How many times.")] = 1,
    power_kw: Annotated[int, typer.Option(min=1, max=4000)] = 350,
    charge_wh: Annotated[int, typer.Option(min=0, help="What the car takes.")] = 1000,
    parking_seconds: Annotated[float, typer.Option(min=0, help="How long it stays plugged in after that.")] = 0,
    state: Annotated[Path | None, typer.Option(help="A folder for ledger, queue and registers.")] = None,
    fault: Annotated[list[str] | None, typer.Option(help="For example cut_after:StopTransaction; may be repeated.")] = None,
) -> None:
    """Be an OCPP 1.6 charger that charges, meters and keeps a ledger of its own."""
    password = _password(password_stdin, password_file)
    settings = ChargerSettings(
        power_kw=Decimal(power_kw), charge_wh=Decimal(charge_wh), parking_seconds=parking_seconds, state=state
    )
    try:
        asyncio.run(_run(url, charger_id, password, settings, id_tag, charges, fault or []))
    except ValueError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None


async def _run(
    url: str, charger_id: str, password: str, settings: ChargerSettings, id_tag: str | None, charges: int, faults: list[str]
) -> None:
    charging = asyncio.ensure_future(
        run(url, charger_id, password, settings, id_tag=id_tag, charges=charges, faults=faults, tell=typer.echo)
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, charging.cancel)
    try:
        await charging
    except asyncio.CancelledError:
        typer.echo("The charger goes offline; its ledger and queue are kept.")


def _password(from_stdin: bool, file: Path | None) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if file is None:
        raise typer.BadParameter("give the charger's password by --password-stdin or --password-file.")
    try:
        return file.read_text().splitlines()[0]
    except (OSError, IndexError):
        raise typer.BadParameter(f"{file} cannot be read or is empty.") from None
