"""The database a command works on: settings turned into the URL of a role, tables looked after, a pool or a hub opened."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

from hub.command_line.tell import CommandFailed, now

if TYPE_CHECKING:
    from hub.app import Hub
    from hub.db.engine import Database
    from hub.parties.directory import Directory
    from hub.parties.platforms import Platform
    from hub.settings import Settings
    from ocpi_modules.message import PartyId

NAME = "hub"
MEMBER_OF = "ocpi_hub_app"


@contextlib.contextmanager
def runtime_url(settings: "Settings") -> Iterator[str]:
    """The URL of the plain member role, its tables up to date; an embedded server runs while this is used, and is migrated.

    Raises CommandFailed when the tables of any other server are behind, MigrationError, EmbeddedPostgresError.
    """
    from hub.db import migrate

    if settings.embedded_directory is not None:
        with owner_url(settings) as owner, joined_url(settings) as url:
            if not migrate.is_current(owner):
                migrate.upgrade(owner)
            yield url
        return
    url = settings.database_url.get_secret_value()
    if not migrate.is_current(url) and (missing := migrate.pending(url)):
        raise CommandFailed(f"The tables lack {', '.join(missing)}: run `ocpi-hub migrate`.")
    yield url


@contextlib.contextmanager
def owner_url(settings: "Settings") -> Iterator[str]:
    """The URL of the role that owns the tables; makes an embedded database that is not there yet."""
    if settings.embedded_directory is None:
        yield settings.database_migrate_url.get_secret_value()
        return
    from hub.db.embedded import open_embedded

    with open_embedded(settings.embedded_directory) as server:
        server.ensure_database(NAME, MEMBER_OF)
        yield server.owner_dsn(NAME)


@contextlib.contextmanager
def joined_url(settings: "Settings") -> Iterator[str]:
    """As `runtime_url` for a worker, whose parent has looked after the tables."""
    if settings.embedded_directory is None:
        yield settings.database_url.get_secret_value()
        return
    from hub.db.embedded import open_embedded

    with open_embedded(settings.embedded_directory) as server:
        yield server.app_dsn(NAME)


@contextlib.asynccontextmanager
async def opened(settings: "Settings") -> AsyncIterator["Database"]:
    """A few connections for a command. Raises as `runtime_url`, and DatabaseAway."""
    from hub.db.engine import Database, open_pool

    with runtime_url(settings) as url:
        database = Database(await open_pool(url, max_size=2, application_name="ocpi-hub command"))
        try:
            yield database
        finally:
            await database.close()


@contextlib.asynccontextmanager
async def with_directory(settings: "Settings") -> AsyncIterator[tuple["Database", "Directory"]]:
    """The directory as it stands, and its database."""
    from hub.parties.directory import Directory

    async with opened(settings) as database:
        directory = Directory(database, settings.keys, settings.hub_party, now)
        await directory.refresh()
        yield database, directory


def platform_of(party: "PartyId", directory: "Directory") -> "Platform":
    """Where a party lives, in whatever state. Raises CommandFailed for one that nobody ever invited."""
    platform = directory.known_platform_of(party)
    if platform is None:
        raise CommandFailed(f"{party} is not known here; `ocpi-hub party list` shows who is.")
    return platform


@contextlib.asynccontextmanager
async def knowing(settings: "Settings", party: "PartyId | None") -> AsyncIterator["Database"]:
    """As `opened`, when the party that is named, if any, is known here. Raises CommandFailed."""
    async with with_directory(settings) as (database, directory):
        if party is not None:
            platform_of(party, directory)
        yield database


@contextlib.asynccontextmanager
async def quiet_hub(settings: "Settings") -> AsyncIterator["Hub"]:
    """The whole hub without listeners and loops, for what speaks with partners."""
    from hub.app import running_hub

    with runtime_url(settings) as url:
        async with running_hub(settings, url, now, background=False) as hub:
            yield hub
