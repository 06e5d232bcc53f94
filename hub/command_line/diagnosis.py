"""doctor: what is wrong, why, and the command that mends it."""

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from hub.command_line import tell
from hub.command_line.arguments import Json
from hub.command_line.databases import NAME

if TYPE_CHECKING:
    from hub.admin.finding import Finding
    from hub.settings import Settings


def doctor(json: Json = False) -> None:
    """Look at settings, database, partners and CDRs; say what is wrong and what mends it. Exit code 1 for a problem."""
    from dataclasses import asdict

    findings = _findings()
    if json:
        tell.print_json([asdict(finding) for finding in findings])
    elif findings:
        typer.echo("\n\n".join(f"{finding.what}\n  {finding.why}\n  > {finding.mend}" for finding in findings))
    else:
        typer.echo("Nothing is wrong.")
    if any(finding.level == "problem" for finding in findings):
        raise typer.Exit(1)


def _findings() -> "list[Finding]":
    from hub import settings, telemetry
    from hub.admin.doctor import unreachable
    from hub.admin.finding import Finding

    telemetry.configure_logs()
    try:
        found = settings.load(os.environ)
    except settings.SettingsError as error:
        why = "Without it the hub does not start."
        return [Finding("problem", sentence, why, "Set the variable as said.") for sentence in error.sentences]
    directory = found.embedded_directory
    if directory is not None and not (directory / "data").exists():
        return [
            Finding(
                "problem", f"There is no database in {directory} yet.", "No hub was started on it.", "ocpi-hub serve"
            )
        ]
    try:
        with _urls(found) as (url, wide_url):
            return tell.run(_examined(found, url, wide_url))
    except Exception as error:
        if tell.sentence_for(error) is None:
            raise
        return [unreachable(error)]


async def _examined(settings: "Settings", url: str, wide_url: str) -> "list[Finding]":
    from hub.admin.doctor import examine
    from hub.db.engine import Database, open_pool
    from hub.parties.directory import Directory

    async with contextlib.AsyncExitStack() as stack:
        database = Database(await open_pool(url, max_size=1, application_name="ocpi-hub doctor"))
        stack.push_async_callback(database.close)
        wide = database
        if wide_url != url:
            wide = Database(await open_pool(wide_url, max_size=1, application_name="ocpi-hub doctor"))
            stack.push_async_callback(wide.close)
        directory = Directory(database, settings.keys, settings.hub_party, tell.now)
        prod, keys = settings.env == "prod", settings.keys
        return await examine(database, directory, settings.public_url, tell.now, wide, prod=prod, keys=keys)


@contextlib.contextmanager
def _urls(settings: "Settings") -> Iterator[tuple[str, str]]:
    """Of the role the hub runs as, and of the one that sees most; an embedded server is opened as it is, not migrated."""
    if settings.embedded_directory is None:
        yield settings.database_url.get_secret_value(), settings.database_migrate_url.get_secret_value()
        return
    from hub.db.embedded import open_embedded

    with open_embedded(settings.embedded_directory) as server:
        yield server.app_dsn(NAME), server.dsn(NAME)
