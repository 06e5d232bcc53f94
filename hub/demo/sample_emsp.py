"""The sample eMSP as a program: an ordinary OCPI platform with one party, and a few control routes for the demo.

Control routes (not OCPI): POST /demo/join, /demo/token, /demo/start, /demo/stop; GET /demo/state.
"""

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

from hub.demo.emsp_calls import EmspCalls, now_text, sample_token
from hub.demo.emsp_folder import EmspFolder
from hub.demo.emsp_handler import EmspHandler, utc_now
from ocpi_modules import json
from ocpi_modules.http.client import OcpiClient
from ocpi_modules.http.listener import Listener
from ocpi_modules.http.server import OcpiEdge
from ocpi_modules.message import PartyId
from ocpi_modules.registry import MODULES
from ocpi_modules.status import OcpiError


class Join(BaseModel):
    """The hub's versions URL and the Token A it gave us."""

    versions_url: str
    token_a: str


class Start(BaseModel):
    """Where to charge."""

    country_code: str
    party_id: str
    location_id: str
    evse_uid: str


class Stop(BaseModel):
    """Which session to end."""

    country_code: str
    party_id: str
    session_id: str


def create_app(calls: EmspCalls) -> FastAPI:
    """The control routes; OCPI itself is served by the edge wrapped round this app."""
    app = FastAPI(title="Sample eMSP", docs_url=None, redoc_url=None, openapi_url=None)
    folder = calls.folder

    @app.post("/demo/join")
    async def join(body: Join) -> dict[str, bool]:
        if not calls.joined():
            await _told(calls.join(body.versions_url, body.token_a))
        return {"joined": True}

    @app.post("/demo/token")
    async def token() -> dict[str, Any]:
        mine = sample_token(calls.handler.party, now_text(calls.handler))
        cpos = await _told(calls.cpos())
        for cpo in cpos:
            await _told(calls.push_token(cpo, mine))
        return {"pushed_to": [str(cpo) for cpo in cpos]}

    @app.post("/demo/start")
    async def start(body: Start) -> Any:
        mine = sample_token(calls.handler.party, now_text(calls.handler))
        cpo = PartyId.of(body.country_code, body.party_id)
        return await _told(calls.start_session(cpo, mine, body.location_id, body.evse_uid))

    @app.post("/demo/stop")
    async def stop(body: Stop) -> Any:
        return await _told(calls.stop_session(PartyId.of(body.country_code, body.party_id), body.session_id))

    @app.get("/demo/state")
    async def state() -> dict[str, Any]:
        modules = ("locations", "tariffs", "sessions", "cdrs")
        kept = {module: [_readable(body) for body in folder.objects(module)] for module in modules}
        results = {name: _readable(body) for name, body in folder.named_objects("results")}
        return {"joined": calls.joined(), "results": results, **kept}

    return app


async def _told(work: Any) -> Any:
    """A refusal of the hub as one sentence for the person at the control route."""
    try:
        return await work
    except OcpiError as error:
        raise HTTPException(502, error.message) from error


def _readable(body: bytes) -> Any:
    """Numbers as text: the control routes are for people and for the demo, and keep every digit."""
    return _texts(json.decode(body))


def _texts(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _texts(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_texts(item) for item in value]
    return value if isinstance(value, str | bool) or value is None else str(value)


async def serve(folder: Path, host: str, port: int, party: PartyId) -> None:
    """Serve until the process is told to stop."""
    handler = EmspHandler(EmspFolder(folder), party, f"http://{host}:{port}", utc_now)
    client = OcpiClient(allow_insecure=True)
    app = OcpiEdge(create_app(EmspCalls(client, handler)), handler, MODULES, utc_now)
    await Listener(app, host, port).serve()


def main(arguments: list[str]) -> None:
    """`python -m hub.demo.sample_emsp --folder F --port P --party DE/EMA`."""
    parser = argparse.ArgumentParser(description="The sample eMSP of the demo.")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--party", default="DE/EMA")
    given = parser.parse_args(arguments)
    asyncio.run(serve(given.folder, given.host, given.port, PartyId.of(*given.party.split("/"))))


if __name__ == "__main__":
    main(sys.argv[1:])
