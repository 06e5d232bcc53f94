"""/livez, /readyz and /startupz (U-18): short answers for machines that restart or route, with words for people."""

from typing import Protocol

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from hub.db.engine import Database, DatabaseAway
from hub.parties import repository

DATABASE_SECONDS = 2.0


class Loops(Protocol):
    """The background loops of this process."""

    def stopped(self) -> list[str]: ...


def health_routes(database: Database, loops: Loops) -> APIRouter:
    """The three routes of one process."""
    routes = APIRouter(tags=["health"])

    @routes.get("/livez")
    async def livez() -> JSONResponse:
        """The process answers."""
        return JSONResponse({"status": "ok"})

    @routes.get("/startupz")
    @routes.get("/readyz")
    async def readyz() -> JSONResponse:
        """Requests can be taken: PostgreSQL answers and every background loop runs. 503 with the reasons otherwise."""
        wrong = [f"The loop {name} has stopped; the log says why." for name in loops.stopped()]
        wrong += await _database_findings(database)
        if wrong:
            return JSONResponse({"status": "not ready", "reasons": wrong}, 503)
        return JSONResponse({"status": "ok"})

    return routes


async def _database_findings(database: Database) -> list[str]:
    try:
        async with database.connection(DATABASE_SECONDS) as connection:
            await repository.is_reachable(connection)
    except DatabaseAway as away:
        return [f"{away}"]
    return []
