"""/livez, /readyz and /startupz (U-18): short answers for machines that restart or route, with words for people."""

from collections.abc import Callable
from typing import Any

import asyncpg
from fastapi import APIRouter
from fastapi.responses import JSONResponse

from hub.admin import repository
from hub.db import migrate
from hub.db.engine import Database, DatabaseAway

DATABASE_SECONDS = 2.0


def health_routes(
    database: Database, troubles: Callable[[], list[str]], warnings: Callable[[], list[str]] = list
) -> APIRouter:
    """The three routes of one process; `troubles` are sentences about the process itself, `warnings` such as end no traffic."""
    routes = APIRouter(tags=["health"])
    newest = migrate.newest_revision()

    @routes.get("/livez")
    async def livez() -> JSONResponse:
        """The process answers."""
        return JSONResponse({"status": "ok"})

    @routes.get("/startupz")
    @routes.get("/readyz")
    async def readyz() -> JSONResponse:
        """Requests can be taken: PostgreSQL answers, its tables are there, every loop runs. 503 with the reasons otherwise."""
        wrong = troubles() + await _database_findings(database, newest)
        status = {"status": "not ready", "reasons": wrong} if wrong else {"status": "ok"}
        odd = warnings()
        return JSONResponse(status | ({"warnings": odd} if odd else {}), 503 if wrong else 200)

    return routes


async def _database_findings(database: Database, newest: str) -> list[str]:
    """A newer database is fine: while an upgrade rolls, this program and its successor run side by side (Q-16)."""
    applied: list[Any] = []
    try:
        async with database.connection(DATABASE_SECONDS) as connection:
            applied = await repository.applied_revisions(connection)
    except DatabaseAway as away:
        return [str(away)]
    except asyncpg.PostgresError as error:
        return [f"PostgreSQL refuses: {error}"]
    return [] if applied and max(applied) >= newest else ["The tables are behind: run `ocpi-hub migrate`."]
