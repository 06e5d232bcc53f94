"""`python -m tests.hub.delivery.worker_process DSN LEASE_SECONDS`: a process that only delivers, to be killed or stopped."""

import asyncio
import contextlib
import signal
import sys
from datetime import UTC, datetime

from hub.agreements.policy import AgreementBook, DefaultPolicy, Policy
from hub.db.engine import Database, open_pool
from hub.delivery.audience import Audience
from hub.delivery.send import DoorOut
from hub.delivery.store import PostgresStore
from hub.delivery.worker import DeliveryWorker
from hub.parties.directory import Directory
from ocpi_modules.http.client import OcpiClient
from ocpi_modules.secrets import Keys
from tests.hub.network import HUB


async def deliver(dsn: str, lease_seconds: float) -> None:
    database = Database(await open_pool(dsn, max_size=4, application_name="worker"))
    directory = Directory(database, Keys.derived_from(b"k" * 32), HUB, lambda: datetime.now(UTC))
    await directory.refresh()
    async with OcpiClient(allow_insecure=True) as client:
        worker = DeliveryWorker(
            store=PostgresStore(database, lease_seconds=lease_seconds),
            audience=Audience(directory, Policy(DefaultPolicy.open, AgreementBook(), lambda: datetime.now(UTC))),
            door=DoorOut(client),
            alarm=lambda event, **fields: None,
        )
        await worker.run()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs in the background of a shell is started deaf
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(deliver(sys.argv[1], float(sys.argv[2])))
