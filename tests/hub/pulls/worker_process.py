"""`python -m tests.hub.pulls.worker_process DSN LEASE_SECONDS`: a process that only pulls, to be killed."""

import asyncio
import contextlib
import sys

from hub.db.engine import Database, open_pool
from hub.parties.directory import Directory
from ocpi_modules.http.client import OcpiClient
from ocpi_modules.secrets import Keys
from tests.hub.network import HUB, NOW
from tests.hub.pulls.world import pull_worker


async def pull(dsn: str, lease_seconds: float) -> None:
    database = Database(await open_pool(dsn, max_size=4, application_name="puller"))
    directory = Directory(database, Keys.derived_from(b"k" * 32), HUB, lambda: NOW)
    await directory.refresh()
    async with OcpiClient(allow_insecure=True) as client:
        await pull_worker(database, directory, client, lambda: NOW, lease_seconds=lease_seconds).run()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(pull(sys.argv[1], float(sys.argv[2])))
