"""The demo: one command from nothing to a CDR at an eMSP. Every program on its path is the real one, in a process of its own."""

import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import typer

from hub.demo.hold import held
from hub.demo.processes import DemoFailed, Processes, free_port
from hub.demo.screen import Screen
from hub.demo.stage import Ports, Stage
from hub.demo.story import Story
from ocpi_modules import json as codec

FOLDER_NAME = "ocpi-hub/demo"


@dataclass(frozen=True)
class DemoOptions:
    """What was asked for on the command line."""

    once: bool = False
    json: bool = False
    reset: bool = False
    folder: Path | None = None


def run_demo(options: DemoOptions) -> None:
    """Run it to the CDR, then wait for Ctrl-C (or end with `once`). Raises DemoFailed with one sentence."""
    folder = options.folder or default_folder()
    if options.reset:
        forget(folder)
        if not options.once:
            typer.echo(f"Forgot {folder}. Run `make demo` to begin anew.")
            return
    with held(folder):
        _play(folder, options)


def _play(folder: Path, options: DemoOptions) -> None:
    screen = Screen(quiet_output=options.json)
    processes = Processes(folder / "logs")
    try:
        with Stage(folder, choose_ports(), processes, screen) as stage:
            result = Story(stage, screen).play()
            _tell(result, options, screen, stage)
            if not options.once:
                stage.wait_for_ctrl_c()
    except KeyboardInterrupt:
        screen.plain("\n Stopped. The data is kept; `ocpi-hub demo --reset` forgets it.")
        if options.once:
            raise DemoFailed("The demo was interrupted before the CDR arrived.") from None
    if options.json:
        typer.echo(codec.encode(result).decode())


def default_folder() -> Path:
    """Where data of programs belongs: $XDG_DATA_HOME or ~/.local/share."""
    home = os.environ.get("XDG_DATA_HOME")
    return (Path(home) if home else Path.home() / ".local" / "share") / FOLDER_NAME


def forget(folder: Path) -> None:
    """Delete a demo folder; refuses a folder that no demo made, and one whose demo runs."""
    if not folder.exists():
        return
    if not folder.is_dir() or (any(folder.iterdir()) and not (folder / "logs").exists()):
        raise DemoFailed(f"{folder} is not empty and was not made by a demo; name another --folder.")
    with held(folder):
        shutil.rmtree(folder, ignore_errors=True)


def choose_ports() -> Ports:
    """The usual ports, or the next free ones."""
    host = "127.0.0.1"
    hub = free_port(host, 8080)
    adapter = free_port(host, max(8081, hub + 1))
    emsp = free_port(host, adapter + 1)
    return Ports(
        hub=hub, adapter=adapter, emsp=emsp, admin=free_port(host, max(8090, emsp + 1)), ocpp=free_port(host, 9000)
    )


def look(environment: Mapping[str, str]) -> str:
    """A line for the shell that shows what passed through the demo's hub; other commands work with the same variables."""
    program = shlex.quote(str(Path(sys.executable).with_name("ocpi-hub")))
    needed = ("HUB_COUNTRY_CODE", "HUB_PARTY_ID", "HUB_DATABASE_URL")
    return " ".join([*(f"{name}={shlex.quote(environment[name])}" for name in needed), program, "trace", "list"])


def _tell(result: dict[str, str | Decimal], options: DemoOptions, screen: Screen, stage: "Stage") -> None:
    screen.plain(f"\n Hub     {stage.hub_url}/ocpi/versions      health {stage.admin_url}/readyz")
    screen.plain(f" eMSP    {stage.emsp_url}/demo/state        what it holds")
    screen.plain(f" Charger ws://127.0.0.1:{stage.ports.ocpp}/ocpp/<charger id>")
    screen.plain(f" Look    {look(stage.hub_environment())}")
    if not options.once:
        screen.plain(" Ctrl-C stops everything; the data is kept; `ocpi-hub demo --reset` forgets it.")
