"""The servers of the benches: each a process of its own, which prints its port and serves until it is killed."""

import asyncio
import base64
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from hub import garbage

SECRET = b"k" * 32


@dataclass(frozen=True)
class Served:
    process: subprocess.Popen[str]
    port: int


@contextlib.asynccontextmanager
async def started(module: str, *arguments: str) -> AsyncIterator[Served]:
    """`python -m tests.bench.<module> arguments`."""
    process = subprocess.Popen(
        [sys.executable, "-m", f"tests.bench.{module}", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield Served(process, int(await asyncio.to_thread(process.stdout.readline)))
    finally:
        process.kill()
        process.wait()


async def serve(port: int) -> None:
    """What such a server does once it listens: everything that stays is made, as in `ocpi-hub serve`."""
    garbage.settle()
    print(port, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


def hub_environment(dsn: str) -> dict[str, str]:
    """The settings of a hub in a bench."""
    return {
        "HUB_COUNTRY_CODE": "NL",
        "HUB_PARTY_ID": "HUB",
        "HUB_DATABASE_URL": dsn,
        "HUB_SECRET_KEY": base64.b64encode(SECRET).decode(),
        "HUB_ALLOW_INSECURE": "true",
    }


async def orm_engine(dsn: str, **options: int) -> AsyncEngine:
    """SQLAlchemy's connections to the same database."""
    connection = await asyncpg.connect(dsn)
    params, address = connection._params, connection._addr
    await connection.close()
    arguments = {"host": str(address).rsplit("/", 1)[0], "user": params.user, "database": params.database}
    return create_async_engine("postgresql+asyncpg://", connect_args=arguments, **options)
