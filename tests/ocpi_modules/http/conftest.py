"""A few module tables and a handler that keeps what it was asked."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from ocpi_modules import envelope
from ocpi_modules.http.listener import Listening, running
from ocpi_modules.http.server import OcpiEdge
from ocpi_modules.message import OcpiRequest, OcpiResponse
from ocpi_modules.spec import Endpoint, InterfaceRole, Kind, Method, ModuleID, ModuleSpec, Page

SENDER, RECEIVER = InterfaceRole.SENDER, InterfaceRole.RECEIVER
GET, POST, PUT, PATCH, DELETE = Method.GET, Method.POST, Method.PUT, Method.PATCH, Method.DELETE
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def table(module: ModuleID, *endpoints: Endpoint, kind: Kind = Kind.FUNCTIONAL) -> ModuleSpec:
    return ModuleSpec(id=module, kind=kind, owner=None, object=None, endpoints=endpoints)


ONE_LOCATION = "/{country_code}/{party_id}/{location_id}"
MODULES = {
    spec.id: spec
    for spec in (
        table(
            ModuleID.versions,
            Endpoint(SENDER, GET, "/versions"),
            Endpoint(SENDER, GET, "/{version}"),
            kind=Kind.CONFIGURATION,
        ),
        table(
            ModuleID.credentials,
            *(Endpoint(SENDER, method, "") for method in (GET, POST, PUT, DELETE)),
            kind=Kind.CONFIGURATION,
        ),
        table(
            ModuleID.locations,
            Endpoint(SENDER, GET, "", returns=Page[Any]),
            Endpoint(SENDER, GET, "/{location_id}"),
            Endpoint(RECEIVER, GET, ONE_LOCATION),
            Endpoint(RECEIVER, PUT, ONE_LOCATION),
            Endpoint(RECEIVER, PATCH, ONE_LOCATION),
            Endpoint(RECEIVER, PUT, ONE_LOCATION + "/{evse_uid}"),
        ),
        table(
            ModuleID.cdrs,
            Endpoint(RECEIVER, POST, ""),
            Endpoint(RECEIVER, GET, "", self_defined=True),
        ),
        table(
            ModuleID.tokens,
            Endpoint(SENDER, GET, "", returns=Page[Any]),
            Endpoint(SENDER, POST, "/{token_uid}/authorize", body_optional=True),
        ),
        table(
            ModuleID.chargingprofiles,
            Endpoint(RECEIVER, GET, "/{session_id}"),
            Endpoint(RECEIVER, PUT, "/{session_id}"),
            Endpoint(SENDER, POST, "/{ticket}", self_defined=True),
            Endpoint(SENDER, PUT, "/{session_id}"),
        ),
    )
}


@dataclass
class Recorder:
    """A handler that keeps requests and answers what it is told to."""

    requests: list[OcpiRequest] = field(default_factory=list)
    crashes: list[Exception] = field(default_factory=list)
    answer: Callable[[OcpiRequest], OcpiResponse] = lambda request: envelope.success(now=NOW)

    async def handle(self, request: OcpiRequest) -> OcpiResponse:
        self.requests.append(request)
        return self.answer(request)

    @property
    def last(self) -> OcpiRequest:
        return self.requests[-1]


async def wrapped(scope: Any, receive: Any, send: Any) -> None:
    """The application round which the edge is wrapped: it says which path it was asked for."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    body = b"wrapped " + scope["raw_path"]
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


Serving = Callable[..., AbstractAsyncContextManager[Listening]]


@pytest.fixture
def serving(recorder: Recorder) -> Serving:
    """`async with serving(**listener_options) as listening`: the edge with the recorder behind it, on a real socket."""

    @asynccontextmanager
    async def serve(**options: Any) -> AsyncIterator[Listening]:
        limits = {name: options.pop(name) for name in ("body_limit", "locations_body_limit") if name in options}
        edge = OcpiEdge(
            wrapped,
            recorder,
            MODULES,
            lambda: NOW,
            on_crash=lambda request, error: recorder.crashes.append(error),
            **limits,
        )
        async with running(edge, **options) as listening:
            yield listening

    return serve
