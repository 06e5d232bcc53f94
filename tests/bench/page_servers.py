"""The three servers of B-7, behind the same listener and flags: `python -m tests.bench.page_servers hub|memory|orm <dsn>`."""

import contextlib
import sys
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import uvloop
from fastapi import Depends, FastAPI, Header, Query, Response
from pydantic import BaseModel
from sqlalchemy import func
from sqlalchemy.ext.asyncio import async_sessionmaker
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.objects.tables import KeptObject
from hub.telemetry import configure_logs
from ocpi_modules import json
from ocpi_modules.http.listener import running
from ocpi_modules.locations.schemas import Location
from tests.bench.messages import CPO, EMSP
from tests.bench.processes import orm_engine, serve
from tests.bench.product import product
from tests.bench.rounds import pin
from tests.hub.network import Partner


@contextlib.asynccontextmanager
async def hub(dsn: str) -> AsyncIterator[int]:
    """The whole product; its partners are the owner of the Locations and who reads them."""
    async with product(dsn, Partner(CPO, "CPO"), Partner(EMSP, "EMSP")) as port:
        yield port


@contextlib.asynccontextmanager
async def memory(dsn: str) -> AsyncIterator[int]:
    """The bytes of the first page, with the headers of the hub's answer."""
    connection = await asyncpg.connect(dsn)
    rows = await connection.fetch("SELECT body FROM kept_object WHERE listed ORDER BY created_seq LIMIT 100")
    total = await connection.fetchval("SELECT count(*) FROM kept_object")
    await connection.close()
    tail = b'],"status_code":1000,"status_message":"Success","timestamp":"2026-03-01T12:30:00.000Z"}'
    body = b'{"data":[' + b",".join(row["body"] for row in rows) + tail
    link = b"<http://127.0.0.1:8080/ocpi/2.2.1/sender/locations?offset=100&limit=100&hub_after=%s>" % (b"A" * 60)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"x-total-count", b"%d" % total),
        (b"x-limit", b"100"),
        (b"link", link + b'; rel="next"'),
        *(
            (name, b"XX")
            for name in (b"x-request-id", b"x-correlation-id", b"ocpi-to-party-id", b"ocpi-to-country-code")
        ),
        *((name, b"XX") for name in (b"ocpi-from-party-id", b"ocpi-from-country-code")),
    ]

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": body})
        else:
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})

    async with running(answer) as listening:
        yield listening.port


class Page(BaseModel):
    data: list[Location]
    status_code: int = 1000
    status_message: str = "Success"
    timestamp: str = "2026-03-01T12:30:00Z"


@contextlib.asynccontextmanager
async def orm(dsn: str) -> AsyncIterator[int]:
    """What a FastAPI application usually is: header parameters, a session and a model for each row, response_model."""
    engine = await orm_engine(dsn, pool_size=4)
    sessions = async_sessionmaker(engine, class_=AsyncSession)
    app = FastAPI()

    async def session() -> AsyncIterator[AsyncSession]:
        async with sessions() as opened:
            yield opened

    @app.get("/ocpi/2.2.1/sender/locations", response_model=Page)
    async def locations(
        response: Response,
        opened: AsyncSession = Depends(session),  # noqa: B008
        offset: int = Query(0, ge=0),
        limit: int = Query(100, ge=1, le=100),
        authorization: str = Header(),
        x_request_id: str = Header(),
        x_correlation_id: str = Header(),
    ) -> Any:
        chosen = (KeptObject.module == "locations", KeptObject.audience == "*")
        total = (await opened.exec(select(func.count()).select_from(KeptObject).where(*chosen))).one()
        order = (KeptObject.owner, KeptObject.created_seq)
        rows = await opened.exec(select(KeptObject).where(*chosen).order_by(*order).offset(offset).limit(limit))
        response.headers["X-Total-Count"] = str(total)
        response.headers["X-Limit"] = "100"
        response.headers["X-Request-ID"] = x_request_id
        response.headers["X-Correlation-ID"] = x_correlation_id
        return Page(data=[Location.model_validate(json.decode(row.body)) for row in rows])

    async with running(app) as listening:
        yield listening.port
    await engine.dispose()


async def main(kind: str, dsn: str) -> None:
    configure_logs()
    async with {"hub": hub, "memory": memory, "orm": orm}[kind](dsn) as port:
        await serve(port)


if __name__ == "__main__":
    pin(0)
    uvloop.run(main(*sys.argv[1:]))
