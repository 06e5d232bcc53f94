"""What the commands of `ocpi-hub` do, apart from how they are typed and shown."""

import asyncio
import contextlib
import os
import re
from collections.abc import Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import typer
from rich.console import Console

from hub.agreements import repository as agreements
from hub.app import running_hub
from hub.db import migrate as migrations
from hub.db.embedded import open_embedded
from hub.parties.platforms import Platform
from hub.registration import invitations
from hub.serve import Inherited, Parent, serve_alone, serve_as_worker
from hub.settings import Settings
from ocpi_modules import json
from ocpi_modules.http import openapi as documents
from ocpi_modules.http.paths import versions_url
from ocpi_modules.message import PartyId
from ocpi_modules.spec import ModuleID, Role

Result = TypeVar("Result")

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
            run(serve_alone(settings, now, started))
        else:
            run(_serve_many(settings, workers, started))


async def _serve_many(settings: Settings, workers: int, started: Any) -> None:
    await Parent(settings, workers, os.environ).run(started)


def work(settings: Settings, inherited: Inherited) -> None:
    """One worker; the parent saw to the database."""
    run(serve_as_worker(settings, now, inherited))


def migrate(settings: Settings) -> dict[str, Any]:
    """Apply what is missing; the names of the revisions that were applied."""
    with _owner_dsn(settings) as dsn:
        missing = migrations.pending(dsn)
        migrations.upgrade(dsn)
    return {"applied": missing}


async def invite(settings: Settings, parties: list[tuple[Role, PartyId]], expires: timedelta) -> dict[str, Any]:
    """A Token A for these parties."""
    async with _quiet_hub(settings) as hub:
        token_a, url = await invitations.invite(
            hub.database, settings.keys, now, settings.public_url, settings.hub_party, parties, expires=expires
        )
    return {"token_a": token_a, "versions_url": url}


async def connect(settings: Settings, url: str, token_a: str, parties: list[tuple[Role, PartyId]]) -> dict[str, Any]:
    """Register with a partner as the Sender."""
    async with _quiet_hub(settings) as hub:
        platform_id = await hub.registration.connect(url, token_a, parties)
    return {"platform": str(platform_id)}


async def list_platforms(settings: Settings) -> list[dict[str, Any]]:
    """Every platform with its parties and states."""
    async with _quiet_hub(settings) as hub:
        return [_platform(platform) for platform in hub.directory.platforms()]


def _platform(platform: Platform) -> dict[str, Any]:
    parties = [f"{party.role}:{party.country_code}/{party.party_id}" for party in platform.parties]
    return {
        "platform": str(platform.id),
        "name": platform.name,
        "state": platform.state,
        "connection": platform.connection,
        "versions_url": platform.versions_url,
        "parties": parties,
    }


async def unregister(settings: Settings, party: PartyId) -> dict[str, Any]:
    """End the registration of the platform this party is on: told to the partner, then ended here whatever it says (C-41)."""
    async with _quiet_hub(settings) as hub:
        platform = await hub.directory.platform_of(party)
        if platform is None:
            raise CommandFailed(f"{party} is not known here; `ocpi-hub platform list` shows who is.")
        confirmed = await hub.registration.unregister_platform(platform.id)
    return {"platform": str(platform.id), "partner_confirmed": confirmed}


async def set_agreement(settings: Settings, cpo: PartyId, emsp: PartyId, modules: list[ModuleID]) -> dict[str, Any]:
    """Let two parties exchange these modules, all when none is named."""
    async with _quiet_hub(settings) as hub, hub.database.transaction() as connection:
        await agreements.put_agreement(connection, cpo, emsp, modules)
    return {"cpo": str(cpo), "emsp": str(emsp), "modules": [str(module) for module in modules]}


async def list_agreements(settings: Settings) -> list[dict[str, Any]]:
    """Every agreement."""
    async with _quiet_hub(settings) as hub, hub.database.connection() as connection:
        found = await agreements.all_agreements(connection)
    return [
        {"parties": sorted(str(party) for party in pair), "modules": sorted(str(module) for module in modules)}
        for pair, modules in found.items()
    ]


def party(text: str) -> PartyId:
    """NL/ABC or NL*ABC."""
    match = re.match(r"^([A-Za-z]{2})[/*]([A-Za-z0-9]{3})$", text)
    if match is None:
        raise typer.BadParameter(f"{text} is not COUNTRY/PARTY, for example NL/ABC.")
    return PartyId.of(match[1], match[2])


def modules(given: list[str]) -> list[ModuleID]:
    """Module ids by name."""
    unknown = [name for name in given if name not in ModuleID.__members__]
    if unknown:
        raise typer.BadParameter(f"{unknown[0]} is no module; modules are {', '.join(ModuleID.__members__)}.")
    return [ModuleID(name) for name in given]


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run on uvloop where it exists (it is half the cost of a request)."""
    with asyncio.Runner(loop_factory=_new_loop) as runner:
        return runner.run(work)


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


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
