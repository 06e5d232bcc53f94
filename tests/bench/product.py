"""The hub's side of a bench: the whole product as `ocpi-hub serve` runs it, in the process of the side."""

import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from hub.agreements import repository as agreements
from hub.agreements.policy import DEFAULT_TERMS
from hub.app import running_hub
from hub.db.engine import Database, open_pool
from hub.settings import load
from ocpi_modules.http.listener import running
from ocpi_modules.message import Clock
from ocpi_modules.secrets import Keys
from tests.bench.messages import CPO, EMSP
from tests.bench.processes import SECRET, hub_environment
from tests.hub.network import Partner, register


def _now() -> datetime:
    return datetime.now(UTC)


@contextlib.asynccontextmanager
async def product(dsn: str, *partners: Partner, clock: Clock = _now) -> AsyncIterator[int]:
    """Its port. `partners` are registered; between CPO and EMSP there is an agreement."""
    await register_all(dsn, *partners)
    settings = load(hub_environment(dsn))
    async with running_hub(settings, dsn, clock) as built, running(built.ocpi) as listening:
        yield listening.port


async def register_all(dsn: str, *partners: Partner) -> None:
    """Before the hub runs."""
    database = Database(await open_pool(dsn, max_size=1, application_name="bench"))
    async with database.transaction() as connection:
        await agreements.put_agreements(connection, [agreements.Agreement(CPO, EMSP, DEFAULT_TERMS)])
    for partner in partners:
        await register(database, Keys.derived_from(SECRET), partner)
    await database.close()
