"""What the commands of `ocpi-hub` do, apart from how they are typed and shown."""

import asyncio
import contextlib
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from hub.app import running_hub
from hub.db import migrate as migrations
from hub.db.embedded import open_embedded
from hub.serve import Inherited, Parent, serve_alone, serve_as_worker
from hub.settings import Settings
from ocpi_modules import json
from ocpi_modules.http import openapi as documents
from ocpi_modules.http.paths import versions_url
from ocpi_modules.message import PartyId
from ocpi_modules.spec import Role

_DURATION = re.compile(r"^(\d{1,5})([dhm])$")
_PARTY = re.compile(r"^(?P<role>[A-Z]+):(?P<country>[A-Za-z]{2})/(?P<party>[A-Za-z0-9]{3})$")


class CommandFailed(Exception):
    """One sentence for the person at the command line."""


def now() -> datetime:
    """The real clock."""
    return datetime.now(UTC)


def serve(settings: Settings, workers: int, screen: Console) -> None:
    """Serve until told to stop. An embedded database is migrated first; another one is expected to be up to date."""

    def started() -> None:
        screen.print(f"The hub serves {versions_url(settings.public_url)}", soft_wrap=True)
        screen.print(f"Health and admin: http://{settings.admin_host}:{settings.admin_port}", soft_wrap=True)

    with _database_ready(settings), _taken_port_told(settings):
        if workers == 1:
            asyncio.run(serve_alone(settings, now, started))
        else:
            asyncio.run(_serve_many(settings, workers, started))


async def _serve_many(settings: Settings, workers: int, started: Any) -> None:
    await Parent(settings, workers, os.environ).run(started)


def work(settings: Settings, inherited: Inherited) -> None:
    """One worker; the parent saw to the database."""
    asyncio.run(serve_as_worker(settings, now, inherited))


def migrate(settings: Settings) -> dict[str, Any]:
    """Apply what is missing; the names of the revisions that were applied."""
    with _owner_dsn(settings) as dsn:
        missing = migrations.pending(dsn)
        migrations.upgrade(dsn)
    return {"applied": missing}


async def invite(settings: Settings, parties: list[tuple[Role, PartyId]], expires: timedelta) -> dict[str, Any]:
    """A Token A for these parties."""
    async with _quiet_hub(settings) as hub:
        invitation = await hub.invitations.invite(parties, expires)
    return {"token_a": invitation.token_a, "versions_url": invitation.versions_url}


async def connect(settings: Settings, url: str, token_a: str, parties: list[tuple[Role, PartyId]]) -> dict[str, Any]:
    """Register with a partner as the Sender."""
    async with _quiet_hub(settings) as hub:
        platform = await hub.handshake.connect(url, token_a, parties)
    return {"platform": str(platform.id)}


def openapi(folder: Path) -> list[Path]:
    """Write the documents; their paths."""
    return documents.write(folder)


def parties_of(
    given: list[str], role: str | None, country_code: str | None, party_id: str | None
) -> list[tuple[Role, PartyId]]:
    """The parties named on the command line; raises typer.BadParameter with the form that is expected."""
    if role or country_code or party_id:
        given = [*given, f"{role or ''}:{country_code or ''}/{party_id or ''}"]
    if not given:
        raise typer.BadParameter("name at least one party: --party CPO:NL/ABC.")
    return [_party(text) for text in given]


def _party(text: str) -> tuple[Role, PartyId]:
    match = _PARTY.match(text)
    if match is None or match["role"] not in Role.__members__ or match["role"] == Role.HUB:
        roles = ", ".join(name for name in Role.__members__ if name != Role.HUB)
        raise typer.BadParameter(f"{text} is not ROLE:COUNTRY/PARTY, for example CPO:NL/ABC; roles are {roles}.")
    return Role(match["role"]), PartyId.of(match["country"], match["party"])


def duration(text: str) -> timedelta:
    """7d, 12h or 30m."""
    match = _DURATION.match(text)
    if match is None or int(match[1]) == 0:
        raise typer.BadParameter(f"{text} is not a time: write 7d, 12h or 30m.")
    unit = {"d": "days", "h": "hours", "m": "minutes"}[match[2]]
    return timedelta(**{unit: int(match[1])})


def as_json(value: Any) -> str:
    return json.encode(value).decode()


@contextlib.contextmanager
def _database_ready(settings: Settings) -> Iterator[None]:
    """An embedded server is started and kept while we serve; the tables of any other are looked at."""
    if settings.embedded_directory is not None:
        with _owner_dsn(settings) as dsn:
            migrations.upgrade(dsn)
            yield
        return
    missing = migrations.pending(settings.database_url.get_secret_value())
    if missing:
        raise CommandFailed(f"The tables lack {', '.join(missing)}: run `ocpi-hub migrate` first.")
    yield


@contextlib.contextmanager
def _owner_dsn(settings: Settings) -> Iterator[str]:
    if settings.embedded_directory is None:
        yield settings.database_migrate_url.get_secret_value()
        return
    with open_embedded(settings.embedded_directory) as server:
        server.ensure_database("hub", "ocpi_hub_app")
        yield server.owner_dsn("hub")


@contextlib.asynccontextmanager
async def _quiet_hub(settings: Settings) -> Any:
    """The hub's objects without listeners, for a command; the tables must be there."""
    with _owner_dsn(settings) as dsn:
        if settings.embedded_directory is not None:
            migrations.upgrade(dsn)
        async with running_hub(settings, now, background=False) as hub:
            yield hub


@contextlib.contextmanager
def _taken_port_told(settings: Settings) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        ports = f"{settings.host}:{settings.port} or {settings.admin_host}:{settings.admin_port}"
        raise CommandFailed(
            f"Cannot listen on {ports} ({error.strerror or error}); set HUB_PORT or HUB_ADMIN_PORT."
        ) from None
