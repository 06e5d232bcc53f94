"""serve, worker, migrate, openapi: what runs, and what is made before it runs."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.command_line import tell
from hub.command_line.arguments import Json
from hub.command_line.tell import CommandFailed, now, told

if TYPE_CHECKING:
    from hub.settings import Settings


def serve(
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes that share the ports.")] = 1,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Instead of HUB_PORT.")] = None,
    json: Json = False,
) -> None:
    """Serve OCPI on HUB_PORT and the admin interface on HUB_ADMIN_PORT."""
    environ = dict(os.environ) | ({"HUB_PORT": str(port)} if port else {})
    told(lambda settings: _serve(settings, workers, environ, json), environ)


def worker(ocpi: int, admin: int, parent: int, ready: int, name: Annotated[str, typer.Argument()] = "") -> None:
    """One worker of `serve --workers`; started by its parent only. One of the program before this gives it no name (Q-16)."""

    async def work(settings: "Settings") -> None:
        from hub.command_line.databases import joined_url
        from hub.metrics import exposition
        from hub.serve import Inherited, serve_as_worker

        exposition.share_as(name)
        with joined_url(settings) as url:
            await serve_as_worker(settings, url, now, Inherited(ocpi, admin, parent, ready))

    told(work)


def migrate(json: Json = False) -> None:
    """Bring the tables up to date."""

    def work(settings: "Settings") -> dict[str, Any]:
        from hub.command_line.databases import owner_url
        from hub.db import migrate as migrations

        with owner_url(settings) as url:
            missing = migrations.pending(url)
            migrations.upgrade(url)
        return {"applied": missing}

    tell.done(work, json, "The tables are up to date.")


def openapi(
    output: Annotated[Path, typer.Option(help="The folder to write to.")] = Path("openapi"), json: Json = False
) -> None:
    """Write the OpenAPI documents of the OCPI endpoints."""
    from ocpi_modules.http import openapi as documents

    try:
        written = [str(path) for path in documents.write(output)]
    except OSError as error:
        tell.fail(f"{output} cannot be written to: {error.strerror or error}.")
    if json:
        tell.print_json({"written": written})
    else:
        typer.echo("\n".join(written))


async def _serve(settings: "Settings", workers: int, environ: Mapping[str, str], json: bool) -> None:
    from hub.command_line.databases import runtime_url
    from hub.metrics import exposition
    from hub.serve import PortTaken, listening_sockets, serve_alone
    from hub.workers import Parent

    try:
        sockets = listening_sockets(settings, workers)
    except PortTaken as error:
        raise CommandFailed(str(error)) from None
    started = _announcement(settings, json)
    with runtime_url(settings) as url:
        if workers == 1:
            exposition.stay_alone()
            await serve_alone(settings, url, now, sockets[0], started)
        else:
            await Parent(sockets, environ).run(started)


def _announcement(settings: "Settings", json: bool) -> Callable[[], None]:
    """Said once, when requests are answered."""
    from ocpi_modules.http.paths import versions_url

    versions = versions_url(settings.public_url)
    health = f"http://{settings.admin_host}:{settings.admin_port}/readyz"

    def say() -> None:
        if json:
            tell.print_json({"versions_url": versions, "health_url": health})
        else:
            typer.echo(f"The hub serves {versions}\nHealth: {health}", err=True)

    return say
