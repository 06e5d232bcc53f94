"""The Python sides of B-1 to B-3, behind the same listener: `python -m tests.bench.routed_servers hub <receiver port> <dsn>`.

`hub` is the product, `null` forwards blindly through the hub's own listener and client, `plain` is a hub as one is usually
written with FastAPI and httpx.
"""

import base64
import contextlib
import sys
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any
from uuid import uuid4

import httpx
import uvloop
from fastapi import Depends, FastAPI, Header, HTTPException, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from hub.telemetry import configure_logs
from ocpi_modules.http.client import OcpiClient, OutgoingRequest
from ocpi_modules.http.listener import running
from tests.bench.messages import CPO, EMSP
from tests.bench.processes import serve
from tests.bench.product import product
from tests.bench.rounds import pin
from tests.hub.network import Partner


@contextlib.asynccontextmanager
async def hub(receiver: int, dsn: str) -> AsyncIterator[int]:
    """The whole product: two platforms registered at the receiver, an agreement between their parties."""
    async with product(dsn, Partner(CPO, "CPO", receiver), Partner(EMSP, "EMSP", receiver)) as port:
        yield port


@contextlib.asynccontextmanager
async def null(receiver: int, dsn: str) -> AsyncIterator[int]:
    async with OcpiClient(allow_insecure=True) as client:

        async def forward(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http":
                await receive()
                await send({"type": "lifespan.startup.complete"})
                await receive()
                await send({"type": "lifespan.shutdown.complete"})
                return
            body, more = b"", True
            while more:
                message = await receive()
                body, more = body + message["body"], message["more_body"]
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            url = f"http://127.0.0.1:{receiver}{scope['path']}"
            answer = await client.send(OutgoingRequest(scope["method"], url, headers, body))
            back = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers.items()]
            await send({"type": "http.response.start", "status": answer.http_status, "headers": back})
            await send({"type": "http.response.body", "body": answer.body})

        async with running(forward) as listening:
            yield listening.port


class ChargingPreferences(BaseModel):
    profile_type: str
    departure_time: datetime | None = None
    energy_need: float | None = None
    discharge_allowed: bool | None = None


@contextlib.asynccontextmanager
async def plain(receiver: int, dsn: str) -> AsyncIterator[int]:
    """Header parameters, a dependency for the token, a schema for the body, one httpx client, the answer read and written."""
    parties = {"hubC_MSP_token": ("DE", "MSP"), "hubC_CPO_token": ("NL", "CPO")}
    receivers = {("NL", "CPO"): (f"http://127.0.0.1:{receiver}/cpo/sender/v/sessions", "token-of-CPO")}
    app = FastAPI()

    async def caller(
        authorization: str = Header(), ocpi_from_country_code: str = Header(), ocpi_from_party_id: str = Header()
    ) -> tuple[str, str]:
        try:
            token = base64.b64decode(authorization.removeprefix("Token "), validate=True).decode()
        except ValueError:
            raise HTTPException(401) from None
        if parties.get(token) != (ocpi_from_country_code.upper(), ocpi_from_party_id.upper()):
            raise HTTPException(401)
        return parties[token]

    async with httpx.AsyncClient(timeout=30, limits=httpx.Limits(max_connections=64)) as client:

        @app.put("/ocpi/2.2.1/sender/sessions/{session_id}/charging_preferences")
        async def preferences(
            session_id: str,
            body: ChargingPreferences,
            request: Request,
            sender: tuple[str, str] = Depends(caller),
            ocpi_to_country_code: str = Header(),
            ocpi_to_party_id: str = Header(),
            x_request_id: str = Header(),
            x_correlation_id: str = Header(),
        ) -> JSONResponse:
            url, token = receivers[ocpi_to_country_code.upper(), ocpi_to_party_id.upper()]
            answer = await client.put(
                f"{url}/{session_id}/charging_preferences",
                content=await request.body(),
                headers={
                    "Authorization": f"Token {base64.b64encode(token.encode()).decode()}",
                    "Content-Type": "application/json",
                    "X-Request-ID": str(uuid4()),
                    "X-Correlation-ID": x_correlation_id,
                    "OCPI-from-country-code": sender[0],
                    "OCPI-from-party-id": sender[1],
                    "OCPI-to-country-code": ocpi_to_country_code,
                    "OCPI-to-party-id": ocpi_to_party_id,
                },
            )
            ids = {"X-Request-ID": x_request_id, "X-Correlation-ID": x_correlation_id}
            return JSONResponse(answer.json(), status_code=answer.status_code, headers=ids)

        async with running(app) as listening:
            yield listening.port


async def main(kind: str, receiver: str, dsn: str) -> None:
    configure_logs()
    sides = {"hub": hub, "null": null, "plain": plain}
    async with sides[kind](int(receiver), dsn) as port:
        await serve(port)


if __name__ == "__main__":
    pin(0)
    uvloop.run(main(*sys.argv[1:]))
