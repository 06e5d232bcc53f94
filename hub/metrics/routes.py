"""GET /metrics, on the admin listener only (S-44)."""

import asyncio

from fastapi import APIRouter
from fastapi.responses import Response

from hub.metrics.exposition import CONTENT_TYPE, Exposition
from hub.metrics.facts import Facts


def metrics_routes(exposition: Exposition, facts: Facts) -> APIRouter:
    routes = APIRouter(tags=["metrics"])

    @routes.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        """Of this process, or of all workers together, in the text format of Prometheus."""
        found = await facts.read()
        return Response(await asyncio.to_thread(exposition.text, found), media_type=CONTENT_TYPE)

    return routes
